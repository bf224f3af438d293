"""Processes that learn together: launches that are wrong, rows that are dealt out."""

import pytest
import torch

from sernf_isaac.learning.workers import Workers
from sernf_isaac.models.draws import SharedGenerator, normal, uniform

LAUNCH = {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.mark.parametrize(("device", "backend"), [("cuda:3", "nccl"), ("cpu", "gloo")])
def test_a_process_joins_with_the_gpu_it_was_given(
    monkeypatch: pytest.MonkeyPatch, device: str, backend: str
) -> None:
    calls: list[tuple[str, str]] = []
    for name, value in LAUNCH.items():
        monkeypatch.setenv(name, value)
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


def test_a_launch_that_lacks_something_is_told_what(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ValueError, match=r"RANK is set, but WORLD_SIZE and .* not: start several"):
        Workers.from_environment("cpu")


def test_processes_that_would_share_a_gpu_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (LAUNCH | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"process 1 .* told to use GPU 0.* leave the number out"):
        Workers.from_environment("cuda:0")


@pytest.mark.parametrize("together", [1, 3])
def test_every_row_is_dealt_to_one_process_and_neighbours_stay_together(together: int) -> None:
    dealt = [Workers(rank, 4).rows(24, together) for rank in range(4)]
    assert torch.cat(dealt).sort().values.tolist() == list(range(24))
    assert all(len(rows) == 6 for rows in dealt)
    for rows in dealt:
        blocks = rows.view(-1, together)
        assert torch.equal(blocks, blocks[:, :1] + torch.arange(together))
    first_half = [int((rows < 12).sum()) for rows in dealt]
    assert first_half == [3, 3, 3, 3], "offline rows, which come first, reach all alike"


@pytest.mark.parametrize("fill", [normal, uniform])
def test_rows_get_the_noise_that_they_would_get_in_one_process(fill) -> None:
    whole, states = fill(torch.empty(6, 2), torch.Generator().manual_seed(1)), []
    for rank in range(3):
        generator = torch.Generator().manual_seed(1)
        own = fill(torch.empty(2, 2), SharedGenerator(generator, rank, 3))
        assert torch.equal(own, whole[Workers(rank, 3).rows(6)])
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1]) and torch.equal(states[0], states[2])
