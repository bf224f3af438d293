"""Ten-second ROS 2 bags of an arm, a hand and a camera, written for the tests."""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy.spatial.transform import Rotation

from sernf_isaac.data.bags.layout import BagLayout, Signal

rosbags = pytest.importorskip("rosbags", reason="needs the extra 'bags'")
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

TYPES = get_typestore(Stores.ROS2_JAZZY)
MESSAGE = TYPES.types
START_S = 1_700_000_000.0
SECONDS = 10.0
JOINTS = ("wrist", "index_mcp", "thumb_abd")
STORAGE = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}

POSE, COMMAND = "/arm/pose", "/arm/command"
HAND, HAND_COMMAND = "/hand/joint_states", "/hand/command"
CAMERA, REWARD = "/wrist/image_raw/compressed", "/operator/reward"
YAW_RATE = 0.9
"""rad/s; the quaternion's sign flips at every other sample."""


def yaw(time_s):
    return YAW_RATE * (np.asarray(time_s) - 4.0)


def position(time_s):
    return np.stack([0.1 * time_s, 0.5 - 0.02 * time_s, 0.3 + 0.0 * time_s], axis=-1)


def joints(time_s):
    return np.stack([0.05 * time_s, 1.0 - 0.1 * time_s, 0.2 + 0.0 * time_s], axis=-1)


def stamp(time_s):
    ns = round((START_S + time_s) * 1e9)
    return MESSAGE["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)


def header(time_s):
    return MESSAGE["std_msgs/msg/Header"](stamp=stamp(time_s), frame_id="base")


def pose(time_s, index=0):
    x, y, z = position(time_s)
    sign = 1.0 if index % 2 else -1.0
    qx, qy, qz, qw = sign * Rotation.from_rotvec([0, 0, float(yaw(time_s))]).as_quat()
    return MESSAGE["geometry_msgs/msg/PoseStamped"](
        header=header(time_s),
        pose=MESSAGE["geometry_msgs/msg/Pose"](
            position=MESSAGE["geometry_msgs/msg/Point"](x=x, y=y, z=z),
            orientation=MESSAGE["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw),
        ),
    )


def joint_state(time_s, index=0):
    """The names come in another order with every other message."""
    order = [0, 1, 2] if index % 2 else [2, 0, 1]
    return MESSAGE["sensor_msgs/msg/JointState"](
        header=header(time_s),
        name=[JOINTS[i] for i in order],
        position=joints(time_s)[order],
        velocity=np.zeros(3),
        effort=np.zeros(0),
    )


def pixels(index, height=48, width=64):
    """A flat image that says which one it is."""
    return np.full((height, width, 3), (index % 250, 10, 200), np.uint8)


@functools.cache
def jpeg_file(index):
    file = io.BytesIO()
    PillowImage.fromarray(pixels(index)).save(file, "JPEG", quality=95)
    return np.frombuffer(file.getvalue(), np.uint8)


def jpeg(time_s, index=0):
    return MESSAGE["sensor_msgs/msg/CompressedImage"](
        header=header(time_s), format="jpeg", data=jpeg_file(index)
    )


def raw_image(time_s, index=0, encoding="bgr8"):
    """Rows are padded by five bytes."""
    rgb = pixels(index)
    alpha = np.full((*rgb.shape[:2], 1), 77, np.uint8)
    orders = {"bgr8": rgb[:, :, ::-1], "rgb8": rgb, "mono8": rgb[:, :, :1]}
    orders |= {name[:3] + "a8": np.dstack([orders[name], alpha]) for name in ("bgr8", "rgb8")}
    rows = orders[encoding].reshape(len(rgb), -1)
    padded = np.pad(rows, ((0, 0), (0, 5)))
    return MESSAGE["sensor_msgs/msg/Image"](
        header=header(time_s),
        height=len(rgb),
        width=rgb.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=padded.shape[1],
        data=padded.reshape(-1),
    )


def boolean(_time_s, _index=0):
    return MESSAGE["std_msgs/msg/Bool"](data=True)


@dataclass
class Topic:
    """What is written of one topic."""

    msgtype: str
    make: Callable
    times_s: np.ndarray
    late_s: float = 0.004
    """How long after its stamp a message is received."""
    change: dict[int, Callable] = field(default_factory=dict)
    """Messages, by number, that are changed before they are written."""


def ticks(rate_hz, start_s=0.0, end_s=SECONDS):
    return np.arange(round((end_s - start_s) * rate_hz) + 1) / rate_hz + start_s


def usual() -> dict[str, Topic]:
    """Topics of a recording that went well; they begin and end at different times."""
    return {
        POSE: Topic("geometry_msgs/msg/PoseStamped", pose, ticks(50)),
        COMMAND: Topic("geometry_msgs/msg/PoseStamped", pose, ticks(25, 0.1, 9.9)),
        HAND: Topic("sensor_msgs/msg/JointState", joint_state, ticks(20, 0.3)),
        HAND_COMMAND: Topic("sensor_msgs/msg/JointState", joint_state, ticks(20)),
        CAMERA: Topic("sensor_msgs/msg/CompressedImage", jpeg, ticks(15)),
        REWARD: Topic("std_msgs/msg/Bool", boolean, np.array([0.05, 5.0, 9.3])),
    }


def write(folder: Path, topics: dict[str, Topic], storage: str = "sqlite3") -> Path:
    """A bag with these topics, in order of receipt."""
    with Writer(folder, version=9, storage_plugin=STORAGE[storage]) as writer:
        messages = []
        for name, topic in topics.items():
            connection = writer.add_connection(name, topic.msgtype, typestore=TYPES)
            for index, time_s in enumerate(topic.times_s):
                message = topic.make(time_s, index)
                receive_ns = round((START_S + time_s + topic.late_s) * 1e9)
                data = bytes(TYPES.serialize_cdr(message, topic.msgtype))
                if index in topic.change:
                    message, receive_ns, data = topic.change[index](message, receive_ns, data)
                    data = data or bytes(TYPES.serialize_cdr(message, topic.msgtype))
                messages.append((receive_ns, len(messages), connection, data))
        for receive_ns, _, connection, data in sorted(messages, key=lambda m: m[:2]):
            writer.write(connection, receive_ns, data)
    return folder


def layout(**changes) -> BagLayout:
    """Takes all of `usual`; images of 24 x 24."""
    names = list(JOINTS)
    settings = {
        "observation": {
            "pose": [Signal(POSE)],
            "hand": [Signal(HAND, joints=names)],
            "wrist": [Signal(CAMERA, height=24, width=24)],
        },
        "action": [Signal(COMMAND), Signal(HAND_COMMAND, joints=names)],
        "reward": Signal(REWARD, clock="receive"),
    }
    return BagLayout(**settings | changes)
