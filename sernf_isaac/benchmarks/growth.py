"""How cost grows: with episodes in a store, candidates, chunk length, cameras and processes.

Times are of the process (CPU time), so that a busy machine bends no curve. Networks are small,
because what counts is how a curve rises: each is told with its exponent, the slope between its last
two points where both axes are logarithmic. 1 is in proportion, 0 is free.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sernf_isaac.config import CriticConfig, LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.store.index import refresh_index
from sernf_isaac.data.store.labels import newest_revisions
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.build import build_learner
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

FEATURES, ACTION_DIM = {"history": 48, "last_action": 17, "goal": 4}, 17
SMALL = LearnerConfig(
    policy=PolicyConfig(token_dim=64, width=64, num_couplings=6, num_heads=4),
    critic=CriticConfig(token_dim=64, num_heads=4, num_layers=2, feedforward=64),
)
PROCESS = """
import sys, time, torch
from sernf_isaac.learning.workers import together
torch.set_num_threads(1)
module = torch.nn.Linear(1000, int(sys.argv[1]) // 1000, bias=False)
module.weight.grad = torch.ones_like(module.weight)
with together("cpu") as workers:
    workers.average_gradients(module)
    started = time.process_time()
    for _ in range(5):
        workers.average_gradients(module)
    spent_s = max(workers.gather((time.process_time() - started) / 5))
    if workers.writes:
        print(spent_s)
"""


LINKS = 10_000
"""Names that one file may have; some file systems allow 65,000."""


@dataclass(frozen=True)
class GrowthRequest:
    """The points of each curve."""

    episodes: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    candidates: tuple[int, ...] = (1, 8, 32, 128)
    horizons: tuple[int, ...] = (4, 8, 16, 32)
    cameras: tuple[int, ...] = (0, 1, 2, 3)
    """Of 64 x 64 pixels, through a frozen ResNet-18."""
    processes: tuple[int, ...] = (1, 2, 4)
    environments: tuple[int, ...] = (16, 64, 256)
    gradients: int = 4_000_000
    """Numbers that processes average."""


Curves = dict[str, dict[int, float]]
"""By what is measured: by the size, milliseconds."""


def growth(request: GrowthRequest, step_ms: Callable[[int], float] | None = None) -> Curves:
    """Every curve.

    Args:
        request: What to measure.
        step_ms: Time of one step of so many environments; None: leave them out.
    """
    curves = _store_curves(request.episodes)
    curves["decision, candidates"] = {
        count: _decision_ms(_policy(), count) for count in request.candidates
    }
    curves["decision, chunk length"] = {
        steps: _decision_ms(_policy(horizon=steps)) for steps in request.horizons
    }
    curves["decision, cameras"] = {
        count: _decision_ms(_policy(cameras=count)) for count in request.cameras
    }
    curves["average gradients, processes"] = {
        count: _average_ms(count, request.gradients) for count in request.processes
    }
    if step_ms is not None:
        curves["step, environments"] = {n: step_ms(n) for n in request.environments}
    return curves


def exponent(curve: dict[int, float]) -> float | None:
    """How fast the curve rises in its last section; None for one point or a cost of nothing."""
    if len(curve) < 2:
        return None
    (x, y), (last_x, last_y) = sorted(curve.items())[-2:]
    if min(x, y, last_y) <= 0:
        return None
    return math.log(last_y / y) / math.log(last_x / x)


def growth_table(curves: Curves) -> str:
    """One line per curve: its points, and its exponent."""
    lines = []
    for name, curve in curves.items():
        points = ", ".join(f"{size:,}: {cost:.3g}" for size, cost in curve.items())
        rise = exponent(curve)
        shown = "" if rise is None else f"   exponent {rise:.2f}"
        lines.append(f"{name:32s} ms at {points}{shown}")
    return "\n".join(lines)


def draw_growth(curves: Curves, path: Path) -> None:
    """All curves, each relative to its first point, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, curve in curves.items():
        points = [(size, cost) for size, cost in curve.items() if size and cost > 0]
        if not points:
            continue  # nothing that a logarithmic axis can show
        first = points[0][1]
        axes.plot(*zip(*((x, y / first) for x, y in points), strict=True), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="size", ylabel="cost, relative to the first point")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def make_store(run: Path, count: int) -> None:
    """A run with so many episodes, which all are one: files that are linked are made quickly."""
    create_run(run, {"task": "growth", "control_rate_hz": 20.0})
    steps = 20
    one = Episode(
        {"state": np.zeros((steps, 4)), "front": np.zeros((steps, 3, 64, 64), np.uint8)},
        action=np.zeros((steps, 2)),
        reward=np.zeros(steps),
    )
    with RunWriter(run, "robot") as writer:
        first = writer.commit(one)
    record = json.loads((run / "commits" / f"{first}.json").read_text())
    (archive,) = record["files"]
    copied = archive["path"]
    for number in range(1, count):
        eid = f"{first.partition('-')[0]}{number:09d}-robot"
        path = f"episodes/{eid}.zarr.zip"
        if number % LINKS:
            os.link(run / copied, run / path)
        else:
            copied = shutil.copyfile(run / copied, run / path).relative_to(run)
        text = json.dumps(record | {"id": eid, "files": [archive | {"path": path}]})
        (run / "commits" / f"{eid}.json").write_text(text)


def _store_curves(counts: Iterable[int]) -> Curves:
    """Looks at a store, the first and the next; newest labels; an episode, whole and in part."""
    curves: Curves = {
        f"store, {what}": {} for what in ("open", "look again", "labels", "one episode")
    }
    needed = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            make_store(Path(folder), count)
            reader = RunReader(folder)
            refresh_index(Path(folder))
            calls = {
                "open": lambda reader=reader: reader.commits(),
                "look again": lambda reader=reader: reader.commits(),
                "labels": lambda folder=folder: newest_revisions(Path(folder)),
            }
            for what, call in calls.items():
                curves[f"store, {what}"][count] = _ms(call, 1)
            last = reader.commits()[-1]
            curves["store, one episode"][count] = _ms(lambda r=reader, c=last: r.load(c), 3)
            needed[count] = _ms(lambda r=reader, c=last: r.load(c, groups=["state"]), 3)
    return curves | {"store, one episode without its camera": needed}


def _policy(horizon: int = 6, cameras: int = 0) -> ChunkPolicy:
    sizes = {f"camera{number}": [3, 64, 64] for number in range(cameras)}
    vision = VisionConfig(backbone="resnet18", tuning="frozen", cameras=sizes)
    spec = replace(ChunkSpec(), horizon=horizon)
    layout = PolicyLayout(
        FEATURES, ACTION_DIM, spec, SMALL.policy, SMALL.critic, 0, Architecture(vision=vision)
    )
    learner = build_learner(layout, SMALL)
    ends = {name: (-np.ones(n), np.ones(n)) for name, n in (FEATURES | {ACTION: 17}).items()}
    return ChunkPolicy(layout, learner.actor, learner.critics, Normalizer(ends), sigma=0.7)


def _decision_ms(policy: ChunkPolicy, candidates: int = 24) -> float:
    observation, prefix = policy.example_inputs(generator=torch.Generator().manual_seed(0))
    policy.decide(observation, prefix, candidates=candidates)
    return _ms(lambda: policy.decide(observation, prefix, candidates=candidates), 3)


def _average_ms(count: int, gradients: int) -> float:
    """Of the slowest of so many processes on this machine, their start left out."""
    if count == 1:
        return 0.0  # nothing happens
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "average.py"
        script.write_text(PROCESS)
        done = subprocess.run(
            [*command, str(script), str(gradients)], capture_output=True, text=True, check=True
        )
    return 1e3 * float(done.stdout.split()[-1])


def _ms(call: Callable[[], object], repetitions: int) -> float:
    """The least of all repetitions."""
    times_s = []
    for _ in range(repetitions):
        started = time.process_time()
        call()
        times_s.append(time.process_time() - started)
    return 1e3 * min(times_s)
