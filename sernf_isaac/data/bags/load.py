"""ROS 2 bags as episodes: one bag, one episode, all topics on one grid of times (paper App. B).

Numbers lie on straight lines between their samples and rotations on the shortest arc; an image is
the newest one that had been taken, with its age beside it. The grid covers what all topics cover.
Two passes: one over everything but the images, and one over the images that are needed.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path

import numpy as np

from sernf_isaac.data.bags.file import read_messages
from sernf_isaac.data.bags.layout import BagLayout
from sernf_isaac.data.bags.messages import ROTATION, Decoder
from sernf_isaac.data.bags.report import TopicReport, report_topics
from sernf_isaac.data.bags.resample import latest, linear, make_grid, slerp_xyzw, sum_events
from sernf_isaac.data.bags.samples import Samples, read_samples
from sernf_isaac.data.checks import blamed_on
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.group_names import AGE

IMAGES_AT_ONCE, BATCHES_AT_ONCE = 8, 8
"""Undecoded images a thread is given at once, and such batches that are held in memory."""


@dataclass
class ImportedBag:
    """An episode, and what was found on the way to it."""

    episode: Episode
    topics: dict[str, TopicReport] = field(default_factory=dict)
    events_outside: int = 0
    """Reward events before the first or after the last step, which are lost."""
    clocks: str = ""
    """How far the topics' clocks are apart, in words."""

    def remarks(self) -> list[str]:
        """What a person should know, a line each."""
        found = [line for topic, report in self.topics.items() for line in report.lines(topic)]
        if self.events_outside:
            found.append(f"{self.events_outside} reward events lie outside the episode")
        return [self.clocks, *found]


def load_bag(
    path: Path | str,
    layout: BagLayout,
    *,
    outcome: str = "unknown",
    is_offline: bool = True,
    threads: int | None = None,
) -> ImportedBag:
    """Read one bag.

    The last point of the grid is the final observation. An episode is marked as cut off at its
    end; whether it succeeded and what it earned may also be labelled later.

    Args:
        path: Folder of a bag, or a .db3 or .mcap file.
        layout: What to take from it.
        outcome: One of `episode.OUTCOMES`.
        is_offline: Mark the episode as offline data.
        threads: That decode images; None: one per core, at most four.

    Raises:
        FileNotFoundError: If there is no such bag.
        ValueError: If the bag is damaged, lacks a topic, its clocks jump or disagree, the topics do
            not overlap or are silent for too long, or a message is damaged or not finite; names
            the bag, the topic and the message. Also if the package rosbags is missing.
    """
    path = Path(path)
    decoder = Decoder()
    found = read_samples(path, layout, decoder)
    timed = found.samples[: -1 if layout.reward else None]
    grid_s = _grid(path, timed, layout)
    topics = report_topics(path, timed, grid_s, layout)
    threads = min(4, os.cpu_count() or 1) if threads is None else threads
    images = _images(path, timed, grid_s, decoder, threads)
    parts = [
        _resampled(path, samples, grid_s, images.get(index)) for index, samples in enumerate(timed)
    ]
    groups, first = {}, 0
    for name, signals in layout.observation.items():
        last = first + len(signals)
        groups |= _group(path, name, timed[first:last], parts[first:last], grid_s)
        first = last
    reward, outside = np.zeros(len(grid_s) - 1), 0
    if layout.reward:
        events = found.samples[-1]
        reward, outside = sum_events(events.times_s, events.values.sum(axis=1), grid_s)
    with blamed_on(path, "episode"):
        episode = Episode(
            observation={name: value[:-1] for name, value in groups.items()},
            action=np.concatenate(parts[first:], axis=1)[:-1],
            reward=reward,
            final_observation={name: value[-1] for name, value in groups.items()},
            policy="demonstration",
            outcome=outcome,
            is_offline=is_offline,
        )
    return ImportedBag(episode, topics, outside, found.clocks)


