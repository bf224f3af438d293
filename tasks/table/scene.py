"""The simulated table: the ORCA hand on a carrier above it; z is up, the table is z = 0.

The carrier is an idealised arm: a mocap body says where the grip should be, a stiff weld pulls the
hand there. Poses of the hand are those of its *grip*: the point between thumb and fingers that an
object is held at, with the axes of the hand's root (fingers along +y, palm towards -z).
"""

from collections.abc import Callable

import mujoco
import numpy as np

from tasks.orca.hand import hand_spec
from tasks.orca.hands import load_hand
from tasks.orca.names import FIRST_HAND
from tasks.stage import add_plain_stage

HAND = load_hand(FIRST_HAND)
"""The hand of these tasks."""
GRIP_OFFSET_M = np.array(HAND.grasp_point_m)
"""Of the grip in the frame of the hand's root: where the cube task holds its cube."""
PHYSICS_DT_S = 0.005
CARRIER, TARGET = "carrier", "carrier_target"
VIEWS = ("under_hand", "beside_hand", "front")
"""Cameras: two that ride on the hand and one on the table, as in the paper's set-up (E.1)."""


def table_spec(
    name: str, add_things: Callable[[mujoco.MjSpec], None], *, visual: bool = False
) -> mujoco.MjSpec:
    """A scene as an `MjSpec`; state: carrier (7), hand joints (17), then the things'.

    Args:
        name: Of the model.
        add_things: Adds what lies and stands on the table. What is put down once per episode and
            does not move by itself is a mocap body.
        visual: Add the hand's meshes, lights and a sky for pictures.
    """
    spec = mujoco.MjSpec()
    spec.modelname = name
    option = spec.option
    option.timestep = PHYSICS_DT_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0  # without it a held object creeps out of the grasp
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a NaN must be seen, not hidden
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.4, 0.4, 0.02],
        pos=[0, 0, -0.02],
        rgba=[0.62, 0.5, 0.38, 1],
    )
    _add_hand(spec, visual=visual)
    add_things(spec)
    spec.worldbody.add_camera(
        name=VIEWS[2], pos=[0.0, 0.72, 0.42], xyaxes=[-1, 0, 0, 0, -0.5, 0.87], fovy=45
    )
    if visual:
        _add_stage(spec)
    return spec


def compiled(spec: mujoco.MjSpec, joints: tuple[str, ...]) -> mujoco.MjModel:
    """The model of a scene; checks that state vectors are ordered as documented.

    Args:
        spec: Of `table_spec`.
        joints: Of the things, in order.

    Raises:
        ValueError: If the joints are in another order.
    """
    model = spec.compile()
    names = tuple(model.joint(i).name for i in range(model.njnt))
    expected = (CARRIER, *HAND.joint_names, *joints)
    if names != expected:
        raise ValueError(f"the compiled model orders its joints {names}, expected {expected}")
    return model


def _add_hand(spec: mujoco.MjSpec, *, visual: bool) -> None:
    target = spec.worldbody.add_body(name=TARGET, mocap=True, pos=[0, 0, 0.2])
    carrier = spec.worldbody.add_body(name=CARRIER, pos=[0, 0, 0.2], gravcomp=1)
    carrier.add_freejoint(name=CARRIER)
    carrier.mass, carrier.inertia, carrier.explicitinertial = 2.0, [0.01] * 3, True
    frame = carrier.add_frame(pos=-GRIP_OFFSET_M)
    spec.attach(hand_spec(HAND, visual=visual), prefix="", frame=frame)
    for body in carrier.find_all("body"):
        body.gravcomp = 1  # the arm carries the hand; the wrist's servo need not
    weld = spec.add_equality(
        name="arm", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY
    )
    weld.name1, weld.name2 = target.name, carrier.name
    weld.solref = [0.02, 1.0]
    weld.data[:] = 0.0
    weld.data[6], weld.data[10] = 1.0, 1.0  # same pose (quaternion w), torque scale
    for name, pos, axes in (
        (VIEWS[0], [0.0, -0.14, -0.012], [1, 0, 0, 0, 0.2, 0.98]),
        (VIEWS[1], [-0.17, 0.0, 0.06], [0, -1, 0, 0.3, 0, 0.95]),
    ):
        carrier.add_camera(name=name, pos=pos, xyaxes=axes, fovy=60)


def _add_stage(spec: mujoco.MjSpec) -> None:
    """Lights, a background, and an off-screen buffer that is large enough."""
    add_plain_stage(spec)
    spec.worldbody.add_light(
        pos=[0.3, 0.3, 0.8], dir=[-0.3, -0.3, -0.9], diffuse=[0.6] * 3, castshadow=False
    )
