"""All samples a layout asks for in a bag, each topic on one clock that was checked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.bags.file import read_messages
from sernf_isaac.data.bags.layout import BagLayout, Signal
from sernf_isaac.data.bags.messages import Decoder, Kind, header_stamp_ns, kind_of
from sernf_isaac.data.checks import blamed_on
from sernf_isaac.data.episode import Array


@dataclass
class Samples:
    """What one signal takes from its topic, in order of time, without repeated times."""

    signal: Signal
    kind: Kind
    times_s: Array
    """(S,) seconds since `BagSamples.origin_ns`."""
    message: Array
    """(S,) number of each sample's message within its topic."""
    values: Array
    """(S, D); (S, 0) for images."""

    @property
    def is_image(self) -> bool:
        """Whether the messages are images, which are read when it is known which are needed."""
        return self.kind.numbers is None

    @property
    def rule(self) -> str:
        """How to bring it to another clock: "linear" or "latest"."""
        return self.kind.rule if self.signal.rule == "auto" else self.signal.rule


@dataclass
class BagSamples:
    """The samples of all signals of a layout, in its order."""

    origin_ns: int
    """Time 0, on the clock of the stamps."""
    samples: list[Samples]


class _Topic:
    """What accumulates while a topic is read."""

    def __init__(self, name: str, msgtype: str, layout: BagLayout) -> None:
        self.msgtype, self.kind = msgtype, kind_of(msgtype)
        asked = [(i, signal) for i, signal in enumerate(layout.signals) if signal.topic == name]
        self.signals = [i for i, _ in asked]
        self._asked = [signal for _, signal in asked]
        self._stamped = self.kind.has_header and any(s.clock == "header" for s in self._asked)
        self.receive_ns: list[int] = []
        self.stamp_ns: list[int] = []
        self.rows: list[list[list[float]]] = []

    def add(self, receive_ns: int, data: bytes, decoder: Decoder) -> None:
        """Of an image only the stamp is read."""
        self.stamp_ns.append(header_stamp_ns(data) if self._stamped else receive_ns)
        if self.kind.numbers is not None:
            self.rows.append(decoder.numbers(data, self.msgtype, self._asked))
        self.receive_ns.append(receive_ns)


def read_samples(path: Path, layout: BagLayout, decoder: Decoder) -> BagSamples:
    """Read a bag once, without its images.

    Raises:
        FileNotFoundError, ValueError: As for `load_bag`.
    """
    topics: dict[str, _Topic] = {}
    for name, msgtype, receive_ns, data in read_messages(path, {s.topic for s in layout.signals}):
        if name not in topics:
            with blamed_on(path, name):
                topics[name] = _Topic(name, msgtype, layout)
        topic = topics[name]
        try:  # a context manager per message would cost a tenth of the time
            topic.add(receive_ns, data, decoder)
        except ValueError as error:
            raise ValueError(f"{path}: {name}, message {len(topic.receive_ns)}: {error}") from error
    return _on_one_clock(path, layout, topics)


def _on_one_clock(path: Path, layout: BagLayout, topics: dict[str, _Topic]) -> BagSamples:
    signals = layout.signals
    for name, topic in topics.items():
        if any(signals[i].clock == "header" for i in topic.signals):
            with blamed_on(path, name):
                check_clock(topic.stamp_ns, topic.receive_ns, layout.max_clock_jump_s)
    _check_clocks_agree(path, topics, layout.max_clock_jump_s)
    origin_ns = min(min(min(t.stamp_ns), min(t.receive_ns)) for t in topics.values())
    return BagSamples(
        origin_ns,
        [
            _samples(path, i, signal, topics[signal.topic], origin_ns)
            for i, signal in enumerate(signals)
        ],
    )


def check_clock(stamp_ns: list[int], receive_ns: list[int], max_jump_s: float) -> None:
    """An error if stamps go back, or leap ahead of the time of receipt.

    A recorder that stalls makes receipt leap ahead of the stamps, which harms nothing.

    Raises:
        ValueError: Names the message and the leap.
    """
    steps_s = np.diff(np.asarray(stamp_ns, np.int64)) / 1e9
    leaps_s = steps_s - np.diff(np.asarray(receive_ns, np.int64)) / 1e9
    if (back := np.flatnonzero(steps_s < 0)).size:
        raise ValueError(
            f"its clock jumps by {steps_s[back[0]]:+.3f} s at message {back[0] + 1}; "
            "clock: receive uses the recorder's instead"
        )
    if (ahead := np.flatnonzero(leaps_s > max_jump_s)).size:
        raise ValueError(
            f"its clock jumps by {leaps_s[ahead[0]]:+.3f} s at message {ahead[0] + 1}, the "
            "recorder's does not; clock: receive uses the recorder's instead"
        )


def _check_clocks_agree(path: Path, topics: dict[str, _Topic], limit_s: float) -> None:
    late_s = {
        name: float(np.median(np.subtract(topic.receive_ns, topic.stamp_ns))) / 1e9
        for name, topic in topics.items()
    }
    first, last = min(late_s, key=late_s.__getitem__), max(late_s, key=late_s.__getitem__)
    if (apart_s := late_s[last] - late_s[first]) > limit_s:
        raise ValueError(
            f"{path}: the clocks of {first} and {last} differ by {apart_s:.3f} s (stamps against "
            "times of receipt); synchronise the machines, or set clock: receive for all topics"
        )


def _samples(path: Path, index: int, signal: Signal, topic: _Topic, origin_ns: int) -> Samples:
    stamps = topic.stamp_ns if signal.clock == "header" else topic.receive_ns
    times_s = (np.asarray(stamps, np.int64) - origin_ns) / 1e9
    kept = np.flatnonzero(np.append(np.diff(times_s) > 0, True))  # of equal times, the last
    place = topic.signals.index(index)
    rows = [topic.rows[i][place] for i in kept] if topic.rows else [[] for _ in kept]
    for message, row in zip(kept, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path}: {signal.topic}, message {message}: {len(row)} numbers, the first one "
                f"has {len(rows[0])}"
            )
    values = np.asarray(rows, np.float64).reshape(len(kept), -1 if topic.rows else 0)
    if not (finite := np.isfinite(values)).all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        name = signal.joints[column] if signal.joints else f"number {column}"
        raise ValueError(
            f"{path}: {signal.topic}, message {kept[row]}: {name} is {values[row, column]}"
        )
    return Samples(signal, topic.kind, times_s[kept], kept, values)
