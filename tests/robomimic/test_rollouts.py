"""From demonstrations to a success rate: train a tiny policy, roll it out, report it."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_robosuite import FAKE_SERVER

from sernf_isaac.learning.offline.config import as_baseline
from sernf_isaac.learning.offline.run import train
from sernf_isaac.models.architecture import ActConfig, Architecture
from sernf_isaac.policy import load_policy
from tasks.manipulation.protocol import Trial
from tasks.robomimic.client import RobosuiteClient, RobosuiteSettings
from tasks.robomimic.demonstrations import record_demonstrations
from tasks.robomimic.demonstrator import KEYS
from tasks.robomimic.evaluation import check_fits, decider, roll_out, settings_for
from tasks.robomimic.preset import offline_run
from tasks.robomimic.report import load_report, report, summary

SCRIPT = Path(__file__).parents[2] / "scripts/robomimic.py"
HERE = {"python": Path(sys.executable), "server": FAKE_SERVER}


def tiny(data: Path, keys: list[str]):
    """The preset's run with networks and steps that take no time."""
    run = offline_run()
    policy = replace(run.learner.policy, token_dim=16, width=16, num_couplings=4, num_heads=2)
    critic = replace(run.learner.critic, token_dim=16, num_heads=2, num_layers=1, feedforward=16)
    return replace(
        run,
        data=[str(data)],
        keys=keys,
        learner=replace(run.learner, policy=policy, critic=critic),
        batch_size=8,
        rl_batch_size=8,
        imitation_steps=3,
        warm_up_steps=2,
        offline_steps=2,
        successes_only=True,
    )


