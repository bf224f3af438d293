"""Trials of a policy on the fixed test configurations, whether it reads numbers or pictures."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shortened

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.files import publish, write_json
from sernf_isaac.learning.acting import acting
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.policy import ChunkPolicy, load_policy
from sernf_isaac.spec import Contract
from tasks.manipulation.actions import ACTION_NAMES
from tasks.manipulation.protocol import Trial, as_rows, trials_of
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.table.environment import Table
from tasks.table.live_pictures import WatchedTable
from tasks.table.pictures import TableCameras
from tasks.table.scene import VIEWS
from tasks.table.task import TableTask

WATCHED_AT_ONCE = 8
"""Episodes with pictures that run side by side: all of their pictures are kept until the end."""


def evaluate(
    task: TableTask, policy: ChunkPolicy, *, episodes: int, candidates: int, tests: int = 0
) -> list[Trial]:
    """Trials on the test configurations, the same ones every time.

    Args:
        task: What is tried.
        policy: Of any kind; ACT aggregates over time, the others act chunk by chunk.
        episodes: How many trials.
        candidates: Chunks per decision; kinds without a likelihood draw one.
        tests: Which draw of the test configurations.

    Raises:
        ValueError: If the table does not offer what the policy observes.
        RuntimeError: If pictures are needed and nothing here can draw.
    """
    if problems := _unobserved(task, policy):
        raise ValueError(f"the policy cannot act on this table: {'; '.join(problems)}")
    starts, size = task.evaluation_set(episodes, tests), episodes
    if policy.layout.architecture.vision.cameras:
        size = min(episodes, WATCHED_AT_ONCE)
    done: list[Episode] = []
    for first in range(0, episodes, size):
        done += _tried(task, policy, starts[first : first + size], candidates, seed=first)
    return trials_of(done, CONTROL_RATE_HZ)


def evaluate_files(
    task: TableTask,
    paths: Sequence[Path],
    numbers: Path | None = None,
    *,
    episodes: int,
    candidates: int,
    tests: int = 0,
) -> dict[str, list[Trial]]:
    """Trials of policies from their files, by file; trial i is the same test for all.

    Args:
        task: What is tried.
        paths: Of the policies.
        numbers: JSON file to write all trials to; None: nowhere.
        episodes: As for `evaluate`.
        candidates: As for `evaluate`.
        tests: As for `evaluate`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a policy was made for another task; before anything is tried.
    """
    policies = {str(path): load_fitting_policy(task, path) for path in paths}
    trials = {
        name: evaluate(task, policy, episodes=episodes, candidates=candidates, tests=tests)
        for name, policy in policies.items()
    }
    if numbers:
        numbers.parent.mkdir(parents=True, exist_ok=True)
        content = {name: as_rows(rows) for name, rows in trials.items()}
        publish(write_json(numbers.with_name(f".{numbers.name}.partial"), content), numbers)
    return trials


def load_fitting_policy(task: TableTask, path: Path) -> ChunkPolicy:
    """A policy from a file, made for this table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or made for another task; says how they differ.
    """
    policy, contract = load_policy(path)
    if problems := [*_differences(task, contract), *_unobserved(task, policy)]:
        raise ValueError(f"{path} is no policy for this table: {'; '.join(problems)}")
    return policy


def _tried(
    task: TableTask, policy: ChunkPolicy, starts: list, candidates: int, seed: int
) -> list[Episode]:
    """An episode from each of these starts."""
    only_one = policy.layout.architecture.kind in WITHOUT_LIKELIHOOD
    decide, spec = acting(policy, 1 if only_one else candidates, seed=seed)
    with _tables_for(task, policy, starts) as env:
        return collect(env, decide, spec, hold=env.hold)


@contextmanager
def _tables_for(
    task: TableTask, policy: ChunkPolicy, starts: list
) -> Iterator[Table | WatchedTable]:
    """One table for each start, with the cameras that the policy sees through."""
    tables = task.tables(len(starts), starts=lambda _: starts, threads=1)
    sizes = policy.layout.architecture.vision.cameras
    if not sizes:
        yield tables
        return
    edge = next(iter(sizes.values()))[-1]
    cameras = TableCameras(task, edge, [view for view in VIEWS if view in sizes])
    try:
        yield WatchedTable(tables, cameras)
    finally:
        cameras.close()


def _differences(task: TableTask, contract: Contract) -> list[str]:
    """What the contract promises that is not so here."""
    here = {
        "task": task.name,
        "joint_names": ACTION_NAMES,
        "control_rate_hz": CONTROL_RATE_HZ,
        "quaternion_order": "xyzw",
    }
    return [
        f"{name} is {shortened(getattr(contract, name))}, expected {shortened(value)}"
        for name, value in here.items()
        if getattr(contract, name) != value
    ]


def _unobserved(task: TableTask, policy: ChunkPolicy) -> list[str]:
    """What the policy wants to see and the table does not show."""
    cameras = policy.layout.architecture.vision.cameras
    features, problems = policy.layout.features, []
    if missing := {
        name: size for name, size in features.items() if task.features.get(name) != size
    }:
        problems.append(f"it observes numbers {missing}, the table has {dict(task.features)}")
    if unknown := sorted(set(cameras) - set(VIEWS)):
        problems.append(f"it sees through {unknown}, the table has the cameras {list(VIEWS)}")
    if len({tuple(size) for size in cameras.values()}) > 1 or any(
        size[1] != size[2] for size in cameras.values()
    ):
        problems.append(f"its pictures are not squares of one size: {cameras}")
    return problems
