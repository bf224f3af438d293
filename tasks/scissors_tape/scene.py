"""What stands on the scissors' table: scissors on a stand, and a strip of tape that hangs.

The scissors are of the kind that a spring opens: two blades, each with its handle, on one hinge at
the handles' end. Pressing the handles together shuts the blades; so a light grip holds them open,
and a firm one cuts. In their frame the hinge's axis is z and the blades point along -x, as seen
from the middle between the handles, where a hand holds them. The strip hangs from a bar; nothing
touches it, `strip.py` says what is cut. Pictures show it whole.
"""

import mujoco
import numpy as np

from tasks.table.scene import compiled, table_spec

TOOL, HINGE, STAND, HOLDER = "scissors", "scissors_hinge", "stand", "tape_holder"
TOOL_MASS_KG, TOOL_FRICTION = 0.05, 1.2
HINGE_M = 0.065
"""The hinge is so far behind the middle of the handles."""
EDGE_M = (0.14, 0.18)
"""The cutting edges begin and end so far from the hinge."""
OPEN_RAD = 0.26
"""Angle between the blades when nothing presses the handles."""
SPRING_NM_RAD, SPRING_FREE_RAD = 0.25, 0.6
TOOL_REST_M = 0.063
"""Height of the handles' middle while the scissors lie on their stand."""
STRIP_WIDTH_M, STRIP_BOTTOM_M, STRIP_TOP_M = 0.05, 0.08, 0.17
_BOX = mujoco.mjtGeom.mjGEOM_BOX
_HANDLE_HEIGHT_M = 0.02
_BARS_M = (HINGE_M, -0.053)
"""Of the stand, under the hinge and under the handles' front ends."""


def scene_model(*, visual: bool = False) -> mujoco.MjModel:
    """The compiled scene; state: carrier (7), hand joints (17), one half of the scissors (7) and
    the angle of the other.

    Args:
        visual: Add the hand's meshes, lights and a sky for pictures.
    """
    return compiled(table_spec("scissors_tape", _add_things, visual=visual), (TOOL, HINGE))


def _add_things(spec: mujoco.MjSpec) -> None:
    _add_tool(spec)
    _add_stand(spec)
    _add_holder(spec)


def _add_tool(spec: mujoco.MjSpec) -> None:
    """Two halves; the origin of both is the hinge."""
    body = spec.worldbody.add_body(name=TOOL, pos=[0, 0, TOOL_REST_M])
    body.add_freejoint(name=TOOL)
    _add_half(body, +1, [0.8, 0.25, 0.2, 1])
    other = body.add_body(name=f"{TOOL}_other")
    other.add_joint(
        name=HINGE,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=[0, 0, 1],
        limited=True,
        range=[0, np.degrees(OPEN_RAD)],  # a spec's angles are in degrees
        solref_limit=[0.01, 1.0],
        stiffness=SPRING_NM_RAD,
        springref=np.degrees(SPRING_FREE_RAD),
        damping=0.004,
        armature=1e-5,
    )
    _add_half(other, -1, [0.7, 0.2, 0.25, 1])
    spec.add_exclude(bodyname1=TOOL, bodyname2=other.name)


def _add_half(body: mujoco.MjsBody, side: int, rgba: list[float]) -> None:
    """A handle, its end at the hinge, and a blade whose edge is y = 0; all at y * side >= 0."""
    first, last = 0.115, EDGE_M[1]
    shapes = (
        ("handle", [0.0575, 0.0025, _HANDLE_HEIGHT_M], [-0.0675, 0.0125, 0], 0.6, rgba),
        ("end", [0.006, 0.0085, _HANDLE_HEIGHT_M], [-0.008, 0.0065, 0], 0.15, rgba),
        (
            *("blade", [(last - first) / 2, 0.004, 0.0012]),
            *([-(last + first) / 2, 0.004, 0.0014], 0.25, [0.75, 0.77, 0.8, 1]),
        ),
    )
    for name, size, (x, y, z), share, colour in shapes:
        body.add_geom(
            name=f"{body.name}_{name}",
            type=_BOX,
            size=size,
            pos=[x, side * y, side * z],  # one blade passes above the other
            mass=share * TOOL_MASS_KG / 2,
            rgba=colour,
            condim=4,
            friction=[TOOL_FRICTION, 0.02, 0.0001],
            priority=1,
        )


def _add_stand(spec: mujoco.MjSpec) -> None:
    """Two bars on legs, with room for fingers between them."""
    body = spec.worldbody.add_body(name=STAND, mocap=True, pos=[0.13, 0, 0])
    top = TOOL_REST_M - _HANDLE_HEIGHT_M
    for name, x in zip(("hinge", "front"), _BARS_M, strict=True):
        for part, size, height in (
            ("bar", [0.006, 0.035, 0.003], top - 0.003),
            ("leg", [0.006, 0.006, top / 2 - 0.003], top / 2 - 0.003),
        ):
            body.add_geom(
                name=f"{STAND}_{name}_{part}",
                type=_BOX,
                size=size,
                pos=[x, 0, height],
                rgba=[0.4, 0.4, 0.42, 1],
            )


def _add_holder(spec: mujoco.MjSpec) -> None:
    """A foot, a post, a bar, and the strip that hangs from it; its origin is below the strip's near
    edge, its far edge and the post lie along -x."""
    body = spec.worldbody.add_body(name=HOLDER, mocap=True, pos=[-0.07, 0, 0])
    post = STRIP_WIDTH_M + 0.025
    for part, size, pos in (
        ("foot", [0.03, 0.03, 0.003], [-post, 0, 0.003]),
        ("post", [0.006, 0.006, STRIP_TOP_M / 2], [-post, 0, STRIP_TOP_M / 2]),
        ("bar", [post / 2 + 0.003, 0.004, 0.005], [-post / 2 - 0.003, 0, STRIP_TOP_M + 0.005]),
    ):
        rgba = [0.35, 0.3, 0.28, 1]
        body.add_geom(name=f"{HOLDER}_{part}", type=_BOX, size=size, pos=pos, rgba=rgba)
    body.add_geom(
        name=f"{HOLDER}_strip",
        type=_BOX,
        size=[STRIP_WIDTH_M / 2, 0.0003, (STRIP_TOP_M - STRIP_BOTTOM_M) / 2],
        pos=[-STRIP_WIDTH_M / 2, 0, (STRIP_TOP_M + STRIP_BOTTOM_M) / 2],
        rgba=[0.95, 0.93, 0.75, 0.8],
        contype=0,
        conaffinity=0,
    )
