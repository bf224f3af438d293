"""Clocks of a bag's topics, compared with the recorder's and with each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sernf_isaac.data.bags.layout import BagLayout

PARTS = 5
"""Clocks are compared in the first and in the last fifth of a bag, so that drift shows."""

Times = tuple[Sequence[int], Sequence[int]]
"""Stamps and times of receipt of a topic's messages, in nanoseconds."""


def check_clock(stamp_ns: Sequence[int], receive_ns: Sequence[int], max_jump_s: float) -> None:
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


def compare_clocks(path: Path, topics: Mapping[str, Times], layout: BagLayout) -> str:
    """How far the topics' clocks are apart, in words and in steps.

    Raises:
        ValueError: If it is more than `max_clock_offset_s`; names the two topics.
    """
    worst_s, first, last = 0.0, "", ""
    for late_s in _late_s(topics):
        low, high = min(late_s, key=late_s.__getitem__), max(late_s, key=late_s.__getitem__)
        if (apart_s := late_s[high] - late_s[low]) > worst_s:
            worst_s, first, last = apart_s, low, high
    steps = worst_s * layout.rate_hz
    what = f"the clocks of {first} and {last} differ by {worst_s:.3f} s, {steps:.2f} steps"
    if worst_s > layout.max_clock_offset_s:
        raise ValueError(
            f"{path}: {what} (stamps against times of receipt; max_clock_offset_s is "
            f"{layout.max_clock_offset_s:g}); synchronise the machines, or set clock: receive for "
            "all topics"
        )
    if steps > 1.0:
        return f"{what}, by their stamps against their receipt; is that latency?"
    return f"the clocks of all topics agree to {steps:.2f} steps"


def _late_s(topics: Mapping[str, Times]) -> list[dict[str, float]]:
    """How long after its stamp a message of each topic is received: at the beginning, at the end.

    The median, because recorders stall.
    """
    starts = [receive_ns[0] for _, receive_ns in topics.values()]
    ends = [receive_ns[-1] for _, receive_ns in topics.values()]
    part = (max(ends) - min(starts)) / PARTS
    limits = ((min(starts), min(starts) + part), (max(ends) - part, max(ends)))
    found = []
    for low, high in limits:
        late_s = {}
        for name, (stamp_ns, receive_ns) in topics.items():
            received = np.asarray(receive_ns, np.int64)
            late = (received - np.asarray(stamp_ns, np.int64)) / 1e9
            inside = (received >= low) & (received <= high)
            late_s[name] = float(np.median(late[inside] if inside.any() else late))
        found.append(late_s)
    return found
