"""Command lines: overrides, devices, readable errors, and every script's help."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from sernf_isaac import cli
from sernf_isaac.data.store.channel import publish_checkpoint
from sernf_isaac.data.store.writer import create_run
from tasks.cube_spin.runs.train_teacher import TwinRun

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def run_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str]]:
    """Runs a script in this process; returns what it exits with and what it printed."""

    def run(name: str, *arguments: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


# Overrides ----------------------------------------------------------------------------------------


def test_overrides_reach_nested_settings() -> None:
    before = TwinRun()
    items = ["num_envs=16", "task.reward.tilt=-1", "ppo.hidden=[64, 32]", "physics=nominal"]
    run = cli.apply_overrides(before, items)
    assert isinstance(run, TwinRun)
    assert (run.num_envs, run.task.reward.tilt, run.physics) == (16, -1.0, "nominal")
    assert list(run.ppo.hidden) == [64, 32]
    assert before == TwinRun() and run.task.reward.fall == before.task.reward.fall


def test_pairs_are_overridden_as_lists() -> None:
    run = cli.apply_overrides(TwinRun(), ["task.command.speed_rad_s=[0.2, 2.0]"])
    assert tuple(run.task.command.speed_rad_s) == (0.2, 2.0)


def test_no_overrides_change_nothing() -> None:
    structured = OmegaConf.structured
    assert structured(cli.apply_overrides(TwinRun(), [])) == structured(TwinRun())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.reward.tillt=-1", r"'task\.reward\.tillt'; did you mean 'task\.reward\.tilt'"),
        ("num_env=16", "'num_env'; did you mean 'num_envs'"),
        ("zzz=1", "'zzz'; --print_config shows all"),
        ("task.reward=1", r"'task\.reward'"),
        ("task.reward.tilt.x=1", r"'task\.reward\.tilt\.x'"),
        ("--max_iteration=5", "neither a flag nor a key=value setting"),
        ("num_envs", "neither a flag nor a key=value setting"),
        ("=3", "neither a flag nor a key=value setting"),
        ("num_envs=many", "bad setting .*num_envs"),
        ("task.reward.tilt=[1, 2]", "bad setting"),
        ("ppo.hidden=[a, b]", "bad setting"),
        ("task.action.mode=velocity", r"action\.mode = 'velocity' is not a valid setting"),
        ("task.command.speed_rad_s=[1.0]", r"command\.speed_rad_s = .* not a valid setting"),
        ("task.command.speed_rad_s=[2.0, 1.0]", r"command\.speed_rad_s = .* not a valid setting"),
        ("ppo.hidden=[64", "bad setting"),
    ],
)
def test_wrong_overrides_are_refused_with_a_hint(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cli.apply_overrides(TwinRun(), [override])


# Devices and simulators ---------------------------------------------------------------------------


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda there: monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.mark.parametrize("choice", ["cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_not_there_is_named(gpu, choice: str) -> None:
    gpu(False)
    with pytest.raises(ValueError, match=f"--device {choice}: no CUDA GPU found"):
        cli.resolve_device(choice)


@pytest.mark.parametrize(
    ("there", "choice", "device"),
    [
        (False, None, "cpu"),
        (False, "auto", "cpu"),
        (True, None, "cuda:0"),
        (True, "cuda", "cuda:0"),
        (True, "cuda:1", "cuda:1"),
        (True, "cpu", "cpu"),
    ],
)
def test_devices_resolve_to_one_that_exists(
    gpu, there: bool, choice: str | None, device: str
) -> None:
    gpu(there)
    assert cli.resolve_device(choice) == device


@pytest.mark.parametrize(
    ("rank", "choice", "device"),
    [
        ("0", None, "cuda:0"),
        ("3", None, "cuda:3"),
        ("3", "cuda", "cuda:3"),
        ("3", "cuda:1", "cuda:1"),
    ],
)
def test_each_process_of_torchrun_takes_its_own_gpu(
    gpu, monkeypatch: pytest.MonkeyPatch, rank: str, choice: str | None, device: str
) -> None:
    gpu(True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert cli.resolve_device(choice) == device
    gpu(False)
    assert cli.resolve_device(None) == "cpu"


def test_more_processes_than_gpus_are_refused(gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match=r"process 2 of torchrun has no GPU.*found 2; start at mo"):
        cli.resolve_device(None)
    assert cli.resolve_device("cuda:0") == "cuda:0"


def test_the_simulator_is_isaac_lab_only_beside_a_gpu(gpu, monkeypatch) -> None:
    assert cli.resolve_sim("isaac") == "isaac" and cli.resolve_sim("twin") == "twin"
    for there, installed, expected in (
        (True, True, "isaac"),
        (False, True, "twin"),
        (True, False, "twin"),
    ):
        gpu(there)
        found = object() if installed else None
        monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name, found=found: found)
        assert cli.resolve_sim("auto") == expected


# Scripts ------------------------------------------------------------------------------------------


def test_a_misspelt_setting_ends_training_with_a_hint(run_script, tmp_path: Path) -> None:
    code, _ = run_script(
        "train_teacher.py", "--sim", "twin", "--out", tmp_path, "task.reward.tillt=-1"
    )
    assert isinstance(code, str) and "did you mean 'task.reward.tilt'" in code
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_flag_does_not_start_training(run_script, tmp_path: Path) -> None:
    code, _ = run_script(
        "train_teacher.py", "--sim", "twin", "--out", tmp_path, "--max_iteratons=3"
    )
    assert code == 2
    assert list(tmp_path.iterdir()) == []


def test_all_settings_can_be_shown(run_script, tmp_path: Path) -> None:
    code, out = run_script(
        *("train_teacher.py", "--sim", "twin", "--print_config", "--out", tmp_path),
        *("--num_envs", "16", "task.reward.tilt=-1"),
    )
    shown = yaml.safe_load(out)
    assert code == 0 and shown["num_envs"] == 16 and shown["task"]["reward"]["tilt"] == -1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("resume", "message"),
    [("latest", "no run to resume"), ("nowhere", "--resume nowhere: no such folder")],
)
def test_resuming_nothing_says_so(run_script, tmp_path: Path, resume: str, message: str) -> None:
    code, _ = run_script("train_teacher.py", "--sim", "twin", "--out", tmp_path, "--resume", resume)
    assert message in str(code)


def test_a_resumed_run_takes_no_new_settings(run_script, tmp_path: Path) -> None:
    code, _ = run_script(
        *("train_teacher.py", "--sim", "twin", "--out", tmp_path, "--resume", "latest"),
        "ppo.learning_rate=1e-3",
    )
    assert "keeps its settings" in str(code)


@pytest.mark.parametrize("name", ["evaluate.py", "play.py"])
def test_a_missing_policy_is_a_clear_error(run_script, tmp_path: Path, name: str) -> None:
    code, _ = run_script(name, "--policy", tmp_path / "none.pt")
    assert str(code).startswith("error: no policy file at") and "none.pt" in str(code)


def test_a_file_that_is_no_policy_is_a_clear_error(run_script, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    code, _ = run_script("evaluate.py", "--policy", tmp_path / "text.pt")
    assert str(code).startswith("error:") and "damaged or of another kind" in str(code)


def test_an_unknown_simulator_is_refused(run_script, capsys) -> None:
    code, _ = run_script("evaluate.py", "--sim", "gazebo")
    assert code == 2


def test_the_doctor_says_what_to_do_and_looks_at_the_hand_it_is_told(run_script, tmp_path) -> None:
    config = tmp_path / "config.yaml"
    code, out = run_script("doctor.py", "--hand_config", config, "--runs", tmp_path)
    rows = {line[:24].strip(): line[25:] for line in out.splitlines()[1:]}
    assert code == 0 and f"no {config}" in rows["hand: config"]
    for name, row in rows.items():
        assert row.startswith("ok ") or " -> " in row, name
    assert rows["shipped detector"].startswith("ok") and rows["disk: space"].count(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_pinned_blessed_and_let_go_by_name(run_script, tmp_path) -> None:
    run = tmp_path / "run"
    ask = lambda *flags: run_script("finetune.py", "--run", run, *flags)  # noqa: E731
    assert f"error: {run} is no run" in str(ask("--pin", "x")[0])
    create_run(run, {"task": "test"})
    names = []
    for step in (0, 100):
        (tmp_path / "policy.pt").write_text(str(step))
        names.append(publish_checkpoint(run, tmp_path / "policy.pt", step).name)
    code, page = ask("--status")
    assert code == 0 and all(name in page for name in names)
    for flags, taken in (
        (("--bless", names[0]), 0),
        (("--pin", names[1]), 1),
        (("--unpin",), 0),
        (("--unbless",), 1),
    ):
        code, page = ask(*flags)
        assert code == 0 and page.split()[-1] == names[taken]
    code, _ = ask("--pin", "newest")
    assert "no published checkpoint 'newest'" in str(code) and names[1] in str(code)
    assert ask("--pin", names[0], "--unpin")[0] == 2
