"""What a run says about its episodes besides their numbers: it goes into the data set too."""

from dataclasses import dataclass
from math import isclose
from pathlib import Path

from sernf_isaac.data.run_info import info_of_run
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.writer import RECORD

SUCCESS_OR_NOT = ("success", "failure")
UNNAMED = "unnamed task"


@dataclass(frozen=True)
class AboutRun:
    """Labels of a run and of its episodes."""

    fps: int
    robot: str | None
    columns: dict[str, list[str]]
    """What each column of a group is, where the run says so for every one."""
    task: str
    """Of episodes that have none of their own."""
    notes: dict[str, dict]
    """By episode, what was noted when it was imported; empty if everything is one task."""

    def tasks_of(self, eid: str) -> list[tuple[int, str]]:
        """(first step, words) of each task of an episode."""
        note = self.notes.get(eid, {})
        if note.get("task_steps"):
            return [(int(start), str(task)) for start, task in note["task_steps"]]
        return [(0, str((note.get("tasks") or [self.task])[0]))]


def read_about(run: Path, task: str = "", rate_hz: float | None = None) -> AboutRun:
    """Read `run.json` and `imports.json`.

    Args:
        run: Folder of the run.
        task: Of all episodes, in words; empty: what is noted of each.
        rate_hz: Steps per second, where the run does not say.

    Raises:
        ValueError: If the rate is unknown, not whole, or another than the run's.
    """
    known, content = info_of_run(run), read_json(run / "run.json")
    noted = read_json(run / RECORD)["episodes"] if (run / RECORD).is_file() and not task else {}
    columns = {
        group: list(names)
        for group, names in known.columns.items()
        if not any(name.startswith("/") for name in names)
    }
    robot = content.get("robot")
    return AboutRun(
        fps=_whole_rate(run / "run.json", known.rate_hz, rate_hz),
        robot=None if robot is None else str(robot),
        columns=columns,
        task=task or str(content.get("task") or UNNAMED),
        notes=noted,
    )


def _whole_rate(path: Path, known_hz: float | None, asked_hz: float | None) -> int:
    rate_hz = known_hz if asked_hz is None else asked_hz
    if rate_hz is None:
        raise ValueError(f"{path} does not say how fast its steps are; give --rate_hz")
    if known_hz is not None and asked_hz is not None and not isclose(known_hz, asked_hz):
        raise ValueError(
            f"--rate_hz is {asked_hz:g}, but the steps of {path} are at {known_hz:g} Hz"
        )
    if rate_hz < 1 or rate_hz != round(rate_hz):
        raise ValueError(f"rate {rate_hz:g} Hz: LeRobot knows only whole steps per second")
    return round(rate_hz)
