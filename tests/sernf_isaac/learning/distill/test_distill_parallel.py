"""Two processes on one CPU learn one student from environments of their own."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sernf_isaac.learning.distill.workers import Workers
from sernf_isaac.metrics import read_metrics

HELPERS = Path(__file__).resolve().parents[3] / "helpers"
PROCESS = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from sernf_isaac.learning.distill.workers import Workers
from tiny_distiller import Drift, tiny_distiller, weights
torch.set_num_threads(1)
out = Path(sys.argv[1])
workers = Workers.from_environment("cpu")

torch.manual_seed(workers.rank)  # different weights and data on purpose
net = torch.nn.Linear(3, 1)
workers.share_weights(net)
workers.share_gradients(net)
data = torch.randn(8, 3)
net(data).square().mean().backward()
toy = {{"weight": net.weight.detach(), "bias": net.bias.detach(), "data": data}}
toy |= {{"gradient": net.weight.grad, "agreed": workers.agree(workers.rank + 5)}}

distiller = tiny_distiller(out / "run", Drift(seed=workers.rank), workers=workers, iterations=2)
distiller.run()
toy |= {{"student": weights(distiller), "executed": torch.stack(distiller.env.executed)}}
toy |= {{"gathered": workers.gather(workers.rank + 5)}}

distiller.iteration += workers.rank  # as if one had been stopped before it could write
distiller.save()
try:
    tiny_distiller(out / "run", Drift(), workers=workers, iterations=2).resume()
except ValueError as error:
    toy["refused"] = str(error)
torch.save(toy, out / f"{{workers.rank}}.pt")
workers.close()
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """What both processes ended with."""
    out = tmp_path_factory.mktemp("parallel")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    code = PROCESS.format(tests=str(HELPERS))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(out)],
            env=os.environ | shared | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in started:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors[-3000:]
    return out, [torch.load(out / f"{rank}.pt") for rank in range(2)]


def test_gradients_are_the_mean_of_what_each_would_have(
    outcomes: tuple[Path, list[dict]],
) -> None:
    _, (first, second) = outcomes
    assert torch.equal(first["weight"], second["weight"])
    weight = first["weight"].requires_grad_()
    losses = [(o["data"] @ weight.T + first["bias"]).square().mean() for o in (first, second)]
    (expected,) = torch.autograd.grad(sum(losses) / 2, weight)
    for outcome in (first, second):
        torch.testing.assert_close(outcome["gradient"], expected)
    assert first["agreed"] == second["agreed"] == 5
    assert first["gathered"] == second["gathered"] == [5, 6]


def test_all_end_with_one_student_from_different_rollouts(
    outcomes: tuple[Path, list[dict]],
) -> None:
    _, (first, second) = outcomes
    assert torch.equal(first["student"], second["student"])
    assert not torch.equal(first["executed"], second["executed"])


def test_one_writes_the_numbers_and_each_its_resume_point(
    outcomes: tuple[Path, list[dict]],
) -> None:
    out, _ = outcomes
    names = {path.name for path in (out / "run").iterdir() if "tfevents" not in path.name}
    assert names == {"metrics.csv", "training_state.pt", "training_state.1.pt"}
    assert len(list((out / "run").glob("*tfevents*"))) == 1
    assert len(read_metrics(out / "run", "distill/nll")) == 2


def test_resume_points_of_different_iterations_are_refused_by_all(
    outcomes: tuple[Path, list[dict]],
) -> None:
    for outcome in outcomes[1]:
        assert re.search(r"different iterations \(\[2, 3\], by rank\)", outcome["refused"])


@pytest.mark.parametrize(("device", "backend"), [("cuda:3", "nccl"), ("cpu", "gloo")])
def test_a_process_joins_with_the_gpu_it_was_given(
    monkeypatch: pytest.MonkeyPatch, device: str, backend: str
) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setattr(torch.cuda, "set_device", lambda used: calls.append(("use", used)))
    for name, value in (("get_rank", 3), ("get_world_size", 4)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda kind: calls.append(("join", kind))
    )
    workers = Workers.from_environment(device)
    assert (workers.rank, workers.count) == (3, 4)
    before = [("use", device)] if backend == "nccl" else []
    assert calls == [*before, ("join", backend)], "the GPU is chosen before the others are met"


def test_a_process_alone_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    workers = Workers.from_environment("cpu")
    assert (workers.rank, workers.count) == (0, 1)
    assert workers.mean({"loss": 2.0}) == {"loss": 2.0} and workers.agree("here") == "here"
    assert workers.gather(7) == [7]
    workers.close()
