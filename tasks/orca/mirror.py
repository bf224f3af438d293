"""A left hand out of a right one: everything is reflected at the plane x = 0 of the root.

Joint angles keep their meaning: a joint's axis turns around with the reflection, so that the same
angles put both hands into mirrored poses.
"""

from collections.abc import Callable
from dataclasses import replace

from tasks.orca.description import Body, Fingertip, Hand, Hinge, Quaternion
from tasks.orca.shapes import Box, Capsule, Shape, Vector

OTHER_SIDE = {"right": "left", "left": "right"}


def mirrored(hand: Hand, name: str) -> Hand:
    """The other hand of a pair, by the name `name`.

    Raises:
        ValueError: If the hand's bodies are a file's, which cannot be reflected.
    """
    if not hand.bodies:
        raise ValueError(f"{hand.name} has no figures to mirror; its model is a file")
    side = OTHER_SIDE[hand.side]

    def renamed(body: str) -> str:
        return body.replace(f"{hand.side}_", f"{side}_", 1)

    def body_of(body: Body) -> Body:
        return _body(replace(body, name=renamed(body.name), parent=renamed(body.parent)), renamed)

    return replace(
        hand,
        name=name,
        side=side,
        joints=tuple(replace(joint, name=renamed(joint.name)) for joint in hand.joints),
        root_body=renamed(hand.root_body),
        palm_body=renamed(hand.palm_body),
        base_segments=tuple(map(renamed, hand.base_segments)),
        fingertips=tuple(
            Fingertip(renamed(tip.body), _point(tip.centre_m), tip.radius_m)
            for tip in hand.fingertips
        ),
        palm_down_wxyz=_rotation(hand.palm_down_wxyz),
        grasp_point_m=_point(hand.grasp_point_m),
        camera_from_grasp_m=_point(hand.camera_from_grasp_m),
        bodies=tuple(map(body_of, hand.bodies)),
        mesh_mirror=-hand.mesh_mirror,
    )


def _body(body: Body, renamed: Callable[[str], str]) -> Body:
    hinge, bounds = body.hinge, body.hull_bounds_m
    return replace(
        body,
        pos_m=_point(body.pos_m),
        quat_wxyz=_rotation(body.quat_wxyz),
        shapes=tuple(map(_shape, body.shapes)),
        hinge=hinge and Hinge(renamed(hinge.joint), _point(hinge.anchor_m), _axis(hinge.axis)),
        hull_bounds_m=bounds and _bounds(*bounds),
    )


def _point(point: Vector) -> Vector:
    x, y, z = point
    return -x, y, z


def _axis(axis: Vector) -> Vector:
    """The axis about which the mirrored body turns by the same angle."""
    x, y, z = axis
    return x, -y, -z


def _rotation(quat_wxyz: Quaternion) -> Quaternion:
    w, x, y, z = quat_wxyz
    return w, x, -y, -z


def _shape(shape: Shape) -> Shape:
    if isinstance(shape, Box):
        return Box(_point(shape.centre), shape.half_size)
    return Capsule(_point(shape.start), _point(shape.end), shape.radius)


def _bounds(low: Vector, high: Vector) -> tuple[Vector, Vector]:
    return (-high[0], low[1], low[2]), (-low[0], high[1], high[2])
