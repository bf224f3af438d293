"""The safety figures: measured, held against their targets, printed as a table."""

import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.benchmarks.guard import fuzz_guard
from sernf_isaac.benchmarks.silence import ideal_setup, lateness_under_load_ms, silence_trials
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.hand.server import COMMAND_RATE_HZ
from sernf_isaac.deploy.loop.states import SafetyTiming
from sernf_isaac.deploy.protocols import HandDescription

MAX_LATENESS_MS = 5.0
MAX_ROUND_TRIP_RAD = 1e-9


@dataclass(frozen=True)
class SafetyRequest:
    """How thoroughly to measure."""

    fuzz: int = 1_000_000
    """Inputs to the guard."""
    trials: int = 50
    """Actors killed, and as many stalled."""
    seconds: float = 30.0
    """Of the loop under load."""
    seed: int = 0


def safety_figures(hand: HandDescription, request: SafetyRequest) -> dict[str, float]:
    """All figures by name; `safety_table` judges them.

    Args:
        hand: The joints.
        request: How thoroughly.
    """
    limits, timing = GuardLimits(), SafetyTiming()
    guarded = fuzz_guard(hand, limits, request.fuzz, seed=request.seed)
    control = fuzz_guard(hand, limits, request.fuzz // 10, seed=request.seed, control=True)
    figures = {
        "fuzzed commands": float(guarded.commands),
        "fuzz: outside the limits": float(guarded.outside),
        "fuzz: too fast": float(guarded.too_fast),
        "fuzz: too abrupt": float(guarded.too_abrupt),
        "fuzz: inputs refused": float(guarded.refused),
        "fuzz: us per command": guarded.us_per_command,
        "negative control: violations": float(control.violations),
        "HOLD limit [ms]": 1e3 * (timing.command_timeout_s + 1.0 / COMMAND_RATE_HZ),
    }
    for how, name in ((signal.SIGKILL, "killed"), (signal.SIGSTOP, "stalled")):
        found = silence_trials(hand, request.trials, how=how, seed=request.seed)
        times = found.held_ms or [np.inf]
        figures[f"actors {name}"] = float(request.trials)
        figures[f"actor {name}: HOLD, mean [ms]"] = float(np.mean(times))
        figures[f"actor {name}: HOLD, worst [ms]"] = max(times)
        figures[f"actor {name}: never held"] = float(found.never_held)
    with tempfile.TemporaryDirectory() as folder:
        late_ms = lateness_under_load_ms(ideal_setup(hand, Path(folder) / "log"), request.seconds)
    for share, name in ((0.5, "median"), (0.99, "p99"), (1.0, "worst")):
        figures[f"loop lateness under load, {name} [ms]"] = float(np.quantile(late_ms, share))
    figures["joint map: round trip [rad]"] = round_trip_rad(hand, seed=request.seed)
    return figures


def round_trip_rad(hand: HandDescription, *, poses: int = 1000, seed: int = 0) -> float:
    """Largest error of joint angles through the driver's units and back, in any driver order."""
    rng, worst = np.random.default_rng(seed), 0.0
    for _ in range(poses):
        joint_map = JointMap(hand, rng.permutation(hand.driver_names).tolist())
        angles = rng.uniform(hand.lower_rad, hand.upper_rad)
        back = joint_map.from_driver(joint_map.to_driver(angles))
        worst = max(worst, float(np.abs(back - angles).max()))
    return worst


def safety_table(figures: dict[str, float]) -> str:
    """One line per figure: value, target, verdict."""
    hold_ms = figures["HOLD limit [ms]"]
    at_most = {name: 0.0 for name in figures if name.startswith("fuzz: ") and "too" in name}
    at_most |= {"fuzz: outside the limits": 0.0, "joint map: round trip [rad]": MAX_ROUND_TRIP_RAD}
    at_most |= {name: hold_ms for name in figures if name.endswith("HOLD, worst [ms]")}
    at_most |= {name: 0.0 for name in figures if name.endswith("never held")}
    lost = ("pair: other one stood still", "pair: episodes lost", "pair: updates logged twice")
    at_most |= dict.fromkeys(lost, 0.0)
    at_most["loop lateness under load, p99 [ms]"] = MAX_LATENESS_MS
    lines = []
    for name, value in figures.items():
        target, verdict = "", ""
        if name in at_most:
            target = f"<= {at_most[name]:g}"
            verdict = "ok" if value <= at_most[name] else "FAILED"
        elif name == "negative control: violations":
            target, verdict = "> 0", "ok" if value > 0 else "FAILED"
        lines.append(f"{name:42s} {value:12.5g}  {target:10s} {verdict}".rstrip())
    return "\n".join(lines)
