"""The whole experiment, tiny: all stages run, go on after an interruption, and tell the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.four_stages import FourStageRun, act
from tasks.duck_bowl.demonstrations import record_demonstrations
from tasks.duck_bowl.environment import DuckBowl
from tasks.duck_bowl.experiment import Experiment, load_trials, summary
from tasks.duck_bowl.preset import simulated

STAGES = ["imitation", "warm_up", "offline", "online"]


def tiny() -> FourStageRun:
    run = simulated(0)
    learner = run.offline.learner
    policy = replace(learner.policy, token_dim=16, width=16, num_couplings=4, num_heads=2)
    critic = replace(learner.critic, token_dim=16, num_heads=2, num_layers=1, feedforward=16)
    offline = replace(
        run.offline,
        learner=replace(learner, policy=policy, critic=critic),
        batch_size=8,
        rl_batch_size=8,
        imitation_steps=3,
        warm_up_steps=2,
        offline_steps=2,
        log_every=1,
        save_every=1,
        successes_only=False,
    )
    online = replace(run.online, updates_per_step=0.002, batch_size=8, candidates=2)
    return replace(run, offline=offline, online=online)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(tmp_path_factory.mktemp("duck") / "run", 2, seed=0)


def test_all_stages_run_and_a_finished_run_is_not_run_again(store: Path, tmp_path: Path) -> None:
    shown = load_episodes([str(store)], [])
    options = {"rollouts": 5, "episodes": 2}
    trials = Experiment(tiny(), shown, tmp_path / "seed_0", **options).go()
    assert list(trials) == STAGES and all(len(found) == 2 for found in trials.values())
    assert load_trials(tmp_path / "seed_0") == trials
    again = Experiment(tiny(), shown, tmp_path / "seed_0", **options)
    assert again.go() == trials
    other = replace(tiny(), evaluate_every=1)
    with pytest.raises(ValueError, match="holds a run with other settings"):
        Experiment(other, shown, tmp_path / "seed_0", **options)
    lines = summary([trials, trials]).splitlines()
    assert len(lines) == 6 and "/4)" in lines[-1] and lines[-1].startswith("| online RL (IV)")


def test_what_does_not_fit_is_refused(store: Path, tmp_path: Path) -> None:
    shown = load_episodes([str(store)], [])
    with pytest.raises(ValueError, match=r"rollouts \(7\) must be a multiple of 5"):
        Experiment(tiny(), shown, tmp_path, rollouts=7)
    with pytest.raises(FileNotFoundError, match="run the experiment first"):
        load_trials(tmp_path / "nothing")
    with pytest.raises(ValueError, match="another through"):
        summary([{"imitation": []}, {"online": []}])


def test_a_policy_takes_and_gives_absolute_poses_wherever_the_hand_is(
    store: Path, tmp_path: Path
) -> None:
    """The same scene a step further on: chunks move along, because networks see no place."""
    run = tiny()
    policy = Experiment(run, load_episodes([str(store)], []), tmp_path)._stages.imitator
    env = DuckBowl(1, seed=0, threads=1)
    seen = env.reset()
    prefix = env.hold.expand(1, 3, 24)
    hidden = policy.normalizer
    same = {n: v for n, v in seen.items() if n != "pose"}

    def decide(at: torch.Tensor, queue: torch.Tensor) -> torch.Tensor:
        # Networks also read the pose itself; hold what they read, move only the frame.
        policy.normalizer = _Still(hidden, seen["pose"])
        return act(policy, 2, seed=0)(same | {"pose": at}, queue)

    here = decide(seen["pose"], prefix)
    shift = torch.tensor([0.05, -0.02, 0.03, 0, 0, 0, 0])
    moved = torch.cat([shift, torch.zeros(17)])
    there = decide(seen["pose"] + shift, prefix + moved)
    torch.testing.assert_close(there, here + moved, atol=1e-5, rtol=0)
    assert (here[..., 3:7].norm(dim=-1) - 1).abs().max() < 1e-5


class _Still:
    """A normaliser that shows networks the same pose whatever was observed."""

    def __init__(self, scale, pose: torch.Tensor) -> None:
        self._scale, self._pose = scale, pose

    def normalize(self, group: str, value: torch.Tensor) -> torch.Tensor:
        return self._scale.normalize(group, self._pose if group == "pose" else value)

    def denormalize(self, group: str, value: torch.Tensor) -> torch.Tensor:
        return self._scale.denormalize(group, value)
