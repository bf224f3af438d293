"""A step of an open episode as the bytes of a log record, and logged records as an episode."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from sernf_isaac.data.episode import FLAGS, Array, Episode
from sernf_isaac.data.store.wal import Log, Part

SCHEMA = "sernf-isaac-log/1"


@dataclass(frozen=True)
class StepLayout:
    """What one row of an episode's log holds, all float32, in this order."""

    observation: dict[str, int]
    """Group names and how many numbers each has; images do not go through the log."""
    action_dim: int
    policy: str = ""
    is_offline: bool = False
    schema: str = SCHEMA

    @property
    def width(self) -> int:
        """Numbers per row."""
        return sum(self.observation.values()) + self.action_dim + 1 + len(FLAGS)

    def to_dict(self) -> dict:
        """Plain values for a log's header."""
        return asdict(self)

    def pack(self, step: "Step") -> bytes:
        """One row.

        Raises:
            ValueError: If a group is missing, unknown, of the wrong size or not finite.
        """
        if step.observation.keys() != self.observation.keys():
            raise ValueError(
                f"step has groups {sorted(step.observation)}, expected {sorted(self.observation)}"
            )
        for name, size in self.observation.items():
            _check_size(f"observation {name!r}", step.observation[name], size)
        _check_size("action", step.action, self.action_dim)
        flags = [float(getattr(step, name)) for name in FLAGS]
        groups = [step.observation[name] for name in self.observation]
        row = np.concatenate([*groups, step.action, [step.reward], flags]).astype(np.float32)
        if not np.isfinite(row).all():
            raise ValueError(f"step holds a number that is not finite: {step}")
        return row.tobytes()

    def columns(self, rows: Array) -> dict[str, Array]:
        """(T, width) as the arrays of an episode."""
        arrays, start = {}, 0
        sizes = {f"observation.{name}": size for name, size in self.observation.items()}
        for name, size in (sizes | {"action": self.action_dim}).items():
            arrays[name] = rows[:, start : start + size]
            start += size
        return arrays | {name: rows[:, start + i] for i, name in enumerate(("reward", *FLAGS))}


@dataclass(frozen=True)
class Step:
    """What happened at one control step; see `Episode` for the meaning of each field."""

    observation: Mapping[str, Array]
    action: Array
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    decision: bool = True
    intervened: bool = False
    overridden: bool = False


def _check_size(name: str, value: Array, size: int) -> None:
    if np.shape(value) != (size,):
        raise ValueError(f"step has {name} of shape {np.shape(value)}, expected ({size},)")


@dataclass(frozen=True)
class Ending:
    """How an episode ended: all that the steps do not say."""

    outcome: str
    final_observation: Mapping[str, Array] = field(default_factory=dict)
    planned: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def pack(self) -> bytes:
        """Payload of a log's last record."""
        final = {
            name: np.asarray(value, np.float32).tolist()
            for name, value in self.final_observation.items()
        }
        planned = np.asarray(self.planned, np.float32).tolist()
        content = {"outcome": self.outcome, "final_observation": final, "planned": planned}
        return json.dumps(content).encode()


def episodes_from_log(log: Log) -> list[Episode]:
    """The logged episode; one episode per part where records are missing, so that none has a gap.

    The outcome is "recovered" if the episode was never finished or steps are missing.

    Raises:
        ValueError: If the log has another schema or its content is no valid episode.
    """
    if log.header.get("schema") != SCHEMA:
        raise ValueError(f"log schema {log.header.get('schema')!r} is unknown")
    layout, last = StepLayout(**log.header), len(log.parts) - 1
    return [
        _episode(layout, part, log.end if number == last else None, is_whole=not log.missing)
        for number, part in enumerate(log.parts)
    ]


def _episode(layout: StepLayout, part: Part, ending: bytes | None, *, is_whole: bool) -> Episode:
    rows = np.frombuffer(b"".join(part.steps), np.float32).reshape(-1, layout.width)
    arrays = layout.columns(rows)
    end: dict = json.loads(ending) if ending is not None else {"outcome": "recovered"}
    for name, value in end.get("final_observation", {}).items():
        arrays[f"final_observation.{name}"] = np.asarray(value, np.float32)
    if end.get("planned"):
        arrays["planned"] = np.asarray(end["planned"], np.float32)
    if ending is None:
        arrays["truncated"] = np.zeros(0, np.float32)  # cut off wherever it was
    outcome = end["outcome"] if is_whole else "recovered"
    return Episode.from_arrays(
        arrays, policy=layout.policy, outcome=outcome, is_offline=layout.is_offline
    )
