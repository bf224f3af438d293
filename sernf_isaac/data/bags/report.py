"""What an imported bag was like: rates, gaps, and what of each topic lies outside the episode."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.bags.layout import BagLayout
from sernf_isaac.data.bags.messages import ROTATION
from sernf_isaac.data.bags.resample import find_gaps, latest, seam_distance
from sernf_isaac.data.bags.samples import Samples
from sernf_isaac.data.episode import Array

NEAR_SEAM = 0.1
"""A rotation this near to where the sign of its quaternion flips is worth a warning."""


@dataclass(frozen=True)
class TopicReport:
    """One topic of an imported bag. Times are seconds since the episode's first observation."""

    samples: int
    rate_hz: float
    """One over the median time between samples; 0 for a single one."""
    unused_before_s: float
    """How long the topic was recorded before the episode begins: the others were not there yet."""
    unused_after_s: float
    """How long after it ends; negative for a held value that was last sent before."""
    gaps: tuple[tuple[float, float], ...]
    """Start and length of each silence longer than two steps, in seconds."""
    repeated: int
    """Messages with the same time as the one after, which were left out."""
    max_age_s: float
    """Of images and held values: how old the oldest is."""
    foreign: int = 0
    """Messages of other publishers, which have none of the joints asked for; left out."""
    warnings: tuple[str, ...] = ()

    def lines(self, topic: str) -> list[str]:
        """What a person should know; nothing where all is well."""
        found = list(self.warnings)
        found += [f"silent for {length:.2f} s at {at:.2f} s" for at, length in self.gaps]
        if self.repeated:
            found.append(f"{self.repeated} messages repeat the time of another")
        if self.foreign:
            found.append(
                f"{self.foreign} messages have none of the joints asked for; they are another "
                "publisher's and were left out"
            )
        return [f"{topic}: {line}" for line in found]


def report_topics(
    path: Path, timed: list[Samples], grid_s: Array, layout: BagLayout
) -> dict[str, TopicReport]:
    """A report per topic.

    Raises:
        ValueError: If a topic is silent for longer than may be bridged, or so slow that most of its
            steps would be made up; names it with the time or the rates.
    """
    return {samples.signal.topic: _report(path, samples, grid_s, layout) for samples in timed}


def _report(path: Path, samples: Samples, grid_s: Array, layout: BagLayout) -> TopicReport:
    times_s = samples.times_s
    rate_hz = float(1 / np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    if samples.rule == "linear" and 0 < 2 * rate_hz < layout.rate_hz:
        raise ValueError(
            f"{path}: {samples.signal.topic} is sampled at {rate_hz:.4g} Hz, the layout asks for "
            f"{layout.rate_hz:g} steps per second (rate_hz): most steps would be made up. Lower "
            "rate_hz, or hold its values with rule: latest"
        )
    is_held = samples.rule == "latest" and not samples.is_image
    window = float(grid_s[0]), float(grid_s[-1])
    gaps = find_gaps(times_s, 2 / layout.rate_hz + 1e-6, window)
    if is_held:
        gaps = gaps[:0]
    if len(gaps) and (longest := gaps[np.argmax(gaps[:, 1])])[1] > layout.max_gap_s:
        raise ValueError(
            f"{path}: {samples.signal.topic} is silent for {longest[1]:.3f} s from "
            f"{longest[0]:.3f} s on; max_gap_s is {layout.max_gap_s:g}"
        )
    age_s = latest(times_s, grid_s)[1].max() if samples.rule == "latest" else 0.0
    return TopicReport(
        samples=len(times_s),
        rate_hz=rate_hz,
        unused_before_s=float(grid_s[0] - times_s[0]),
        unused_after_s=float(times_s[-1] - grid_s[-1]),
        gaps=tuple((float(at - grid_s[0]), float(length)) for at, length in gaps),
        repeated=samples.repeated,
        max_age_s=float(age_s),
        foreign=samples.foreign,
        warnings=(*_slow(samples, rate_hz, layout.rate_hz), *_seam(samples)),
    )


def _slow(samples: Samples, rate_hz: float, step_hz: float) -> tuple[str, ...]:
    if not 0 < rate_hz < 0.95 * step_hz or not (samples.is_image or samples.rule == "linear"):
        return ()
    what = "images repeat" if samples.is_image else "some numbers are drawn between two"
    return (f"sampled at {rate_hz:.4g} Hz, the steps are at {step_hz:g} Hz: {what}",)


def _seam(samples: Samples) -> tuple[str, ...]:
    if not samples.kind.has_rotation:
        return ()
    reference = samples.signal.reference_xyzw
    near = seam_distance(samples.values[:, ROTATION], reference)
    if near > NEAR_SEAM:
        return ()
    return (
        f"rotations come to {near:.3f} of where the quaternion's sign flips; "
        "choose reference_xyzw in the middle of the workspace",
    )
