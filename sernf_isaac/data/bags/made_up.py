"""ROS 2 bags of recordings that were made up here: to measure imports, and to try them."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from sernf_isaac.data.bags.file import check_installed
from sernf_isaac.data.episode import Array

ARM_HZ, HAND_HZ, CAMERA_HZ = 100, 40, 30
START_NS = 1_700_000_000_000_000_000
CENTRE_M, RADIUS_M, TURN_S = (0.5, 0.0, 0.3), 0.05, 4.0
"""The tool goes round in a circle, pointing down."""
SWING_RAD = 0.2
"""Of the tool about its axis, and of the joints."""
PICTURES = 8


@dataclass(frozen=True)
class Recording:
    """Topics of an arm that carries a hand, and of cameras."""

    poses: Mapping[str, float]
    """PoseStamped topics, and how far each is ahead of the motion [s]: commands are."""
    joints: Mapping[str, float]
    """The same for JointState topics."""
    joint_names: Sequence[str]
    cameras: Sequence[str] = ()
    """CompressedImage topics: JPEGs with about as much detail as photographs have."""
    size: tuple[int, int] = (480, 640)
    """Height and width of the images."""


def write_made_up_bag(
    path: Path, recording: Recording, seconds: float, *, storage: str = "mcap", seed: int = 0
) -> None:
    """Write a bag; another seed is another phase of the same motion.

    Args:
        path: New folder.
        recording: What is in it.
        seconds: How long it lasts.
        storage: "mcap" or "sqlite3".
        seed: Of the phase.

    Raises:
        ValueError: If the package rosbags is missing.
    """
    check_installed()
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    makers = _makers(store.types, recording, TURN_S * np.random.default_rng(seed).random())
    messages = []
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        for topic, (msgtype, rate_hz, make) in makers.items():
            connection = writer.add_connection(topic, msgtype, typestore=store)
            for index in range(round(seconds * rate_hz) + 1):
                messages.append((round(index / rate_hz * 1e9), connection, make, index))
        for ns, connection, make, index in sorted(messages, key=lambda message: message[0]):
            message = make(_header(store.types, START_NS + ns), ns / 1e9, index)
            data = store.serialize_cdr(message, connection.msgtype)
            writer.write(connection, START_NS + ns, data)


def _makers(
    types: dict, recording: Recording, phase_s: float
) -> dict[str, tuple[str, int, Callable[..., object]]]:
    """Type, rate and what makes a message of header, time and number, by topic."""
    images = [jpeg(recording.size, seed) for seed in range(PICTURES)]
    found: dict[str, tuple[str, int, Callable[..., object]]] = {}
    for topic, ahead_s in recording.poses.items():

        def pose(header: object, time_s: float, _: int, shift_s: float = ahead_s) -> object:
            return _pose(types, header, tool_pose(time_s + phase_s + shift_s))

        found[topic] = ("geometry_msgs/msg/PoseStamped", ARM_HZ, pose)
    for topic, ahead_s in recording.joints.items():

        def state(header: object, time_s: float, _: int, shift_s: float = ahead_s) -> object:
            angles = joint_angles(time_s + phase_s + shift_s, len(recording.joint_names))
            return _joints(types, header, recording.joint_names, angles)

        found[topic] = ("sensor_msgs/msg/JointState", HAND_HZ, state)
    for topic in recording.cameras:

        def image(header: object, _: float, index: int) -> object:
            data = images[index % len(images)]
            kind = types["sensor_msgs/msg/CompressedImage"]
            return kind(header=header, format="jpeg", data=data)

        found[topic] = ("sensor_msgs/msg/CompressedImage", CAMERA_HZ, image)
    return found


def tool_pose(time_s: float) -> Array:
    """(7,) position [m] and rotation xyzw: a circle, pointing down and swinging."""
    angle = 2 * np.pi * time_s / TURN_S
    position = np.add(CENTRE_M, [RADIUS_M * np.cos(angle), RADIUS_M * np.sin(angle), 0.0])
    down = Rotation.from_quat([1.0, 0.0, 0.0, 0.0])
    swing = Rotation.from_rotvec([0.0, 0.0, SWING_RAD * np.sin(angle)])
    return np.concatenate([position, (swing * down).as_quat()])


def joint_angles(time_s: float, count: int) -> Array:
    """(count,) [rad]: waves, each joint a little later than the one before."""
    return SWING_RAD * np.sin(2 * np.pi * time_s / TURN_S + 0.3 * np.arange(count))


def jpeg(size: tuple[int, int], seed: int) -> Array:
    """A JPEG file as bytes: a picture with about as much detail as a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 255, (size[0] // 16, size[1] // 16, 3))
    image = Image.fromarray(coarse.astype(np.uint8)).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return np.frombuffer(file.getvalue(), np.uint8)


def _header(types: dict, ns: int) -> object:
    stamp = types["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id="base")


def _pose(types: dict, header: object, pose: Array) -> object:
    x, y, z, qx, qy, qz, qw = pose.tolist()
    position = types["geometry_msgs/msg/Point"](x=x, y=y, z=z)
    rotation = types["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw)
    whole = types["geometry_msgs/msg/Pose"](position=position, orientation=rotation)
    return types["geometry_msgs/msg/PoseStamped"](header=header, pose=whole)


def _joints(types: dict, header: object, names: Sequence[str], angles: Array) -> object:
    rest = np.zeros(len(names))
    return types["sensor_msgs/msg/JointState"](
        header=header, name=list(names), position=angles, velocity=rest, effort=rest
    )
