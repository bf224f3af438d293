"""One page about a run: robot, learner, data and policies, from what both leave in its folder."""

import time
from collections.abc import Callable
from pathlib import Path

from sernf_isaac.data.store.channel import (
    LEARNER,
    POINTERS,
    THERE,
    last_words,
    published,
    silent_for_s,
    wanted_checkpoint,
)
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.policy.follower import verdicts
from sernf_isaac.metrics import CSV_FILE, read_metrics

SHOWN = (
    ("critic/loss", "critic loss"),
    ("critic/value", "Q, mean"),
    ("critic/clamped_fraction", "targets beyond Q's range"),
    ("actor/value", "Q of the policy's chunks"),
    ("actor/bc", "imitation loss"),
    ("actor/clipped_fraction", "clipped actions"),
    ("actor/selection_gain", "gain of the best chunk"),
    ("time/updates_per_s", "updates per second"),
)
"""Metrics of the learner and what they are called here."""
FIRST = "actor"
"""What robots call themselves unless told otherwise."""
BRIEF = ("policy", "runs", "turns_per_run", "rpm_in_hand", "last_end")
"""What is shown of each robot if there are several."""
UNSHOWN = ("time_s", THERE, "pid")
"""What a sign of life says beside what is shown."""
LISTED = 3
"""Names of the newest checkpoints."""


def status_page(run: Path, clock: Callable[[], float] = time.time) -> str:
    """Plain text of a screen's height.

    Raises:
        ValueError: If there is no such run.
    """
    reader, robots = RunReader(run), _robots(run)
    shown = None if len(robots) == 1 else BRIEF
    sections = [
        (f"run {run}", _data(reader)),
        *((_title(who), _life(run, who, clock, shown)) for who in robots),
        ("learner", _life(run, LEARNER, clock) + _learner(run / "learner")),
        ("policies", _policies(run)),
    ]
    lines = []
    for title, rows in sections:
        lines += [title, *(f"  {name:26s} {value}" for name, value in rows), ""]
    return "\n".join(lines).rstrip()


def _data(reader: RunReader) -> list[tuple[str, str]]:
    commits = reader.commits()
    rate_hz = float(read_json(reader.run / "run.json").get("control_rate_hz", 20.0))
    minutes = sum(commit.steps for commit in commits) / rate_hz / 60.0
    waiting = sum(reader.needs_label(commit) for commit in commits)
    outcomes = {outcome: 0 for outcome in sorted({commit.outcome for commit in commits})}
    for commit in commits:
        outcomes[commit.outcome] += 1
    return [
        ("episodes", f"{len(commits)}, {minutes:.1f} minutes"),
        ("outcomes", ", ".join(f"{count} {name}" for name, count in outcomes.items()) or "none"),
        ("need a label", str(waiting)),
    ]


def _robots(run: Path) -> list[str]:
    """Names of the actors that ever gave a sign of life; a run's first one if none did."""
    beats = sorted(path.stem for path in (run / "heartbeat").glob("*.json"))
    return [who for who in beats if who != LEARNER] or [FIRST]


def _title(who: str) -> str:
    return "robot" if who == FIRST else f"robot {who}"


def _life(
    run: Path, who: str, clock: Callable[[], float], shown: tuple[str, ...] | None = None
) -> list[tuple[str, str]]:
    silent_s = silent_for_s(run, who, clock)
    if silent_s is None:
        return [("sign of life", "never")]
    info = last_words(run, who)
    rows = [("sign of life", f"{silent_s:.0f} s ago")]
    names = [
        name for name in shown or info if name in info and name not in ("time_s", THERE, "pid")
    ]
    return rows + [(name, _value(info[name])) for name in names]


def _learner(folder: Path) -> list[tuple[str, str]]:
    if not (folder / CSV_FILE).is_file():
        return []
    found = []
    for metric, name in SHOWN:
        if history := read_metrics(folder, metric):
            step, value = history[-1]
            found.append((name, f"{value:.4g} (update {step})"))
    return found


def _policies(run: Path) -> list[tuple[str, str]]:
    names = published(run)
    rows = [("published", f"{len(names)}, newest last: {', '.join(names[-LISTED:])}")]
    for pointer in POINTERS:
        path = run / "channel" / f"{pointer}.json"
        if path.is_file():
            rows.append((pointer, str(read_json(path).get("checkpoint"))))
    rows += [("rolled back", verdict.stem) for verdict in verdicts(run)]
    wanted = wanted_checkpoint(run)
    return [*rows, ("the robot takes", wanted.name if wanted else "nothing yet")]


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
