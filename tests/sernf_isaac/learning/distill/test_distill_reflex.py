"""The reflex learns what the teacher would add to the student's chunks, in the same rollouts."""

from pathlib import Path

import pytest
import torch
from tiny_distiller import Drift, tiny_distiller, weights

from sernf_isaac.learning.distill.distiller import Distiller
from sernf_isaac.metrics import read_metrics
from sernf_isaac.models.reflex import ReflexConfig

REFLEX = ReflexConfig(bound=0.5, width=32)


def reflexes(distiller: Distiller) -> torch.Tensor:
    assert distiller.policy.reflex is not None
    return torch.cat([p.detach().flatten() for p in distiller.policy.reflex.parameters()])


def test_it_takes_away_part_of_the_gap_to_the_teacher(tmp_path: Path) -> None:
    settings = {"learns": "reflex", "teacher_share": 0.0, "iterations": 8, "kept_rollouts": 4}
    distiller = tiny_distiller(
        tmp_path, Drift(), reflex=REFLEX, updates_per_iteration=60, **settings
    )
    before, corrections = weights(distiller), reflexes(distiller)
    distiller.run()
    assert torch.equal(weights(distiller), before), "the chunks stay as they are"
    assert not torch.equal(reflexes(distiller), corrections)
    explained = [value for _, value in read_metrics(tmp_path, "reflex/explained")]
    assert explained[-1] > 0.5 > explained[0]
    errors = [value for _, value in read_metrics(tmp_path, "distill/action_error")]
    assert errors[-1] < 0.7 * errors[0]


def test_chunks_and_reflex_learn_together_and_go_on_exactly(tmp_path: Path) -> None:
    whole = tiny_distiller(tmp_path / "whole", Drift(), reflex=REFLEX, kept_rollouts=2)
    whole.run()
    assert {"distill/nll", "reflex/loss"} <= set(_names(tmp_path / "whole"))
    part = tiny_distiller(tmp_path / "part", Drift(), reflex=REFLEX, kept_rollouts=2)
    part.run(max_wall_s=1e-9)  # one iteration
    assert part.iteration == 1
    resumed = tiny_distiller(tmp_path / "part", Drift(), reflex=REFLEX, kept_rollouts=2)
    resumed.resume()
    resumed.run()
    assert torch.equal(weights(resumed), weights(whole))
    assert torch.equal(reflexes(resumed), reflexes(whole))


def test_there_must_be_a_reflex_to_learn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give it a reflex\.bound"):
        tiny_distiller(tmp_path, learns="reflex")


def _names(folder: Path) -> set[str]:
    rows = (folder / "metrics.csv").read_text().splitlines()[1:]
    return {row.split(",")[1] for row in rows}
