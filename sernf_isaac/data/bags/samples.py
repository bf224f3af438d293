"""All samples a layout asks for in a bag, each topic on one clock that was checked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.bags.clocks import Times, check_clock, compare_clocks
from sernf_isaac.data.bags.file import read_messages
from sernf_isaac.data.bags.layout import BagLayout, Signal
from sernf_isaac.data.bags.messages import Decoder, Kind, header_stamp_ns, kind_of
from sernf_isaac.data.bags.plausible import check_one_publisher, in_units
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
    repeated: int = 0
    """Messages with the same time as the one after, which were left out."""
    foreign: int = 0
    """Messages of the topic that have none of the signal's joints: another publisher's."""

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
    clocks: str
    """How far the topics' clocks are apart, in words."""


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
        self.rows: list[list[list[float] | None]] = []

    def add(self, receive_ns: int, data: bytes, decoder: Decoder) -> None:
        """Of an image only the stamp is read."""
        self.stamp_ns.append(header_stamp_ns(data) if self._stamped else receive_ns)
        if self.kind.numbers is not None:
            self.rows.append(decoder.numbers(data, self.msgtype, self._asked))
        self.receive_ns.append(receive_ns)

    def own_times(self) -> Times:
        """Stamps and times of receipt, without those of other publishers, whose clocks differ."""
        foreign = {n for n, row in enumerate(self.rows) if all(part is None for part in row)}
        if not foreign or len(foreign) == len(self.rows):
            return self.stamp_ns, self.receive_ns
        own = [n for n in range(len(self.receive_ns)) if n not in foreign]
        return [self.stamp_ns[n] for n in own], [self.receive_ns[n] for n in own]


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
    times = {name: topic.own_times() for name, topic in topics.items()}
    for name, topic in topics.items():
        if any(signals[i].clock == "header" for i in topic.signals):
            with blamed_on(path, name):
                check_clock(*times[name], layout.max_clock_jump_s)
    clocks = compare_clocks(path, times, layout)
    origin_ns = min(min(min(t.stamp_ns), min(t.receive_ns)) for t in topics.values())
    return BagSamples(
        origin_ns,
        [
            _samples(path, i, signal, topics[signal.topic], origin_ns)
            for i, signal in enumerate(signals)
        ],
        clocks,
    )


def _samples(path: Path, index: int, signal: Signal, topic: _Topic, origin_ns: int) -> Samples:
    stamps = topic.stamp_ns if signal.clock == "header" else topic.receive_ns
    times_s = (np.asarray(stamps, np.int64) - origin_ns) / 1e9
    if topic.kind.numbers is None:
        kept = np.flatnonzero(np.append(np.diff(times_s) > 0, True))  # of equal times, the last
        repeated, nothing = len(times_s) - len(kept), np.zeros((len(kept), 0))
        return Samples(signal, topic.kind, times_s[kept], kept, nothing, repeated)
    place = topic.signals.index(index)
    rows = [row[place] for row in topic.rows]
    mine = np.array([number for number, row in enumerate(rows) if row is not None], np.int64)
    where = f"{path}: {signal.topic}"
    if not len(mine):
        asked = ", ".join(signal.joints)
        raise ValueError(f"{where}: none of its {len(rows)} messages names any of {asked}")
    values = in_units(where, mine, _table(where, mine, [rows[number] for number in mine]), signal)
    times_s = times_s[mine]
    last = np.append(np.diff(times_s) > 0, True)
    if signal.clock == "header" and topic.kind.has_header:
        check_one_publisher(where, mine, times_s, values, signal, topic.kind)
    left_out = {"repeated": int((~last).sum()), "foreign": len(rows) - len(mine)}
    return Samples(signal, topic.kind, times_s[last], mine[last], values[last], **left_out)


def _table(where: str, message: Array, rows: list[list[float]]) -> Array:
    """(S, D) numbers of rows that must be equally long."""
    for number, row in zip(message, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{where}, message {number}: {len(row)} numbers, the first one has {len(rows[0])}"
            )
    return np.asarray(rows, np.float64).reshape(len(rows), -1)
