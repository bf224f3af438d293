"""Sweeps: one script, many settings and seeds, as runs that an engine starts (`runs.py`).

A run's folder is named after what was set. It has the script's result beside the files of the run.
A run with exit code 0 and a readable result is never repeated.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from sernf_isaac.data.store.files import read_json
from sernf_isaac.run_folder import RESUMED_BY
from sernf_isaac.sweep.engines import Engine
from sernf_isaac.sweep.runs import Run, how_it_ended, run_all

Value = int | float | str | bool
RESULT_FILE = "result.json"
WHERE = ("--sim", "--device", "--threads", "--no-video")
"""Flags that a resumed run may be given: they say where it goes on, not what it is."""


@dataclass(frozen=True)
class Plan:
    """What is common to all runs of a sweep."""

    script: Path
    """Takes `key=value` settings, --seed and --out, and --json unless `result` says otherwise."""
    options: tuple[str, ...] = ()
    """Flags and settings of every run."""
    result: str | None = None
    """Name of the JSON file that the script writes to its --out folder by itself; None: it takes
    --json; empty: nothing is read."""


@dataclass(frozen=True)
class Job:
    """One run: what is set, and which seed."""

    settings: tuple[tuple[str, Value], ...]
    seed: int

    @property
    def name(self) -> str:
        """Readable, and safe as a folder's name."""
        parts = [f"{key.rpartition('.')[2]}={value}" for key, value in self.settings]
        text = "_".join([*parts, f"seed={self.seed}"])
        return "".join(c if c.isalnum() or c in "._=-" else "-" for c in text)


@dataclass(frozen=True)
class Outcome:
    """How a run stands."""

    job: Job
    folder: Path
    state: str
    """"done", "failed", or "missing": not run, or killed together with what watched over it."""
    seconds: float = 0.0
    reason: str = ""
    """Last line of the log of a failed run; what an engine said of a killed one."""
    result: dict | None = None


def jobs_of(axes: Mapping[str, Sequence[Value]], seeds: Sequence[int]) -> list[Job]:
    """All combinations of settings, each with all seeds; the seeds of a setting come together.

    Raises:
        ValueError: If there is no seed or a value appears twice.
    """
    if not seeds:
        raise ValueError("nothing to sweep: give at least one seed")
    for name, values in {**axes, "seeds": seeds}.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} needs values that differ, not {list(values)}")
    combinations = product(*axes.values())
    return [Job(tuple(zip(axes, c, strict=True)), s) for c in combinations for s in seeds]


def folder_of(root: Path, plan: Plan, job: Job) -> Path:
    """Where a run goes; the name changes with everything that may change its result."""
    text = json.dumps([plan.script.name, plan.options, job.settings, job.seed])
    return root / f"{job.name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def command_of(plan: Plan, job: Job, folder: Path) -> list[str]:
    """What a run executes."""
    out = ["--seed", str(job.seed), "--out", str(folder)]
    file = ["--json", str(folder / RESULT_FILE)] if plan.result is None else []
    settings = [f"{key}={value}" for key, value in job.settings]
    return [sys.executable, str(plan.script), *plan.options, *out, *file, *settings]


def resume_of(plan: Plan, folder: Path) -> list[str]:
    """What a run executes that was killed after a resume point; empty if its script does not tell
    one from the other, or needs no other flags for it."""
    if plan.script.name not in RESUMED_BY:
        return []
    where: list[str] = []
    for number, option in enumerate(plan.options):
        if option.partition("=")[0] in WHERE:
            has_value = "=" not in option and option != "--no-video"
            where += plan.options[number : number + 1 + has_value]
    resume = ["--resume", "latest", "--out", str(folder)]
    return [sys.executable, str(plan.script), *where, *resume]


def outcome_of(root: Path, plan: Plan, job: Job) -> Outcome:
    """How a run stands, from its files alone."""
    folder = folder_of(root, plan, job)
    if (end := how_it_ended(folder)) is None:
        return Outcome(job, folder, "missing")
    if end["code"]:
        return Outcome(job, folder, "failed", end["seconds"], end["reason"])
    if plan.result == "":
        return Outcome(job, folder, "done", end["seconds"])
    path = folder / (plan.result or RESULT_FILE)
    try:
        return Outcome(job, folder, "done", end["seconds"], result=read_json(path))
    except (OSError, ValueError) as error:
        return Outcome(job, folder, "failed", end["seconds"], f"no result in {path}: {error}")


def sweep(
    plan: Plan,
    jobs: Sequence[Job],
    root: Path,
    engine: Engine,
    *,
    threads: int = 1,
    report: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run what is not done yet, failed runs included; the outcomes of all, in order.

    Args:
        plan: What to run.
        jobs: From `jobs_of`.
        root: Folder of the runs; absolute, and the same one on all machines of the engine.
        engine: Starts the runs; closed here.
        threads: Of each run, for PyTorch and its libraries.
        report: Hears of each run that has ended or was done before.

    Raises:
        ValueError: If there is no such script, or a machine does not see the folder.
        KeyboardInterrupt: After all runs here have ended.
    """
    if not plan.script.is_file():
        raise ValueError(f"no script at {plan.script}")
    found: dict[Job, Outcome] = {}
    runs = {_run_of(root, plan, job): job for job in jobs}

    def ended(run: Run, words: str) -> None:
        job = runs[run]
        outcome = outcome_of(root, plan, job)
        found[job] = replace(outcome, reason=words) if words else outcome
        report(found[job])

    def is_done(run: Run) -> bool:
        return outcome_of(root, plan, runs[run]).state == "done"

    try:
        run_all(list(runs), engine, threads=threads, is_done=is_done, report=ended)
    finally:
        engine.close()
    return [found[job] for job in jobs]


def value_at(result: object, path: str) -> float:
    """A number in a script's result: names and, in lists, indices, with dots in between.

    Raises:
        ValueError: If there is no number there; names what there is.
    """
    here = result
    for part in path.split("."):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            there = sorted(here) if isinstance(here, dict) else here
            raise ValueError(f"no '{part}' of '{path}' in the result; there is {there}") from error
    if isinstance(here, bool) or not isinstance(here, int | float):
        raise ValueError(f"'{path}' is no number in the result but {here!r}")
    return float(here)


def _run_of(root: Path, plan: Plan, job: Job) -> Run:
    folder = folder_of(root, plan, job)
    command, resume = command_of(plan, job, folder), resume_of(plan, folder)
    facts = {"seed": job.seed, "settings": dict(job.settings)}
    return Run(folder, tuple(command), tuple(resume), facts)
