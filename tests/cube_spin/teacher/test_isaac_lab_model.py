"""A model of RSL-RL's runner becomes a policy file; no simulator is needed."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from first_hand import V1
from omegaconf import OmegaConf

from tasks.cube_spin.config import TaskConfig, tuned_task
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.teacher.isaac_lab_model import export_teacher, newest_model
from tasks.cube_spin.teacher.policy import load_teacher


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A folder as `isaaclab train` leaves it."""
    task = tuned_task()
    seen = sum(observation_sizes(task.observation, V1).values())
    sizes = (seen, 16, 8, 17)
    weights = {
        "obs_normalizer._mean": torch.randn(1, seen),
        "obs_normalizer._std": torch.rand(1, seen) + 0.5,
        "distribution.log_std_param": torch.zeros(17),
    }
    for layer, (inside, outside) in enumerate(pairwise(sizes)):
        weights[f"mlp.{2 * layer}.weight"] = torch.randn(outside, inside)
        weights[f"mlp.{2 * layer}.bias"] = torch.randn(outside)
    for number in (9, 10):
        content = {"actor_state_dict": weights, "iter": number, "infos": None}
        torch.save(content, tmp_path / f"model_{number}.pt")
    settings = {"task": asdict(task), "viewer": slice(1, 2)}  # as Isaac Lab dumps: with Python tags
    (tmp_path / "params").mkdir()
    (tmp_path / "params/env.yaml").write_text(yaml.dump(settings))
    return tmp_path


def test_the_last_model_of_a_training_is_exported(training: Path) -> None:
    assert "!!python/tuple" in (training / "params/env.yaml").read_text()
    model = newest_model(training)
    assert model.name == "model_10.pt" and newest_model(model) == model
    task = export_teacher(model, training / "teacher.pt", {"command": "test"})
    policy = load_teacher(training / "teacher.pt")
    assert task == policy.task and policy.hidden == (16, 8)
    assert OmegaConf.structured(task) == OmegaConf.structured(tuned_task())
    weights = torch.load(model, weights_only=True)["actor_state_dict"]
    seen = torch.randn(3, len(policy.observation_mean))
    scaled = (seen - weights["obs_normalizer._mean"]) / (weights["obs_normalizer._std"] + 1e-2)
    expected = policy.mlp(scaled)
    torch.testing.assert_close(policy({"teacher": seen}), expected)  # type: ignore[arg-type]


def test_what_is_no_training_is_named(training: Path) -> None:
    out = training / "teacher.pt"
    with pytest.raises(FileNotFoundError, match=r"no model_\*\.pt in"):
        newest_model(training / "params")
    with pytest.raises(FileNotFoundError, match="no model at"):
        export_teacher(training / "model_1.pt", out, {})
    torch.save({"model": {}}, training / "model_11.pt")
    with pytest.raises(ValueError, match=r"model_11\.pt is no model of RSL-RL"):
        export_teacher(training / "model_11.pt", out, {})
    other = asdict(tuned_task())
    other["observation"]["mean_spin"] = False
    (training / "params/env.yaml").write_text(yaml.dump({"task": other}))
    with pytest.raises(ValueError, match=r"sees \d+ numbers, the task beside it shows \d+"):
        export_teacher(training / "model_10.pt", out, {})
    for text in ("task: {actoin: 1}\n", "a: [\n", "other: 1\n"):
        (training / "params/env.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"env\.yaml holds no cube-spin task"):
            export_teacher(training / "model_10.pt", out, {})
    (training / "params/env.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no params/env\.yaml or isaac_config\.yaml"):
        export_teacher(training / "model_10.pt", out, {})
    assert isinstance(tuned_task(), TaskConfig) and not out.exists()
