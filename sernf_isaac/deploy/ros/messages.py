"""A glimpse of a session as messages of ROS 2: plain values, without ROS and without a bag.

| topic below the namespace | type | what |
|---|---|---|
| `joint_states` | `sensor_msgs/msg/JointState` | measured angles and speeds [rad, rad/s] |
| `command` | `sensor_msgs/msg/JointState` | what the guard sent to the servos [rad] |
| `object` | `geometry_msgs/msg/PoseStamped` | where the object was seen, from the hand's root [m] |
| `state` | `std_msgs/msg/String` | state and reason of the hand, as `HOLD SILENT` |
| `stop` | `std_msgs/msg/Empty` | to the session: takes the torque off |
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sernf_isaac.deploy.actor.witness import Glimpse

JOINTS, POSE = "sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseStamped"
TEXT, EMPTY = "std_msgs/msg/String", "std_msgs/msg/Empty"
FRAME = "hand_root"
"""The frame of poses: the hand's root as origin, z up."""
TOPICS = {"joint_states": JOINTS, "command": JOINTS, "object": POSE, "state": TEXT}
"""Types of what is told, by the names of topics."""
STOP = "stop"
Fields = dict[str, Any]
"""Of a message, by name; messages within it are `Fields` too."""


@dataclass(frozen=True)
class Outgoing:
    """A message that is to be sent."""

    topic: str
    """Below the namespace."""
    fields: Fields


def messages_of(glimpse: Glimpse, joint_names: Sequence[str], stamp_ns: int) -> list[Outgoing]:
    """What is told of a glimpse; of the object only while an episode runs.

    Args:
        glimpse: What was seen.
        joint_names: In the order of joint vectors.
        stamp_ns: When, in nanoseconds since 1970.
    """
    hand, names = glimpse.hand, list(joint_names)
    told = [
        Outgoing("joint_states", _joints(names, stamp_ns, hand.joint_pos, hand.joint_vel)),
        Outgoing("command", _joints(names, stamp_ns, hand.sent, ())),
        Outgoing("state", {"data": f"{hand.state.name} {hand.reason.name}"}),
    ]
    if len(glimpse.pose):
        x, y, z, *rotation = (float(value) for value in glimpse.pose)
        turned = dict(zip("xyzw", rotation, strict=True))
        pose = {"position": {"x": x, "y": y, "z": z}, "orientation": turned}
        told.append(Outgoing("object", {"header": _header(stamp_ns), "pose": pose}))
    return told


def _joints(
    names: list[str], stamp_ns: int, position: Iterable[float], velocity: Iterable[float]
) -> Fields:
    return {
        "header": _header(stamp_ns),
        "name": names,
        "position": [float(value) for value in position],
        "velocity": [float(value) for value in velocity],
        "effort": [],
    }


def _header(stamp_ns: int) -> Fields:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return {"stamp": {"sec": sec, "nanosec": nanosec}, "frame_id": FRAME}
