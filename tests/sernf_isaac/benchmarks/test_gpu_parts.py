"""What the report of a GPU measures, with small networks on a CPU."""

import pytest
import torch

from sernf_isaac.benchmarks import gpu
from sernf_isaac.benchmarks.floors import flops_of, parameter_bytes
from sernf_isaac.benchmarks.full_size import full_size, random_batch
from sernf_isaac.learning.stages import IMITATION


@pytest.fixture(autouse=True)
def same_precision():
    """Other tests get the precision that they had."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def told(call, **settings: object) -> dict:
    found: dict = {}
    call("cpu", small=True, tell=found.update, **settings)
    return found


def test_decisions_are_timed_for_each_number_of_candidates() -> None:
    found = told(gpu.decisions, candidates=[1, 3], way="eager", repetitions=2)
    assert 0 < found["eager_1_p50_ms"] <= found["eager_1_p99_ms"]
    assert found["eager_3_gflop"] > found["eager_1_gflop"] > 0
    assert found["eager_1_floor_ms"] is None, "the floor of a CPU is not known"


def test_updates_are_timed_in_each_precision() -> None:
    found = told(gpu.updates, batch=3, candidates=[1, 2], repetitions=1)
    for precision in ("float32", "bf16"):
        assert found[f"rl_2_{precision}_ms"] > 0
        assert found[f"rl_2_{precision}_tflop"] > found[f"rl_1_{precision}_tflop"] > 0
    found = told(gpu.updates, batch=3, candidates=[1], repetitions=1, stage="imitation")
    assert found["imitation_bf16_rows_per_s"] > 0


def test_replay_is_timed_with_and_without_sending() -> None:
    found = told(gpu.replay_to_device, batch=4, batches=2)
    assert min(found.values()) > 0 and len(found) == 4


def test_work_is_counted_forwards_and_backwards() -> None:
    """A step costs three times what its networks cost forwards, in proportion to its rows."""
    learner = full_size("cpu", small=True)
    one, two = (
        flops_of(lambda rows=rows: IMITATION.update(learner, random_batch(rows, "cpu")))
        for rows in (2, 4)
    )
    assert two == 2 * one > 0
    layer = torch.nn.Linear(8, 4)
    x = torch.randn(16, 8)
    assert flops_of(lambda: layer(x)) == 2 * 16 * 8 * 4
    assert parameter_bytes(layer) == 4 * (8 * 4 + 4)
