"""One run of an experiment on the table, from demonstrations to its line in the comparison."""

import time
from pathlib import Path

from sernf_isaac.learning.online.in_memory import FourStageRun
from tasks.table.comparison import Variant
from tasks.table.demonstrations import record_demonstrations
from tasks.table.experiment import Experiment
from tasks.table.report import comparison, load_result


def learn(
    variant: Variant,
    run: FourStageRun,
    data: Path,
    folder: Path,
    *,
    rollouts: int,
    episodes: int,
    tests: int = 0,
    start_from: Path | None = None,
) -> None:
    """Record demonstrations unless they are there, learn from them, and print what came of it.

    Args:
        variant: What learns from what.
        run: Settings.
        data: Episode store of the demonstrations.
        folder: Of the run; an interrupted run goes on.
        rollouts: Online episodes, where the variant learns online.
        episodes: Per evaluation.
        tests: Which draw of the test configurations.
        start_from: Folder of a run whose offline stages are taken over; None: all stages run.
    """
    started = time.monotonic()
    record_demonstrations(variant.task, data, variant.count)
    shown = variant.data(data)
    won = sum(episode.outcome == "success" for episode in shown.values())
    print(f"demonstrations: {won} of {len(shown)} succeeded")
    options = {"rollouts": rollouts if variant.learns_online else 0, "label": variant.label}
    options |= {"tests": tests, "start_from": start_from}
    Experiment(variant.task, run, shown, folder, episodes=episodes, **options).go()
    print(f"\n{comparison(variant.task, [load_result(folder)])}")
    print(f"{(time.monotonic() - started) / 60:.1f} min\nnumbers -> {folder}")
