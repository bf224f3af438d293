"""Two processes on one CPU learn one student from environments of their own."""

import re
from pathlib import Path

import pytest
import torch
from tiny_distiller import Drift, tiny_distiller, weights
from torchrun import run_together

from sernf_isaac.metrics import read_metrics

HELPERS = Path(__file__).resolve().parents[3] / "helpers"
PROCESS = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from sernf_isaac.learning.workers import Workers
from tiny_distiller import Drift, tiny_distiller, weights
torch.set_num_threads(1)
out = Path(sys.argv[1])
workers = Workers.from_environment("cpu")

torch.manual_seed(workers.rank)  # different weights and data on purpose
net = torch.nn.Linear(3, 1)
workers.share_weights(net)
data = torch.randn(8, 3)
net(data).square().mean().backward()
workers.average_gradients(net)
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
GOING_ON = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from sernf_isaac.learning.workers import Workers
from tiny_distiller import Drift, tiny_distiller, weights
torch.set_num_threads(1)
out = Path(sys.argv[1])
workers = Workers.from_environment("cpu")
distiller = tiny_distiller(out, Drift(seed=workers.rank), workers=workers, iterations=3)
distiller.resume()
began = weights(distiller)
distiller.run()
told = {{"began": began, "ended": weights(distiller), "iteration": distiller.iteration}}
torch.save(told | {{"executed": torch.stack(distiller.env.executed)}}, out / f"{{workers.rank}}.pt")
workers.close()
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """What both processes ended with."""
    out = tmp_path_factory.mktemp("parallel")
    run_together(PROCESS.format(tests=str(HELPERS)), out)
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


def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    alone = tiny_distiller(tmp_path, Drift(), iterations=2)
    alone.run()
    run_together(GOING_ON.format(tests=str(HELPERS)), tmp_path)
    pair = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for told in pair:
        assert torch.equal(told["began"], weights(alone))
        assert torch.equal(told["ended"], pair[0]["ended"])
        assert told["iteration"] == 3
    assert not torch.equal(pair[0]["ended"], pair[0]["began"])
    assert not torch.equal(pair[0]["executed"], pair[1]["executed"])

    back = tiny_distiller(tmp_path, Drift(), iterations=4)
    back.resume()
    assert torch.equal(weights(back), pair[0]["ended"])
    back.run()
    assert back.iteration == 4