@pytest.fixture(scope="module")
def demonstrations(client, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "lift.hdf5"
    record_demonstrations(path, client, 3)
    return path


@pytest.fixture(scope="module")
def policies(demonstrations, tmp_path_factory):
    """The folder with a policy per stage."""
    folder = tmp_path_factory.mktemp("run")
    train(tiny(demonstrations, list(KEYS)), folder)
    return folder


@pytest.mark.parametrize("stage", ["imitation", "offline"])
def test_a_policy_is_rolled_out_and_counted(policies, stage):
    asked = {"episodes": 2, "candidates": 2, "seed": 1, "max_steps": 20}
    file = policies / f"policy_{stage}.pt"
    found = roll_out(file, RobosuiteSettings(), **asked, **HERE)
    assert (found["stage"], found["environment"], found["seed"]) == (stage, "Lift", 1)
    assert len(found["trials"]) == found["success"]["total"] == 2
    won = sum(trial["succeeded"] for trial in found["trials"])
    assert found["success"]["count"] == won
    assert found["versions"] == {"fake": "1.0"}
    if stage == "imitation":
        assert roll_out(file, RobosuiteSettings(), **asked, **HERE)["trials"] == found["trials"]


def test_processes_share_the_trials(policies):
    file = policies / "policy_imitation.pt"
    found = roll_out(
        file, RobosuiteSettings(), episodes=3, candidates=1, processes=2, max_steps=20, **HERE
    )
    assert len(found["trials"]) == 3
    with pytest.raises(ValueError, match=r"processes \(0\) must be at least 1"):
        roll_out(file, RobosuiteSettings(), episodes=1, candidates=1, processes=0, **HERE)
    with pytest.raises(ValueError, match=r"{'candidates': 0, 'max_steps': 0} must be"):
        roll_out(file, RobosuiteSettings(), episodes=1, candidates=0, max_steps=0, **HERE)


def test_a_policy_that_does_not_fit_is_refused(policies, make_client):
    policy, contract = load_policy(policies / "policy.pt")
    settings = settings_for(policy, RobosuiteSettings())
    assert sorted(settings.keys) == sorted(KEYS) and settings.cameras == ()
    with pytest.raises(ValueError, match=r"acts at 20.0 Hz, Lift at 10.0"):
        check_fits(policy, contract, make_client(RobosuiteSettings(kwargs={"rate_hz": 10.0})))
    with pytest.raises(ValueError, match=r"actions have 7 numbers, Lift's 6"):
        check_fits(policy, contract, make_client(RobosuiteSettings(kwargs={"actions": 6})))
    layout = replace(policy.layout, features={**policy.layout.features, "object": 14})
    policy.layout = layout
    with pytest.raises(ValueError, match=r"14 numbers in 'object', Lift has 10"):
        check_fits(policy, contract, make_client())


def test_cameras_follow_from_the_policy(policies):
    policy, _ = load_policy(policies / "policy.pt")

    def seeing(cameras: dict[str, list[int]]) -> RobosuiteSettings:
        vision = replace(policy.layout.architecture.vision, cameras=cameras)
        architecture = replace(policy.layout.architecture, vision=vision)
        policy.layout = replace(policy.layout, architecture=architecture)
        return settings_for(policy, RobosuiteSettings(image_size=84))

    found = seeing({"agentview_image": [3, 48, 48], "robot0_eye_in_hand_image": [3, 48, 48]})
    assert found.cameras == ("agentview", "robot0_eye_in_hand") and found.image_size == 48
    assert found.keys[-2:] == ("agentview_image", "robot0_eye_in_hand_image")
    with pytest.raises(ValueError, match=r"sees \['wrist'\]; robosuite's images are called"):
        seeing({"wrist": [3, 48, 48]})
    with pytest.raises(ValueError, match="squares of one size"):
        seeing({"agentview_image": [3, 48, 48], "frontview_image": [3, 32, 32]})


def test_act_decides_at_every_step(demonstrations, tmp_path):
    run = tiny(demonstrations, list(KEYS))
    small = Architecture(act=ActConfig(num_heads=2, num_layers=1, feedforward=32, style_dim=4))
    run = as_baseline(replace(run, architecture=small), "act")
    policy, _ = load_policy(train(run, tmp_path / "act"))
    decide, spec = decider(policy, 1, 0, "cpu")
    assert spec.horizon == 1
    seen = {name: torch.zeros(2, size) for name, size in policy.layout.features.items()}
    assert decide(seen, torch.zeros(2, 0, 7)).shape == (2, 1, 7)


def made_up(stage: str, won: int, client: RobosuiteClient) -> dict:
    outcome = [Trial(1, i < won, 2.0, "success" if i < won else "timeout") for i in range(10)]
    return report(outcome, client, {"stage": stage})


def test_the_table_is_over_policies_of_several_seeds(client, tmp_path):
    reports = [made_up("imitation", won, client) for won in (6, 8, 7, 7)]
    lines = summary([*reports, made_up("offline", 9, client)]).splitlines()
    assert lines[2] == "| Lift | imitation | 4 | 0.70 ± 0.08 | 70.0 % [55, 82] (28/40) | 2.00 |"
    assert lines[3].startswith("| Lift | offline | 1 | 0.90 | 90.0 % [60, 98] (9/10) |")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(reports[0]))
    assert load_report(path) == reports[0]
    with pytest.raises(FileNotFoundError, match="no report at"):
        load_report(tmp_path / "none.json")
    for text, message in (("{", "no report"), ('{"stage": 1}', r"it lacks \['environment'")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_report(path)


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs the script against the fake server; returns what it printed, or ended with."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    for function in (RobosuiteClient.__init__, roll_out):
        monkeypatch.setitem(function.__kwdefaults__, "server", FAKE_SERVER)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            return str(end.code)
        return capsys.readouterr().out

    return run


def test_the_script_goes_all_the_way(script, policies, tmp_path):
    python = ("--python", sys.executable)
    assert "Lift, actions of 7 numbers at 20 Hz" in script("check", *python)
    out = tmp_path / "lift.hdf5"
    said = script("demonstrate", "--out", out, "--episodes", 3, *python)
    assert "better   1 of 1 succeeded" in said and f"demonstrations -> {out}" in said
    asked = ("--data", out, "--episodes", 1, "--candidates", 1, "--max_steps", 20, *python)
    said = script(
        "rollouts", "--policy", policies / "policy.pt", *asked, "--json", tmp_path / "a" / "0.json"
    )
    assert "| Lift | offline | 1 |" in said and "0.json" in said
    assert "| Lift | offline | 2 |" in script("table", *[tmp_path / "a" / "0.json"] * 2)

    assert script("check", "--python", tmp_path / "none").startswith(
        "error: no robosuite interpreter at"
    )
    assert "none.pt" in script("rollouts", "--policy", tmp_path / "none.pt", *asked)
    assert "lift.hdf5 exists" in script("demonstrate", "--out", out, *python)
    died = script("check", "--python", "/bin/false")
    assert died.startswith("error: robosuite's process died at 'start' (exit status 1)")
