"""What of a hand touches: primitives as geoms, and which bodies never meet each other."""

import mujoco

from tasks.orca.collision import COLLISION_GROUP
from tasks.orca.description import Hand
from tasks.orca.shapes import Box, Shape

MODEL_NAME = "orca"
"""Of every hand's MJCF; its USD file is named after it."""


def add_primitive(body: mujoco.MjsBody, shape: Shape, **options: object) -> mujoco.MjsGeom:
    """A shape as a massless geom of a body; `options` are the geom's."""
    if isinstance(shape, Box):
        return body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=shape.centre, size=shape.half_size, **options
        )
    fromto = [*shape.start, *shape.end]
    size = [shape.radius, 0.0, 0.0]
    return body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=fromto, size=size, **options)


def collision_options(body_name: str) -> dict[str, object]:
    """What all collision primitives have in common."""
    common = {"name": f"{body_name}_collision", "group": COLLISION_GROUP, "mass": 0.0}
    return common | {"rgba": [0.8, 0.5, 0.2, 0.4], "contype": 1, "conaffinity": 1, "condim": 3}


def exclude_inner_contacts(spec: mujoco.MjSpec, hand: Hand) -> None:
    """Base segments meet no other segment; the palm meets only fingertips (and the cube)."""
    existing = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in spec.excludes}
    still = {"world"} if hand.own else {"world", hand.root_body}  # the ORCA's root feels nothing
    segments = [body.name for body in spec.bodies if body.name not in still]
    tips = set(hand.fingertip_bodies)
    for i, first in enumerate(segments):
        for second in segments[i + 1 :]:
            inner = first in hand.base_segments or second in hand.base_segments
            palm = hand.palm_body in (first, second) and not {first, second} & tips
            if (inner or palm) and frozenset((first, second)) not in existing:
                spec.add_exclude(bodyname1=first, bodyname2=second)
