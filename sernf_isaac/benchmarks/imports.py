"""How fast bags are imported: a recording made up here, three cameras and an arm with a hand."""

import shutil
import tempfile
import time
from pathlib import Path

from sernf_isaac.data.bags.file import check_installed
from sernf_isaac.data.bags.layout import BagLayout, Signal
from sernf_isaac.data.bags.made_up import Recording, jpeg, write_made_up_bag
from sernf_isaac.data.images.fit import Fit, decode
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import bag_readings

JOINTS = [f"joint_{i}" for i in range(17)]


def import_speed(
    seconds: float = 20.0,
    cameras: int = 3,
    size: tuple[int, int] = (480, 640),
    storage: str = "mcap",
    *,
    bags: int = 3,
    threads: int | None = None,
) -> dict[str, float]:
    """Seconds of recording imported per second, into the store, from several bags.

    Cameras send JPEGs of about 65 kB at 30 Hz, of which a 10 Hz grid needs a third; an arm's pose
    and command come at 100 Hz, those of 17 joints at 40 Hz. Per second on the wall, and per second
    of the processor, which other work on the machine slows down less. What decoding and resizing
    the needed images costs alone is a bound for the latter.

    Raises:
        ValueError: If the package rosbags is missing.
    """
    check_installed()
    views = [f"/camera_{i}/image/compressed" for i in range(cameras)]
    poses, joints = ({f"/{part}/state": 0.0, f"/{part}/command": 0.1} for part in ("arm", "hand"))
    recording = Recording(poses, joints, JOINTS, views, size)
    with tempfile.TemporaryDirectory() as folder:
        first, *others = [Path(folder) / f"bag_{i}" for i in range(bags)]
        write_made_up_bag(first, recording, seconds, storage=storage)
        for bag in others:
            shutil.copytree(first, bag)
        write_made_up_bag(Path(folder) / "short", recording, 1.0, storage=storage)
        _timed_import([Path(folder) / "short"], recording, threads)  # loads libraries
        wall, processor = _timed_import([first, *others], recording, threads)
        megabytes = sum(path.stat().st_size for path in first.iterdir()) / 1e6
    decoding = _decoding_s(size, round(cameras * (seconds * BagLayout.rate_hz + 1)))
    return {
        "import_times_real_time": bags * seconds / wall,
        "import_times_real_time_processor": bags * seconds / processor,
        "decoding_alone_times_real_time_processor": seconds / decoding,
        "bag_megabytes_per_s": megabytes / seconds,
    }


def _timed_import(
    bags: list[Path], recording: Recording, threads: int | None
) -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    info, readings = bag_readings(bags, _layout(recording), "unknown", threads, is_offline=True)
    wall, processor = time.perf_counter(), time.process_time()
    import_run(bags[0].with_suffix(".run"), info, readings)
    return time.perf_counter() - wall, time.process_time() - processor


def _decoding_s(size: tuple[int, int], count: int) -> float:
    """Seconds of the processor for decoding and resizing so many images, and nothing else."""
    images = [jpeg(size, seed).tobytes() for seed in range(8)]
    began = time.process_time()
    for index in range(count):
        decode(images[index % len(images)], Fit())
    return time.process_time() - began


def _layout(recording: Recording) -> BagLayout:
    (pose, pose_command), (hand, hand_command) = recording.poses, recording.joints
    views = {f"camera_{i}": [Signal(topic)] for i, topic in enumerate(recording.cameras)}
    numbers = {"pose": [Signal(pose)], "joints": [Signal(hand, joints=JOINTS)]}
    return BagLayout(
        observation=numbers | views,
        action=[Signal(pose_command), Signal(hand_command, joints=JOINTS)],
    )
