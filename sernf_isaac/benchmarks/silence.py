"""Kills and stalls actors, and burns processor time, to see what the hand's process makes of it.

An actor here is a small process that ramps an ideal hand and then sends an action every 50 ms. The
hand's own log says when it held; both sides read the same monotonic clock.
"""

import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
from sernf_isaac.deploy.loop.states import Request, SafetyTiming, State
from sernf_isaac.deploy.loop.tick_log import read_log
from sernf_isaac.deploy.protocols import HandDescription

ACTION_PERIOD_S = 0.05
START_TIMEOUT_S = 60.0
ATTEMPTS = 5
"""Per trial; one is spoiled if the actor itself was late, on a busy machine."""
BURN = "import math\nwhile True: math.fsum(math.sqrt(i) for i in range(10000))"


@dataclass(frozen=True)
class SilenceReport:
    """Milliseconds from the actor's end to HOLD, one per trial."""

    held_ms: list[float]
    never_held: int
    """Trials in which the hand did not hold within a second."""


def ideal_setup(hand: HandDescription, log: Path, timing: SafetyTiming | None = None) -> HandSetup:
    """An ideal hand, half way between its limits."""
    middle = (np.array(hand.lower_rad) + np.array(hand.upper_rad)) / 2
    return HandSetup(
        partial(IdealHand, middle),
        hand,
        tuple(middle.tolist()),
        timing=timing or SafetyTiming(),
        log=log,
    )


def silence_trials(
    hand: HandDescription, trials: int, *, how: signal.Signals, seed: int = 0
) -> SilenceReport:
    """End an actor at a random moment and read in the log when the hand held.

    Args:
        hand: The joints.
        trials: How often.
        how: SIGKILL, or SIGSTOP for one that hangs.
        seed: Of the moments.

    Raises:
        RuntimeError: If an actor does not get its hand to follow.
    """
    chance, held_ms, never = random.Random(seed), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number in tqdm(range(trials), desc=how.name, unit="trial", leave=False):
            for attempt in range(ATTEMPTS):
                log = Path(folder) / f"{number}-{attempt}.log"
                ended_s = _end_an_actor(hand, log, how, chance.uniform(0.1, 0.3))
                if _followed_at(log, hand.num_joints, ended_s):
                    break
            else:
                raise RuntimeError(
                    "this machine is too busy: actors are late before they are ended"
                )
            found = _held_after_s(log, hand.num_joints, ended_s)
            never += found is None
            held_ms += [] if found is None else [1e3 * found]
    return SilenceReport(held_ms, never)


def _end_an_actor(hand: HandDescription, log: Path, how: signal.Signals, after_s: float) -> float:
    """Start an actor, end it some time after its hand follows; returns when that was."""
    actor = _start_actor(ideal_setup(hand, log, SafetyTiming(hold_s=0.3, relax_s=0.3)))
    try:
        _wait_until_following(actor, log, hand.num_joints)
        time.sleep(after_s)
        ended_s = time.monotonic()
        actor.send_signal(how)
        time.sleep(1.0)
        return ended_s
    finally:
        actor.kill()
        actor.wait()


def lateness_under_load_ms(setup: HandSetup, seconds: float, *, burners: int = 1) -> np.ndarray:
    """(T,) lateness of each tick while the hand is followed and processes burn time [ms]."""
    assert setup.log is not None, "the log is what is measured"
    commands = [sys.executable, "-c", BURN]
    burning = [subprocess.Popen(commands) for _ in range(burners)]
    try:
        with HandProcess(setup) as hand:
            _follow(hand, np.array(setup.open_pose), seconds)
    finally:
        for process in burning:
            process.kill()
            process.wait()
    return 1e3 * read_log(setup.log, setup.hand.num_joints)["lateness_s"]


def _start_actor(setup: HandSetup) -> subprocess.Popen:
    places = os.pathsep.join(entry for entry in sys.path if entry)
    actor = subprocess.Popen(
        [sys.executable, "-m", "sernf_isaac.benchmarks.silence"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert actor.stdin is not None
    actor.stdin.write(pickle.dumps(setup))
    actor.stdin.close()
    return actor


def _wait_until_following(actor: subprocess.Popen, log: Path, num_joints: int) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and actor.poll() is None:
        if log.is_file() and (read_log(log, num_joints)["state"] == State.FOLLOW).any():
            return
        time.sleep(0.02)
    raise RuntimeError("the actor of a trial never got its hand to follow")


def _followed_at(log: Path, num_joints: int, time_s: float) -> bool:
    """Whether the hand was following then: a late actor may have been ended in HOLD."""
    ticks = read_log(log, num_joints)
    before = ticks["state"][ticks["time_s"] < time_s]
    return len(before) > 0 and before[-1] == State.FOLLOW


def _held_after_s(log: Path, num_joints: int, ended_s: float) -> float | None:
    """Seconds until the first tick in HOLD; None if there is none."""
    ticks = read_log(log, num_joints)
    held = ticks["time_s"][(ticks["state"] == State.HOLD) & (ticks["time_s"] >= ended_s)]
    return float(held[0]) - ended_s if len(held) else None


def _follow(hand: HandProcess, pose: np.ndarray, seconds: float) -> None:
    """Ramp, then send actions for a while."""
    while (state := hand.state().state) is not State.READY:
        if state is not State.RAMP:  # at first, and if this process was late on a busy machine
            hand.clear()
            hand.send(Request.RAMP, pose)
        hand.alive()
        time.sleep(0.03)
    until = time.monotonic() + seconds
    due_s = time.monotonic()
    while due_s < until:
        hand.send(Request.FOLLOW, pose + 0.05 * np.sin(due_s))
        due_s += ACTION_PERIOD_S
        time.sleep(max(due_s - time.monotonic(), 0.0))


if __name__ == "__main__":
    SETUP: HandSetup = pickle.load(sys.stdin.buffer)
    _follow(HandProcess(SETUP), np.array(SETUP.open_pose), np.inf)
