"""Two processes learn what one learns with twice the batch, and any number may go on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_finetune import begin, quick
from tiny_offline import episode, tiny_run
from torchrun import run_together

from sernf_isaac.data.store.channel import published
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.finetune.run import FinetuneRun, finetune
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.learning.stages import Stage
from sernf_isaac.learning.workers import Workers
from sernf_isaac.metrics import read_metrics

HERE = Path(__file__).resolve().parent
PATHS = [str(HERE.parents[2]), str(HERE.parents[1] / "helpers"), str(HERE)]
STOP_AT = 11
"""Updates, one after a resume point in the second of three stages."""
PROCESS = """
import sys, torch
sys.path[:0] = {paths!r}
from pathlib import Path
torch.set_num_threads(1)
import test_parallel_learners as test
from sernf_isaac.learning.workers import together
out = Path(sys.argv[1])
with together("cpu") as workers:
    told = test.learn_in_a_pair(out, workers)
    torch.save(told, out / f"told.{{workers.rank}}.pt")
"""


def without_dropout(run):
    """Of which each process has its own."""
    learner = run.learner
    policy = replace(learner.policy, imitation_dropout=0.0, rl_dropout=0.0)
    critic = replace(learner.critic, dropout=0.0)
    return replace(run, learner=replace(learner, policy=policy, critic=critic))


def offline_run(out: Path, rows: int, data: str = "store") -> offline.OfflineRun:
    run = without_dropout(tiny_run(str(out / data)))
    return replace(run, batch_size=rows, rl_batch_size=rows)


def finetune_run(rows: int) -> FinetuneRun:
    settings = quick()
    critic = replace(settings.learner.critic, dropout=0.0)
    learner = replace(settings.learner, critic=critic)
    return replace(settings, learner=learner, rl_batch_size=rows, critic_updates=2)


def stopped(run: offline.OfflineRun, run_dir: Path, workers: Workers) -> None:
    """A training that ends by an error in the middle."""
    update, calls = Stage.update, []

    def until_stopped(stage, learner, batch):
        calls.append(1)
        if len(calls) == STOP_AT:
            raise InterruptedError
        return update(stage, learner, batch)

    Stage.update = until_stopped
    try:
        with pytest.raises(InterruptedError):
            offline.train(run, run_dir, workers=workers)
    finally:
        Stage.update = update


def learn_in_a_pair(out: Path, workers: Workers) -> dict:
    """What each of two processes does."""
    offline.train(offline_run(out, 8), out / "pair", workers=workers)
    stopped(offline_run(out, 8), out / "stopped", workers)
    offline.train(offline_run(out, 8), out / "grown", resume=True, workers=workers)
    finetune(finetune_run(8), out / "hand" / "pair", wait=never, workers=workers)
    told = {"told": workers.once(lambda: f"process {workers.rank}")}
    try:
        other = offline_run(out, 8, "store" if workers.rank == 0 else "other")
        offline.train(other, out / "apart", workers=workers)
    except ValueError as error:
        told["refused"] = str(error)
    return told


def never(there: float, needed: float) -> None:
    raise AssertionError(f"waits with {there} of {needed} minutes")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left, and one with twice the batch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("parallel")
    for name, first in (("store", 0), ("other", 10)):
        create_run(out / name, {"task": "test"})
        with RunWriter(out / name, "robot") as writer:
            for seed in range(first, first + 4):
                writer.commit(episode(seed))
    alone = begin(out / "hand")
    shutil.copytree(alone, out / "hand" / "pair")
    offline.train(offline_run(out, 16), out / "alone")
    stopped(offline_run(out, 16), out / "grown", Workers())
    run_together(PROCESS.format(paths=PATHS), out)
    finetune(finetune_run(16), alone, wait=never)
    torch.set_num_threads(threads)
    return out


def learner_of(run_dir: Path) -> dict:
    state = torch.load(run_dir / STATE_FILE, weights_only=True)
    parts = ("actor", "critics", "target")
    learner = state["learner"]
    return {f"{p}.{name}": value for p in parts for name, value in learner[p].items()}


def assert_same(first: Path, second: Path) -> None:
    """Up to rounding: the order in which rows are summed differs."""
    ours, theirs = learner_of(first), learner_of(second)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-5, rtol=0.0, msg=name)


def test_two_learn_what_one_learns_with_twice_the_batch(out: Path, tmp_path: Path) -> None:
    assert_same(out / "pair", out / "alone")
    offline.train(offline_run(out, 8), tmp_path)
    with pytest.raises(AssertionError):  # with the batch of one of them it is something else
        assert_same(tmp_path, out / "alone")


def test_two_fine_tune_what_one_does_with_twice_the_batch(out: Path) -> None:
    pair, alone = (out / "hand" / name / "learner" for name in ("pair", "run"))
    assert_same(pair, alone)
    steps = [[int(name[:9]) for name in published(folder.parent)] for folder in (pair, alone)]
    assert steps == [[0, 8, 12], [0, 8, 12]], "process 0 alone publishes"


def test_one_goes_on_where_two_were_stopped(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out / "stopped", tmp_path / "stopped")
    assert len(read_metrics(tmp_path / "stopped", "critic/loss")) == 2
    offline.train(offline_run(out, 16), tmp_path / "stopped", resume=True)
    assert_same(tmp_path / "stopped", out / "alone")


def test_two_go_on_where_one_was_stopped(out: Path) -> None:
    assert_same(out / "grown", out / "alone")


def test_one_process_writes_and_numbers_are_of_all_rows(out: Path) -> None:
    names = [
        {p.name for p in (out / f).iterdir() if "tfevents" not in p.name} for f in ("pair", "alone")
    ]
    assert names[0] == names[1] and len(list((out / "pair").glob("*tfevents*"))) == 1
    for name in ("actor/bc", "critic/loss", "actor/value"):
        (ours, theirs) = (read_metrics(out / f, name) for f in ("pair", "alone"))
        assert [step for step, _ in ours] == [step for step, _ in theirs]
        assert [v for _, v in ours] == pytest.approx([v for _, v in theirs], rel=1e-3, abs=1e-4)


def test_processes_that_see_other_data_are_refused_by_all(out: Path) -> None:
    for rank in range(2):
        told = torch.load(out / f"told.{rank}.pt")
        assert told["told"] == "process 0"
        assert "processes [1] of torchrun have other data than process 0" in told["refused"]
    assert not (out / "apart" / STATE_FILE).exists()
