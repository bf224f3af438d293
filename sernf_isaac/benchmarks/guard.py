"""Feeds a guard everything a broken policy could come up with, and judges what it lets through.

The judge knows the limits and nothing of how the guard works. `Unguarded` is the negative control:
if the judge finds nothing wrong with it, the judge is broken.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tqdm import tqdm

from sernf_isaac.deploy.hand.guard import Guard, GuardLimits
from sernf_isaac.deploy.protocols import Array, HandDescription

BLOCK = 1000
ROUNDING = 1e-9
_NO_VECTORS: tuple[Callable[[Array], object], ...] = (
    lambda _: None,
    lambda _: "nonsense",
    lambda _: [1.0, "x"],
    lambda _: {},
    lambda _: object(),
    lambda action: [10**400] * len(action),
    lambda action: action + 1j,
    lambda action: action.astype(str),
    lambda action: np.ma.masked_array(action, np.arange(len(action)) == 0),
)
"""What else a policy may say, given an action of the right shape."""


class Filter(Protocol):
    """What stands between policy and motors."""

    def restart(self, measured: Array) -> None: ...
    def accept(self, action: object) -> bool: ...
    def step(self, measured: Array) -> Array: ...


class Unguarded:
    """Negative control: what many stacks do, `numpy.clip` and nothing else; NaN passes it."""

    def __init__(self, hand: HandDescription) -> None:
        self._lower, self._upper = np.array(hand.lower_rad), np.array(hand.upper_rad)
        self._command = (self._lower + self._upper) / 2

    def restart(self, measured: Array) -> None:
        """Begin where the hand is."""
        self._command = np.array(measured)

    def accept(self, action: object) -> bool:
        """Take anything that has the right shape."""
        try:
            wanted = np.asarray(np.real(action), np.float64)  # type: ignore[arg-type]  # may be anything
        except (TypeError, ValueError, OverflowError):
            return False
        if wanted.shape != self._lower.shape:
            return False
        self._command = np.clip(wanted, self._lower - 0.1, self._upper + 0.1)  # slightly wrong
        return True

    def step(self, measured: Array) -> Array:
        """Pass it on."""
        del measured
        return self._command.copy()


@dataclass
class FuzzReport:
    """What the judge found."""

    commands: int = 0
    outside: int = 0
    """Commands with a joint outside its range, or not finite."""
    too_fast: int = 0
    too_abrupt: int = 0
    """Commands whose speed differs too much from the one before."""
    refused: int = 0
    """Inputs that were not taken."""
    us_per_command: float = 0.0

    @property
    def violations(self) -> int:
        """All of them."""
        return self.outside + self.too_fast + self.too_abrupt


def fuzz_guard(
    hand: HandDescription,
    limits: GuardLimits,
    count: int,
    *,
    seed: int = 0,
    rate_hz: float = 40.0,
    control: bool = False,
) -> FuzzReport:
    """Try `count` inputs, one per command.

    Args:
        hand: The joints.
        limits: What the guard enforces.
        count: Inputs.
        seed: Of the inputs.
        rate_hz: Commands per second.
        control: Judge `Unguarded` instead.
    """
    guard: Filter = Unguarded(hand) if control else Guard(hand, limits, 1.0 / rate_hz)
    rng = np.random.default_rng(seed)
    report, judge = FuzzReport(), _Judge(hand, limits, rate_hz)
    measured = (np.array(hand.lower_rad) + np.array(hand.upper_rad)) / 2
    guard.restart(measured)
    seconds = 0.0
    with tqdm(total=count, desc="fuzz", unit="command", leave=False) as bar:
        while report.commands < count:
            sent = []
            for action, slip in _inputs(rng, hand.num_joints, min(BLOCK, count - report.commands)):
                began_s = time.perf_counter()
                report.refused += not guard.accept(action)
                command = guard.step(measured)
                seconds += time.perf_counter() - began_s
                sent.append(command)
                measured = np.where(np.isfinite(command), command, 0.0) + slip
            judge.look(np.array(sent), report)
            bar.update(len(sent))
    report.us_per_command = 1e6 * seconds / count
    return report


class _Judge:
    """Counts violations over consecutive blocks of commands."""

    def __init__(self, hand: HandDescription, limits: GuardLimits, rate_hz: float) -> None:
        self._lower, self._upper = np.array(hand.lower_rad), np.array(hand.upper_rad)
        self._speed = limits.max_speed_rad_s / rate_hz + ROUNDING
        self._change = limits.max_acceleration_rad_s2 / rate_hz**2 + ROUNDING
        self._before: Array | None = None  # (2, A) the last two commands

    def look(self, sent: Array, report: FuzzReport) -> None:
        """A block (T, A)."""
        inside = ((sent >= self._lower) & (sent <= self._upper)).all(axis=1)
        report.commands += len(sent)
        report.outside += int((~inside).sum())
        known = sent if self._before is None else np.concatenate([self._before, sent])
        self._before = known[-2:]
        with np.errstate(invalid="ignore"):
            speed = np.diff(known, axis=0)
            change = np.diff(speed, axis=0)
            new = slice(0, None) if len(known) == len(sent) else slice(1, None)
            report.too_fast += int((~(np.abs(speed[new]) <= self._speed).all(axis=1)).sum())
            report.too_abrupt += int((~(np.abs(change) <= self._change).all(axis=1)).sum())


def _inputs(rng: np.random.Generator, joints: int, count: int) -> Iterator[tuple[object, Array]]:
    """Pairs of a policy's output, of any kind, and how far the sensors are from the command."""
    size = 10.0 ** rng.uniform(-3, 3, (count, 1))
    numbers = size * rng.standard_normal((count, joints))
    kinds = rng.integers(0, 14, count)
    slips = rng.normal(0.0, 0.05, (count, joints))
    slips[rng.random(count) < 0.02] = rng.normal(0.0, 3.0, joints)  # a sensor that jumps
    evil = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -0.0, np.finfo(float).max])
    for kind, action, slip in zip(kinds.tolist(), numbers, slips, strict=True):
        if kind in (7, 8):
            hit = rng.random(joints) < rng.random()
            action = np.where(hit, rng.choice(evil, joints), action)
        elif kind == 9:
            action = np.full(joints, rng.choice(evil))
        elif kind == 10:
            wrong = [action[:-1], action[:, None], np.float64(1.0), np.zeros(0), action[None]]
            action = wrong[rng.integers(len(wrong))]
        elif kind == 11:
            action = _NO_VECTORS[rng.integers(len(_NO_VECTORS))](action)
        elif kind == 12:
            action = action.astype(np.float16)  # overflows to inf now and then
        elif kind == 13:
            action = np.sign(action) * 100.0  # from one end to the other
        yield action, slip
