"""One episode in memory: what was observed, executed and earned, step by step.

Everything before this file produces episodes; `windows.py` is the only one that cuts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
FLAGS = ("terminated", "truncated", "decision", "intervened", "overridden")
OUTCOMES = ("unknown", "success", "failure", "timeout", "stopped", "recovered")
OBSERVATION, FINAL = "observation.", "final_observation."
"""What the names of observation arrays start with in flat files."""


def _empty() -> Array:
    return np.zeros(0, np.float32)


@dataclass
class Episode:
    """T steps of one episode and how it ended; validated when it is made.

    Step t is: see o_t, execute a_t, earn r_t. Images stay uint8, flags become bool, all other
    numbers float32. Optional arrays left empty get the defaults their docstrings name.

    Raises:
        ValueError: If an array has the wrong shape or holds a number that is not finite; names the
            array and the index.
    """

    observation: dict[str, Array]
    """Groups by name, each (T, ...): what was seen before the action of the same step."""
    action: Array
    """(T, A) *executed* actions: the queue's, or whatever replaced them."""
    reward: Array
    """(T,) reward of executing the action of the same step."""
    terminated: Array = field(default_factory=_empty)
    """(T,) bool: the future is worth nothing after this step. Default: never. True before the last
    step only in relabelled data, where the robot went on after reaching a goal."""
    truncated: Array = field(default_factory=_empty)
    """(T,) bool: stopped from outside after this step (timeout, operator); the last step only.
    Default: the last step, unless it terminated."""
    decision: Array = field(default_factory=_empty)
    """(T,) bool: the policy decided on this step's observation. Default: every step."""
    intervened: Array = field(default_factory=_empty)
    """(T,) bool: a human chose this action. Default: never."""
    overridden: Array = field(default_factory=_empty)
    """(T,) bool: safety, or a policy that stood in, replaced this action. Default: never."""
    final_observation: dict[str, Array] = field(default_factory=dict)
    """Groups by name, each (...): what was seen after the last step. Default: not recorded."""
    planned: Array = field(default_factory=_empty)
    """(Q, A) actions still queued when the episode ended, for steps T, T+1, ... Default: none."""
    policy: str = ""
    """Who acted, such as a checkpoint's name."""
    outcome: str = "unknown"
    """One of `OUTCOMES`."""
    is_offline: bool = False
    """Whether the episode belongs to the offline data (paper IV-D)."""

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is none of {OUTCOMES}")
        self.action = _numbers("action", self.action)
        if self.action.ndim != 2 or not self.action.size:
            raise ValueError(f"action has shape {self.action.shape}, expected (T, A), T and A >= 1")
        self.reward = _of_length("reward", _numbers("reward", self.reward), len(self))
        self._check_flags()
        self._check_observations()
        self._check_plan()

    def __len__(self) -> int:
        """T, the number of steps."""
        return len(self.action)

    @property
    def action_dim(self) -> int:
        """A."""
        return self.action.shape[1]

    def _check_flags(self) -> None:
        ended = np.zeros(len(self), bool)
        ended[-1] = True
        never = np.zeros(len(self), bool)
        terminated = np.asarray(self.terminated)
        terminated = terminated if terminated.size else never
        defaults = {
            "terminated": never,
            "truncated": ended & ~(terminated[-1:].astype(bool).any()),
            "decision": ~never,
            "intervened": never,
            "overridden": never,
        }
        for name in FLAGS:
            given = np.asarray(getattr(self, name))
            flag = _flag(name, given, len(self)) if given.size else defaults[name]
            setattr(self, name, flag)
        if (early := np.flatnonzero(self.truncated[:-1])).size:
            raise ValueError(
                f"truncated is true at step {early[0]} of {len(self)}; an episode ends there, "
                "what follows is another one"
            )

    def _check_observations(self) -> None:
        if not self.observation:
            raise ValueError("observation is empty; an episode needs at least one group")
        for name, value in self.observation.items():
            value = _numbers(f"observation {name!r}", value)
            self.observation[name] = _of_length(f"observation {name!r}", value, len(self), 2)
        if not self.final_observation:
            return
        unknown = sorted(set(self.final_observation) ^ set(self.observation))
        if unknown:
            raise ValueError(f"final_observation and observation differ in groups {unknown}")
        for name, value in self.final_observation.items():
            value = _numbers(f"final_observation {name!r}", value)
            expected = self.observation[name].shape[1:]
            if value.shape != expected:
                raise ValueError(
                    f"final_observation {name!r} has shape {value.shape}, expected {expected}"
                )
            self.final_observation[name] = value.astype(self.observation[name].dtype, copy=False)

    def _check_plan(self) -> None:
        planned = _numbers("planned", self.planned)
        if not planned.size:
            planned = np.zeros((0, self.action_dim), np.float32)
        if planned.ndim != 2 or planned.shape[1] != self.action_dim:
            raise ValueError(f"planned has shape {planned.shape}, expected (Q, {self.action_dim})")
        self.planned = planned

    def to_arrays(self) -> dict[str, Array]:
        """All arrays under flat names, for a file."""
        plain = ("action", "reward", *FLAGS, "planned")
        return (
            {name: getattr(self, name) for name in plain}
            | {OBSERVATION + name: value for name, value in self.observation.items()}
            | {FINAL + name: value for name, value in self.final_observation.items()}
        )

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], *, policy: str, outcome: str, is_offline: bool
    ) -> "Episode":
        """The inverse of `to_arrays`.

        Raises:
            ValueError: If an array is unknown or missing, or as for `Episode`.
        """
        plain = {"action", "reward", *FLAGS, "planned"}
        unknown = [n for n in arrays if n not in plain and not n.startswith((OBSERVATION, FINAL))]
        missing = [name for name in ("action", "reward") if name not in arrays]
        if unknown or missing:
            raise ValueError(f"episode has unknown arrays {sorted(unknown)} and lacks {missing}")
        return cls(
            **{name: arrays[name] for name in plain if name in arrays},
            observation=_below(arrays, OBSERVATION),
            final_observation=_below(arrays, FINAL),
            policy=policy,
            outcome=outcome,
            is_offline=is_offline,
        )


def _below(arrays: Mapping[str, Array], start: str) -> dict[str, Array]:
    return {n.removeprefix(start): value for n, value in arrays.items() if n.startswith(start)}


def _numbers(name: str, value: Array) -> Array:
    """As float32, or as the uint8 it is; an error where a number is not finite."""
    value = np.asarray(value)
    if value.dtype == np.uint8:
        return value
    if value.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {value.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf, which is caught
        value = value.astype(np.float32, copy=False)
    if not (finite := np.isfinite(value)).all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"{name} is {value[index]} at index {index}")
    return value


def _of_length(name: str, value: Array, steps: int, min_dims: int = 1) -> Array:
    right_rank = value.ndim >= min_dims if min_dims > 1 else value.ndim == 1
    if not right_rank or len(value) != steps:
        expected = f"({steps}, ...)" if min_dims > 1 else f"({steps},)"
        raise ValueError(f"{name} has shape {value.shape}, expected {expected}")
    return value


def _flag(name: str, value: Array, steps: int) -> Array:
    value = _of_length(name, value, steps)
    if (odd := np.flatnonzero((value != 0) & (value != 1))).size:
        raise ValueError(f"{name} is {value[odd[0]]} at index {odd[0]}, expected 0 or 1")
    return value.astype(bool)
