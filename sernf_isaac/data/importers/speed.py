"""How fast bags are imported: a recording made up here, three cameras and an arm with a hand."""

import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sernf_isaac.data.importers.bag_file import check_installed
from sernf_isaac.data.importers.bag_layout import BagLayout, Signal
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import bag_readings

JOINTS = [f"joint_{i}" for i in range(17)]
ARM_HZ, HAND_HZ, CAMERA_HZ = 100, 40, 30
POSE, STATE, JPEG = "PoseStamped", "JointState", "CompressedImage"


def import_speed(
    seconds: float = 20.0,
    cameras: int = 3,
    size: tuple[int, int] = (480, 640),
    storage: str = "mcap",
    threads: int = 1,
) -> dict[str, float]:
    """Seconds of recording imported per second, into the store, from one bag.

    Cameras send JPEGs of about 65 kB at 30 Hz, of which a 10 Hz grid needs a third; an arm's pose
    and command come at 100 Hz, those of 17 joints at 40 Hz. Per second on the wall, and per second
    of the processor, which other work on the machine does not slow down.

    Raises:
        ValueError: If the package rosbags is missing.
    """
    check_installed()
    with tempfile.TemporaryDirectory() as folder:
        for bag, length_s in (("first", 1.0), ("bag", seconds)):  # the first loads libraries
            _write_bag(Path(folder) / bag, length_s, cameras, size, storage)
            info, readings = bag_readings(
                [Path(folder) / bag],
                _layout(cameras),
                outcome="unknown",
                is_offline=True,
                threads=threads,
            )
            wall, processor = time.perf_counter(), time.process_time()
            import_run(Path(folder) / f"run_{bag}", info, readings)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
        bag = Path(folder) / "bag"
        megabytes = sum(path.stat().st_size for path in bag.iterdir()) / 1e6
    return {
        "import_times_real_time": seconds / wall,
        "import_times_real_time_processor": seconds / processor,
        "bag_megabytes_per_s": megabytes / seconds,
    }


def _layout(cameras: int) -> BagLayout:
    views = {f"camera_{i}": [Signal(f"/camera_{i}/image/compressed")] for i in range(cameras)}
    numbers = {"pose": [Signal("/arm/pose")], "joints": [Signal("/hand/state", joints=JOINTS)]}
    return BagLayout(
        observation=numbers | views,
        action=[Signal("/arm/command"), Signal("/hand/command", joints=JOINTS)],
    )


def _write_bag(
    path: Path, seconds: float, cameras: int, size: tuple[int, int], storage: str
) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    images = [_jpeg(size, seed) for seed in range(8)]
    topics = {
        "/arm/pose": ("geometry_msgs/msg/PoseStamped", ARM_HZ),
        "/arm/command": ("geometry_msgs/msg/PoseStamped", ARM_HZ),
        "/hand/state": ("sensor_msgs/msg/JointState", HAND_HZ),
        "/hand/command": ("sensor_msgs/msg/JointState", HAND_HZ),
    }
    for i in range(cameras):
        topics[f"/camera_{i}/image/compressed"] = ("sensor_msgs/msg/CompressedImage", CAMERA_HZ)
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        messages = []
        for topic, (msgtype, rate_hz) in topics.items():
            connection = writer.add_connection(topic, msgtype, typestore=store)
            for i in range(round(seconds * rate_hz) + 1):
                ns = 1_700_000_000_000_000_000 + round(i / rate_hz * 1e9)
                messages.append((ns, connection, images[i % len(images)]))
        for ns, connection, image in sorted(messages, key=lambda message: message[0]):
            message = _message(store.types, connection.msgtype, ns, image)
            writer.write(connection, ns, store.serialize_cdr(message, connection.msgtype))


def _message(types: dict, msgtype: str, ns: int, image: np.ndarray) -> object:
    stamp = types["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="base")
    if msgtype.endswith(JPEG):
        return types[msgtype](header=header, format="jpeg", data=image)
    if msgtype.endswith(STATE):
        zeros = np.zeros(len(JOINTS))
        return types[msgtype](
            header=header, name=JOINTS, position=zeros, velocity=zeros, effort=zeros
        )
    position = types["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0)
    rotation = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
    pose = types["geometry_msgs/msg/Pose"](position=position, orientation=rotation)
    return types[msgtype](header=header, pose=pose)


def _jpeg(size: tuple[int, int], seed: int) -> np.ndarray:
    """A picture with about as much detail as a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 255, (size[0] // 16, size[1] // 16, 3))
    image = Image.fromarray(coarse.astype(np.uint8)).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return np.frombuffer(file.getvalue(), np.uint8)
