"""When a LeRobot data set says that its steps and its frames were: compared with each other."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array
from sernf_isaac.data.images.video import frame_times_s
from sernf_isaac.data.lerobot.episode_rows import EpisodeRow

FAR_STEPS = 0.5
"""A time that is farther from where it should be belongs to another step."""


def check_timestamps(path: Path, episode: int, times_s: Array, rate_hz: float) -> float:
    """How far the steps' times (T,) come from what `fps` makes of their numbers, in steps.

    Raises:
        ValueError: If it is more than half a step; names file, frame and both times.
    """
    offsets = times_s * rate_hz - np.arange(len(times_s))
    worst = int(np.argmax(np.abs(offsets)))
    if np.abs(offsets[worst]) > FAR_STEPS:
        apart_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
        found = f"; the timestamps come at {1 / apart_s:.4g} Hz" if apart_s > 0 else ""
        raise ValueError(
            f"{path}: episode {episode}, frame_index {worst}: timestamp is {times_s[worst]:.4f} s, "
            f"fps ({rate_hz:g}) makes it {worst / rate_hz:.4f} s{found}"
        )
    return float(np.abs(offsets[worst]))


def choose_frames(
    path: Path, episode: int, row: EpisodeRow, camera: str, times_s: Array, rate_hz: float
) -> tuple[Array, str]:
    """Numbers of the frames nearest to the steps' times (T,), whatever the video's own rate is.

    Returns:
        The numbers, and how near the frames are in words.

    Raises:
        FileNotFoundError: If there is no video.
        ValueError: If it is damaged, or a frame is more than half a step from its step; names the
            step and both times.
    """
    frames_s = frame_times_s(path)
    wanted_s = row.number(f"videos/{camera}/from_timestamp") + times_s
    after = np.searchsorted(frames_s, wanted_s).clip(1, max(1, len(frames_s) - 1))
    before = after - 1
    after = after.clip(max=len(frames_s) - 1)
    nearer = np.abs(frames_s[before] - wanted_s) <= np.abs(frames_s[after] - wanted_s)
    chosen = np.where(nearer, before, after)
    offsets = np.abs(frames_s[chosen] - wanted_s) * rate_hz
    worst = int(np.argmax(offsets))
    video_hz = rate_of(frames_s)
    if offsets[worst] > FAR_STEPS:
        raise ValueError(
            f"{path}: step {worst} of episode {episode} is at {wanted_s[worst]:.4f} s of the "
            f"video, its nearest frame at {frames_s[chosen[worst]]:.4f} s, {offsets[worst]:.2f} "
            f"steps off; the video has {len(frames_s)} frames at {video_hz:.4g} Hz, the steps are "
            f"at {rate_hz:g} Hz"
        )
    return chosen, (
        f"{camera}: frames are within {offsets[worst]:.2f} steps of their steps (video "
        f"{video_hz:.4g} Hz, steps {rate_hz:g} Hz)"
    )


def rate_of(times_s: Array) -> float:
    """Frames per second, by the median; 0 for a single one."""
    apart_s = np.diff(times_s)
    return float(1 / np.median(apart_s)) if len(apart_s) and np.median(apart_s) > 0 else 0.0


def check_apart(rows: list[EpisodeRow], cameras: list[str], rate_hz: float) -> None:
    """An error if two episodes claim the same frames of a video, or one more than its steps.

    Raises:
        ValueError: Names file, rows and times.
    """
    for camera in cameras:
        at = f"videos/{camera}"
        spans: dict[tuple[int, int], list[tuple[float, float, EpisodeRow]]] = {}
        for row in rows:
            start_s, steps = row.number(f"{at}/from_timestamp"), row.whole("length")
            if f"{at}/to_timestamp" in row.values:
                _check_length(row, f"{at}/to_timestamp", start_s, steps, rate_hz)
            place = row.whole(f"{at}/chunk_index"), row.whole(f"{at}/file_index")
            end_s = start_s + steps / rate_hz
            spans.setdefault(place, []).append((start_s, end_s, row))
        for found in spans.values():
            found.sort(key=lambda span: span[0])
            for (_, end_s, one), (start_s, _, other) in pairwise(found):
                if start_s < end_s - FAR_STEPS / rate_hz:
                    raise ValueError(
                        f"{other.path}: {at}/from_timestamp is {start_s:.4f} s in row {other.row}, "
                        f"but the episode of row {one.row} lasts until {end_s:.4f} s of that video"
                    )


def _check_length(row: EpisodeRow, column: str, start_s: float, steps: int, rate_hz: float) -> None:
    claimed = (row.number(column) - start_s) * rate_hz
    if abs(claimed - steps) > 1.0:
        raise ValueError(
            f"{row.path}: row {row.row} has {steps} steps, but {column} makes it {claimed:.1f} at "
            f"{rate_hz:g} fps"
        )