def _grid(path: Path, timed: list[Samples], layout: BagLayout) -> Array:
    """(T+1,) times that all topics cover; what is held needs only a beginning."""
    start = max(timed, key=lambda samples: samples.times_s[0])
    lasting = [s for s in timed if s.is_image or s.rule == "linear"] or timed
    end = min(lasting, key=lambda samples: samples.times_s[-1])
    grid_s = make_grid(start.times_s[0], end.times_s[-1], layout.rate_hz)
    if len(grid_s) < 2:
        raise ValueError(
            f"{path}: the topics share less than a step of {1 / layout.rate_hz:g} s: "
            f"{end.signal.topic} ends at {end.times_s[-1]:.3f} s, {start.signal.topic} begins at "
            f"{start.times_s[0]:.3f} s"
        )
    return grid_s


def _resampled(path: Path, samples: Samples, grid_s: Array, images: Array | None) -> Array:
    """(T+1, D) numbers, or (T+1, 3, h, w) images."""
    if images is not None:
        return images
    times_s, values, signal = samples.times_s, samples.values, samples.signal
    with blamed_on(path, signal.topic):
        if samples.rule == "linear":
            result = linear(times_s, values, grid_s)
        else:
            index, _ = latest(times_s, grid_s)
            times_s, result = grid_s, values[index]
        if samples.kind.has_rotation:
            rotations = values if samples.rule == "linear" else result
            result[:, ROTATION] = slerp_xyzw(
                times_s, rotations[:, ROTATION], grid_s, signal.reference_xyzw
            )
    return result


def _group(
    path: Path, name: str, signals: list[Samples], parts: list[Array], grid_s: Array
) -> dict[str, Array]:
    """A group of the observation; of a camera also the age of its images."""
    if not any(samples.is_image for samples in signals):
        return {name: np.concatenate(parts, axis=1)}
    if len(signals) > 1:
        raise ValueError(f"{path}: observation.{name}: a camera must be a group of its own")
    _, age_s = latest(signals[0].times_s, grid_s)
    return {name: parts[0], name + AGE: age_s[:, None]}


def _images(
    path: Path, timed: list[Samples], grid_s: Array, decoder: Decoder, threads: int
) -> dict[int, Array]:
    """(T+1, 3, h, w) uint8 for each signal, by its place, that is a camera.

    The bag is read on while other threads decode; codecs and copies work outside of Python's lock.
    """
    needed, result = _needed(timed, grid_s)

    def put(batch: Sequence[tuple[str, str, int, bytes]]) -> None:
        for topic, msgtype, number, data in batch:
            for place, rows in needed[topic][number]:
                with blamed_on(path, f"{topic}, message {number}"):
                    image = decoder.image(data, msgtype, timed[place].signal.fit())
                for row in rows:
                    result[place][row] = image

    if needed:
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for batch in batched(_chosen(path, needed), IMAGES_AT_ONCE):
                if len(waiting) == BATCHES_AT_ONCE:
                    waiting.popleft().result()
                waiting.append(pool.submit(put, batch))
            for future in waiting:
                future.result()
    return result


def _needed(
    timed: list[Samples], grid_s: Array
) -> tuple[dict[str, dict[int, list[tuple[int, Array]]]], dict[int, Array]]:
    """Where each message of each camera goes, by its number: signal and rows; and empty images."""
    needed: dict[str, dict[int, list[tuple[int, Array]]]] = {}
    images = {}
    for place, samples in enumerate(timed):
        if samples.is_image:
            size = samples.signal.fit()
            images[place] = np.empty((len(grid_s), 3, size.height, size.width), np.uint8)
            message = samples.message[latest(samples.times_s, grid_s)[0]]
            wanted = needed.setdefault(samples.signal.topic, {})
            for number in np.unique(message):
                rows = np.flatnonzero(message == number)
                wanted.setdefault(int(number), []).append((place, rows))
    return needed, images


def _chosen(path: Path, needed: dict[str, dict]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, number within the topic, and content of the messages that are needed."""
    count = dict.fromkeys(needed, 0)
    for topic, msgtype, _, data in read_messages(path, needed):
        if count[topic] in needed[topic]:
            yield topic, msgtype, count[topic], data
        count[topic] += 1
