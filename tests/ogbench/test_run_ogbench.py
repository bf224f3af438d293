"""`scripts/run_ogbench.py` from data to table, on an environment with OGBench's interface."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
from tasks.ogbench.run_log import CONFIG_FILE, run_folder
from tasks.ogbench.variants import settings

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TINY = (
    "imitation_steps=2",
    "warm_up_steps=2",
    "offline_steps=2",
    "batch_size=8",
    "rl_batch_size=8",
    "log_every=1",
    "save_every=2",
    "learner.policy.token_dim=16",
    "learner.policy.width=16",
    "learner.critic.token_dim=16",
    "learner.critic.feedforward=16",
    "online.env_steps=50",
    "online.candidates=2",
    "evaluate_every=20",
)


@pytest.fixture
def run_ogbench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], make_reaching, tmp_path
) -> Callable[..., str]:
    """Runs the script in this process; returns what it printed."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(
        "tasks.ogbench.environment.make_envs", lambda _, count: make_reaching(count)
    )
    monkeypatch.setattr("tasks.ogbench.relabel.relabel", lambda task, files, folder: files)

    def run(*arguments: object) -> str:
        given = ["run_ogbench.py", "--out", tmp_path / "runs", *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        runpy.run_path(str(SCRIPTS / "run_ogbench.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_a_run_ends_with_its_numbers_and_is_not_done_again(
    run_ogbench, play_folder: Path, tmp_path: Path
) -> None:
    variant = "per_step"
    arguments = (
        *("--task", "a-singletask-v0", "--data", play_folder, "--seed", 3, "--variant", variant),
        *("--json", tmp_path / "r.json", "--episodes", 4, "--num_envs", 2, *TINY),
    )
    out = run_ogbench(*arguments)
    values = json.loads((tmp_path / "r.json").read_text())
    assert (values["task"], values["seed"], values["variant"]) == ("a-singletask-v0", 3, variant)
    for name in ("imitation", "best_of_k", "offline", "online"):
        assert 0 <= values[f"success_{name}"] <= 1
    steps = [row["env_steps"] for row in values["curves"]["evaluations"]]
    assert steps[:3] == [0, 0, 0] and 48 <= steps[-1] <= 50 and len(steps) >= 5
    assert len(values["curves"]["training"]["actor/bc"]) >= 4
    assert values["settings"]["online"]["env_steps"] == 50
    assert "1 | " in out and out.count(" steps: success ") == len(steps)
    again = run_ogbench(*arguments)
    assert " steps: success " not in again  # nothing was left to do
    assert json.loads((tmp_path / "r.json").read_text())["curves"] == values["curves"]
    table = run_ogbench("--summary", tmp_path / "r.json", "--figure", tmp_path / "curves.png")
    assert f"{values['success_online']:.2f} |" in table
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_other_settings_are_another_run(tmp_path: Path) -> None:
    run, again, other = settings("flow", 0), settings("flow", 0), settings("flow", 0)
    other.imitation_steps += 1
    folders = [run_folder(tmp_path, "task", "flow", one) for one in (run, again, other)]
    assert folders[0] == folders[1] != folders[2]
    assert all((folder / CONFIG_FILE).is_file() for folder in folders)


def test_data_of_another_environment_are_refused(
    run_ogbench, play_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.ogbench.environment.OgbenchEnv.sizes", (30, 2))
    with pytest.raises(SystemExit, match=r"others-0\.npz has sizes \(22, 2\), the environment"):
        run_ogbench("--data", play_folder, "--num_envs", 2, *TINY)


@pytest.mark.parametrize(
    ("variant", "setting"),
    [
        ("gaussian", "kind: gaussian"),
        ("per_step", "kind: per_step"),
        ("no_likelihood", "imitation_weight: 0.0"),
        ("one_candidate", "candidates: 1"),
    ],
)
def test_every_variant_changes_what_it_says(run_ogbench, variant: str, setting: str) -> None:
    plain = run_ogbench("--print_config").splitlines()
    changed = run_ogbench("--print_config", "--variant", variant).splitlines()
    different = [line.strip() for line in changed if line not in plain]
    assert setting in different and len(different) <= 3


@pytest.mark.parametrize("variant", WITHOUT_LIKELIHOOD)
def test_what_only_imitates_is_evaluated_after_stage_one(
    run_ogbench, play_folder: Path, tmp_path: Path, variant: str
) -> None:
    arguments = ("--task", "a-singletask-v0", "--data", play_folder, "--variant", variant)
    small = [item for item in TINY if "warm_up" not in item and "offline_steps" not in item]
    run_ogbench(*arguments, "--json", tmp_path / "r.json", "--episodes", 4, "--num_envs", 2, *small)
    values = json.loads((tmp_path / "r.json").read_text())
    assert 0 <= values["success_imitation"] <= 1 and values["success_online"] is None
    assert values["settings"]["architecture"]["kind"] == variant
