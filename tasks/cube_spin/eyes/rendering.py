"""Renders a data set in this process, or has an engine start many that share the shards."""

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from perception.shards import record_path
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.generate import Painter, ShardPlan, generate, missing
from perception.synthetic.pictures import PictureConfig
from perception.synthetic.views import SPLITS
from sernf_isaac.data.store.lock import claimed
from sernf_isaac.sweep.child import LOG_FILE
from sernf_isaac.sweep.engines import Engine
from sernf_isaac.sweep.runs import Run, how_it_ended, run_all
from tasks.cube_spin.eyes.marks import marks_of
from tasks.cube_spin.eyes.painters import (
    IsaacPainters,
    PathPainters,
    TwinPainters,
    object_of_policy,
)
from tasks.cube_spin.grasps import load_grasps
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.orca.hands import load_hand
from tasks.rendering import choose_gl_backend

WORKERS = "workers"
"""Folder, below the data set's, with the log of each process."""
LOOK_S = 1.0
Painters = TwinPainters | IsaacPainters


@dataclass(frozen=True)
class DataSet:
    """What is to be rendered."""

    folder: Path
    """Absolute."""
    plans: list[ShardPlan]
    painters: Painters
    per_shard: int

    @property
    def description(self) -> dict:
        """What decides the pictures."""
        made = self.painters
        known = {"renderer": made.renderer, "seed": made.seed, "per_shard": self.per_shard}
        known |= {"policy": made.policy.name, "config": asdict(made.config)}
        return known if self.held.is_first else known | {"object": self.held.label}

    @property
    def held(self) -> HeldObject:
        """What is held."""
        return self.painters.held or object_of_policy(self.painters.policy)


def painters_of(
    renderer: str,
    config: PictureConfig,
    policy: Path,
    seed: int,
    *,
    num_envs: int,
    device: str,
    here: bool = True,
    held: HeldObject | None = None,
) -> Painters:
    """Who draws; what they need is tried now, because errors of other processes are hard to read.

    Args:
        renderer: "twin", "path" or "isaac".
        config: Ranges of everything random.
        policy: Teacher file.
        seed: Of the data set.
        num_envs: Pictures at once (isaac).
        device: Of Isaac Lab.
        here: Whether this machine draws; else it only describes the data set.
        held: What is held; the policy's object by default.

    Raises:
        ImportError: If the path tracer is not installed.
        OSError: If a file is missing.
        RuntimeError: If nothing can be drawn on this machine.
        ValueError: If a file holds something else.
    """
    teacher = load_teacher(policy)
    held = held or teacher.task.object
    load_grasps(load_hand(teacher.task.hand), held=held)
    for split in SPLITS:
        Backgrounds(split, Path(config.backgrounds) if config.backgrounds else None)
    if renderer == "isaac":
        check_isaac(held)
        return IsaacPainters(config, policy, seed, num_envs, device, held)
    if here:
        choose_gl_backend()
    if renderer == "path":
        check_path(config, here=here)
        return PathPainters(config, policy, seed, held)
    return TwinPainters(config, policy, seed, held)


def check_isaac(held: HeldObject) -> None:
    """Whether Isaac Lab's cameras can draw an object.

    Raises:
        ValueError: If not; says what can.
    """
    if not held.is_first:
        raise ValueError(
            f"Isaac Lab's cameras draw the cube of 45 mm alone, not the {held.label}; give "
            "--renderer twin"
        )


def check_path(config: PictureConfig, *, here: bool) -> None:
    """Whether a path tracer can draw such pictures.

    Raises:
        ImportError: If it is not installed here, where it should draw.
        ValueError: If the pictures should have something that only the fast renderer draws.
    """
    if config.fingers.probability > 0.0:
        raise ValueError(
            "fingers.probability draws strange fingers into finished pictures; the path tracer "
            "cannot: leave it 0, or take --renderer twin"
        )
    if here:
        from perception.synthetic.path_renderer import path_tracer

        path_tracer()


def render_here(data: DataSet) -> None:
    """Make the shards that nobody makes, in this process; errors as `generate`."""
    with tqdm(total=sum(plan.count for plan in data.plans), unit="picture") as bar:
        make_painter: Callable[[], Painter] = data.painters
        rate = generate(
            *(data.folder, data.plans, make_painter, data.description),
            marked=marks_of(data.held),
            defaults={"config": asdict(PictureConfig())},
            claim=claimed,
            report=bar.update,
        )
    if rate:
        print(f"{rate:.1f} new pictures per second")


def render_on(
    engine: Engine, script: Sequence[str], data: DataSet, *, workers: int, gpus: Sequence[str] = ()
) -> None:
    """Have processes fill a data set together; returns when it is complete.

    Each is the same script with one process. A shard is made by whoever claims it first, so that
    machines may differ in speed, and a process that dies leaves one shard to the others.

    Args:
        engine: Starts the processes; closed here.
        script: With its arguments; fills the data set by `render_here`.
        data: What is to be there in the end.
        workers: Processes.
        gpus: For the processes in turn; none: the device that the script was given.

    Raises:
        RuntimeError: If shards are missing when all processes have ended; says why.
        ValueError: If a machine does not see the folder.
    """
    try:
        while left := missing(data.plans):
            runs = _runs(script, data, min(workers, len(left)), gpus)
            with _counted(data.plans):
                run_all(runs, engine, threads=1, is_done=lambda _: True, report=lambda *_: None)
            still = missing(data.plans)
            if len(still) == len(left):  # else somebody died beside others
                raise RuntimeError(
                    f"{len(still)} of {len(data.plans)} shards are missing: {_why(runs)}"
                )
    finally:
        engine.close()


def _runs(script: Sequence[str], data: DataSet, workers: int, gpus: Sequence[str]) -> list[Run]:
    stamp = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{uuid.uuid4().hex[:4]}"
    given = [argument for argument in script if argument != "--"]
    runs = []
    for number in range(workers):
        own = ["--on", "local", "--processes", "1"]
        own += ["--device", gpus[number % len(gpus)]] if gpus else []
        folder = data.folder / WORKERS / f"{stamp}_{number}"
        runs.append(Run(folder, (sys.executable, *given, *own)))
    return runs


def gpus_for(device: str) -> list[str]:
    """All GPUs of this machine, unless a device is named."""
    if device not in ("auto", "cuda"):
        return []
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _why(runs: Sequence[Run]) -> str:
    ends = {run.folder: how_it_ended(run.folder) for run in runs}
    failed = {place: end["reason"] for place, end in ends.items() if end and end["code"]}
    place, reason = next(iter(failed.items()), (runs[0].folder, "processes were killed"))
    return (
        f"{len(failed)} of {len(runs)} processes failed: {reason} (see {place / LOG_FILE}); "
        "run the same command to go on"
    )


@contextmanager
def _counted(plans: Sequence[ShardPlan]) -> Iterator[None]:
    """A bar that grows while others commit shards."""
    done, waiting = threading.Event(), list(plans)
    bar = tqdm(total=sum(plan.count for plan in plans), unit="picture")

    def look() -> None:
        for plan in [plan for plan in waiting if record_path(plan.path).is_file()]:
            waiting.remove(plan)
            bar.update(plan.count)

    def watch() -> None:
        while not done.wait(LOOK_S):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        look()
        bar.close()
