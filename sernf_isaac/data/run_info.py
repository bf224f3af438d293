"""What the `run.json` of an episode store says about its steps: their rate, what a column is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.data.store.files import read_json

ACTION = "action"


@dataclass(frozen=True)
class SourceInfo:
    """What one source says about its episodes; what it does not say is missing."""

    rate_hz: float | None = None
    """Steps per second."""
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By observation group, and under "action": what each column is, such as a joint; or, where
    starting with a slash, the topic that a part of the columns is from."""


def info_of_run(run: Path) -> SourceInfo:
    """What a run says.

    Raises:
        ValueError: If its rate is no number above 0.
    """
    path = run / "run.json"
    content = read_json(path)
    rate_hz = content.get("control_rate_hz")
    if rate_hz is not None and (not isinstance(rate_hz, int | float) or not 0 < rate_hz < 1e6):
        raise ValueError(f"{path}: control_rate_hz is {rate_hz!r}, expected a number above 0")
    columns: dict[str, tuple[str, ...]] = {}
    if isinstance(layout := content.get("layout"), dict):
        columns |= _of_layout(layout)
    for key in ("joint_names", "action_names"):
        if isinstance(content.get(key), list):
            columns[ACTION] = tuple(map(str, content[key]))
    if isinstance(named := content.get("columns"), dict):
        columns |= {group: tuple(map(str, names)) for group, names in named.items()}
    return SourceInfo(None if rate_hz is None else float(rate_hz), columns)


def _of_layout(layout: Mapping) -> dict[str, tuple[str, ...]]:
    """Columns of the groups of a bag's layout, as `run.json` keeps it."""
    groups = dict(layout.get("observation") or {}) | {ACTION: layout.get("action") or []}
    return {
        group: tuple(name for signal in signals for name in signal_columns(signal))
        for group, signals in groups.items()
    }


def signal_columns(signal: Mapping) -> list[str]:
    """What a signal's columns are: its joints, or its topic."""
    kind = signal.get("field", "position")
    joints = [str(joint) for joint in signal.get("joints") or ()]
    if joints:
        return joints if kind == "position" else [f"{joint} {kind}" for joint in joints]
    reference = [float(part) for part in signal.get("reference_xyzw") or ()]
    turned = [] if reference in ([], [0, 0, 0, 1]) else [f"rotations near {reference}"]
    return [str(signal.get("topic")), *turned]
