"""Offline runs: what is killed ends as if it had not been; policies survive their file."""

import runpy
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from forked import Program
from tiny_offline import STEPS, TINY, episode, tiny_run
from unused_settings import unused_settings

from sernf_isaac.data.sources import load_episodes, return_range
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.offline.data import fit_normalizer, sizes_of
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.metrics import read_metrics
from sernf_isaac.policy import load_policy

KILLED_AT = [
    pytest.param(3, marks=pytest.mark.slow),
    STEPS + 1,
    pytest.param(2 * STEPS + 6, marks=pytest.mark.slow),
]
"""Updates, one in each stage."""
KILLED_RUN = """
import os, signal, sys, torch
from pathlib import Path
sys.path[:0] = {paths!r}
torch.set_num_threads(1)
import tiny_offline
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.stages import Stage
update, calls = Stage.update, []
def update_until_killed(stage, learner, batch):
    calls.append(1)
    if len(calls) == {fatal}:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(stage, learner, batch)
Stage.update = update_until_killed
offline.train(tiny_offline.tiny_run(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("store") / "run"
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for seed in range(5):
            writer.commit(episode(seed, outcome="success" if seed % 2 else "failure"))
    return run


@pytest.fixture(scope="module")
def uninterrupted(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uninterrupted")
    offline.train(tiny_run(str(store)), folder)
    torch.set_num_threads(threads)
    return folder


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def state(folder: Path) -> dict:
    return torch.load(folder / STATE_FILE, weights_only=True)


@pytest.mark.parametrize("fatal", KILLED_AT)
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    store: Path, uninterrupted: Path, tmp_path: Path, fatal: int
) -> None:
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[4]), str(here.parents[3] / "helpers")]
    script = KILLED_RUN.format(paths=paths, fatal=fatal)
    status, error = Program.start(script, store, tmp_path).ended()
    assert status == -signal.SIGKILL, error
    offline.train(offline.load_run(tmp_path), tmp_path, resume=True)
    ours, theirs = state(tmp_path), state(uninterrupted)
    assert ours["step"] == theirs["step"] == 3 * STEPS
    for part in ("actor", "critics", "target"):
        assert same(ours["learner"][part], theirs["learner"][part])
    name = "critic/loss"
    assert read_metrics(tmp_path, name) == read_metrics(uninterrupted, name)


def test_all_rows_are_imitated_offline_whoever_recorded_them(uninterrupted: Path) -> None:
    rows = read_metrics(uninterrupted, "actor/bc_rows")
    assert len(rows) == 2 * STEPS / 2 and all(value > 2 for _, value in rows)


def test_every_stage_leaves_a_policy(uninterrupted: Path) -> None:
    first, _ = load_policy(uninterrupted / "policy_imitation.pt")
    warmed, _ = load_policy(uninterrupted / "policy_warm_up.pt")
    last, contract = load_policy(uninterrupted / offline.POLICY_FILE)
    assert first.critics is None and warmed.critics is not None
    assert same(first.actor.state_dict(), warmed.actor.state_dict())
    assert not same(last.actor.state_dict(), warmed.actor.state_dict())
    assert contract.observations == {"goal": 1, "state": 3} and contract.action["horizon"] == 4


def test_a_loaded_policy_decides_in_the_units_of_the_data(uninterrupted: Path) -> None:
    policy, contract = load_policy(uninterrupted / offline.POLICY_FILE)
    observation = {"state": torch.randn(3, 2, 3), "goal": torch.randn(3, 1)}
    lower, upper = torch.tensor(contract.joint_lower_rad), torch.tensor(contract.joint_upper_rad)
    assert (lower < -1.5).all() and (upper > 4.5).all()
    for rank in ("value", "likelihood"):
        chunks = [
            policy.decide(
                observation,
                torch.zeros(3, 1, 2),
                candidates=16,
                rank=rank,
                generator=torch.Generator().manual_seed(1),
            )
            for _ in range(2)
        ]
        assert chunks[0].shape == (3, 4, 2) and torch.equal(*chunks)
        assert ((chunks[0] >= lower - 1e-4) & (chunks[0] <= upper + 1e-4)).all()
        assert chunks[0].max() > 1.5, "still in the network's units"


@pytest.mark.parametrize("rank", ["value", pytest.param("likelihood", marks=pytest.mark.slow)])
def test_a_compiled_policy_is_one_graph_and_decides_alike(uninterrupted: Path, rank: str) -> None:
    policy, _ = load_policy(uninterrupted / offline.POLICY_FILE)
    observation = {"state": torch.randn(3, 2, 3), "goal": torch.randn(3, 1)}

    def decide() -> torch.Tensor:
        draw = torch.Generator().manual_seed(1)
        prefix = torch.zeros(3, 1, 2)
        return policy.decide(observation, prefix, candidates=16, rank=rank, generator=draw)

    plain = decide()
    policy.compile("aot_eager")  # traces as the default does, and spares the test its compiler
    torch.testing.assert_close(decide(), plain, rtol=0, atol=1e-5)


def test_a_policy_refuses_what_it_cannot_use(uninterrupted: Path) -> None:
    policy, _ = load_policy(uninterrupted / "policy_imitation.pt")
    good = {"state": torch.zeros(1, 2, 3), "goal": torch.zeros(1, 1)}
    prefix = torch.zeros(1, 1, 2)
    with pytest.raises(ValueError, match="no critics yet"):
        policy.decide(good, prefix, candidates=2, rank="value")
    with pytest.raises(ValueError, match="rank must be one of"):
        policy.decide(good, prefix, candidates=2, rank="luck")
    with pytest.raises(ValueError, match="lacks 'goal'"):
        policy.decide({"state": good["state"]}, prefix, candidates=2, rank="likelihood")
    with pytest.raises(ValueError, match=r"goal is nan at index \(0, 0\)"):
        bad = good | {"goal": torch.full((1, 1), float("nan"))}
        policy.decide(bad, prefix, candidates=2, rank="likelihood")


def test_a_policy_without_its_normaliser_is_refused(uninterrupted: Path, tmp_path: Path) -> None:
    content = torch.load(uninterrupted / offline.POLICY_FILE, weights_only=True)
    kept = {k: v for k, v in content["weights"].items() if not k.startswith("normalizer.action")}
    torch.save(content | {"weights": kept}, tmp_path / "policy.pt")
    with pytest.raises(ValueError, match=r"policy\.pt .* no normaliser for \['action'\]"):
        load_policy(tmp_path / "policy.pt")


def test_only_successes_are_imitated_when_asked(store: Path) -> None:
    run = replace(tiny_run(str(store)), successes_only=True)
    episodes = load_episodes(run.data, run.keys)
    normalizer = fit_normalizer(episodes.values(), {"state": 3, "goal": 1}, 1e-3)
    sampler = offline.OfflineSampler(run, episodes, normalizer)
    assert len(sampler._demonstrations) < len(sampler._all)
    failures = {k: e for k, e in episodes.items() if e.outcome == "failure"}
    with pytest.raises(ValueError, match="no successful episodes"):
        offline.OfflineSampler(run, failures, normalizer)


def test_the_range_of_returns_is_discounted_and_stops_at_termination() -> None:
    rewards = episode(0, steps=3)
    low, high = return_range([rewards], discount=0.5)
    assert (low, high) == (0.0, 1.0)  # 0 is what a lost episode is worth, in the data or not
    nothing = replace(rewards, reward=np.zeros(3))
    assert return_range([nothing], 0.5) == (-0.5, 0.5)


def test_episodes_too_short_to_imitate_are_refused(tmp_path: Path) -> None:
    short = {str(seed): episode(seed, steps=4) for seed in range(3)}
    run = tiny_run("unused")
    normalizer = fit_normalizer(short.values(), {"state": 3, "goal": 1}, 1e-3)
    with pytest.raises(ValueError, match="no episodes of at least 5 steps"):
        offline.OfflineSampler(run, short, normalizer)


def test_a_run_is_not_resumed_on_other_data(store: Path, uninterrupted: Path) -> None:
    run = tiny_run(str(store))
    episodes = load_episodes(run.data, run.keys)
    next(iter(episodes.values())).reward[0] = 5.0
    normalizer = fit_normalizer(episodes.values(), {"goal": 1, "state": 3}, 1e-3)
    sampler = offline.OfflineSampler(run, episodes, normalizer)
    with pytest.raises(ValueError, match="data have changed"):
        sampler.load_state_dict(state(uninterrupted)["sampler"])


def test_every_setting_is_used_or_refused(store: Path, tmp_path: Path) -> None:
    run = tiny_run(str(store))
    assert unused_settings(run, lambda: offline.train(run, tmp_path / "run")) == []


def test_a_given_support_is_used(store: Path, tmp_path: Path) -> None:
    critic = replace(TINY.critic, support=(-3.0, 4.0))
    run = replace(tiny_run(str(store)), learner=replace(TINY, critic=critic), warm_up_steps=2)
    policy, _ = load_policy(offline.train(run, tmp_path / "run"))
    assert policy.layout.critic.support == (-3.0, 4.0) and policy.critics is not None
    assert policy.critics.critic.bins.support == (-3.0, 4.0)
    with pytest.raises(ValueError, match=r"support_headroom \(2.0\).*leave one of them out"):
        offline.train(replace(run, support_headroom=2.0), tmp_path / "other")


def test_training_leaves_its_settings_alone(uninterrupted: Path) -> None:
    assert TINY.critic.support is None
    loaded, _ = load_policy(uninterrupted / offline.POLICY_FILE)
    assert loaded.layout.critic.support == (0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control_rate_hz": 0.0}, "control_rate_hz must be given"),
        ({"action_names": ["thumb"]}, "1 action_names for 2 action dimensions"),
        ({"log_every": 0}, "must be a multiple of 0 >= 1"),
        ({"imitation_steps": 0, "warm_up_steps": 0, "offline_steps": 0}, "no steps to train"),
    ],
)
def test_runs_that_cannot_work_leave_no_folder(
    store: Path, tmp_path: Path, change: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        offline.train(replace(tiny_run(str(store)), **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["prefix", "action", "keys", "robot.state"])
def test_reserved_names_of_groups_are_refused(name: str) -> None:
    odd = episode(0)
    odd.observation[name] = odd.observation["goal"]
    with pytest.raises(ValueError, match="cannot be called"):
        sizes_of({"0": odd})


def test_data_that_are_not_there_are_named(tmp_path: Path, store: Path) -> None:
    def load(*sources: str, keys: list[str] | None = None) -> Callable:
        return load_episodes(list(sources), keys or [])

    with pytest.raises(ValueError, match="no data"):
        load()
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load(str(tmp_path / "none.npz"))
    (tmp_path / "data.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"data\.txt is no episode store"):
        load(str(tmp_path / "data.txt"))
    with pytest.raises(ValueError, match=r"no groups \['camera'\]"):
        load(str(store), keys=["camera"])


@pytest.mark.parametrize("policy", ["flow", "act"])
def test_settings_may_follow_the_data_on_the_command_line(
    store: Path, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    script = Path(__file__).resolve().parents[4] / "scripts/train_offline.py"
    monkeypatch.syspath_prepend(str(script.parent))
    arguments = ["--kind", policy, "--data", str(store), "control_rate_hz=20", "--keys", "state"]
    arguments += ["spec.history=1", "--print_config"]
    monkeypatch.setattr(sys, "argv", [script.name, *arguments])
    runpy.run_path(str(script), run_name="__main__")
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["control_rate_hz"] == 20.0 and shown["data"] == [str(store)]
    assert shown["keys"] == ["state"] and shown["architecture"]["kind"] == policy
    assert shown["spec"]["horizon"] == (20 if policy == "act" else 10)
