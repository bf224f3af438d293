"""The whole experiment, tiny: all stages run, go on after an interruption, and tell the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.acting import act
from sernf_isaac.policy import load_policy
from tasks.duck_bowl.environment import DuckBowl
from tasks.duck_bowl.table_task import DUCK_BOWL
from tasks.table.evaluation import evaluate, load_fitting_policy
from tasks.table.experiment import Experiment
from tasks.table.report import comparison, load_result

STAGES = ["imitation", "warm_up", "offline", "online"]


@pytest.mark.usefixtures("short_episodes")
def test_all_stages_run_and_a_finished_run_is_not_run_again(
    two_demonstrations: Path, finished_run: Path, tiny
) -> None:
    shown = load_episodes([str(two_demonstrations)], [])
    result = load_result(finished_run)
    assert list(result.stages) == STAGES and all(len(t) == 2 for t in result.stages.values())
    states = [finished_run / name for name in ("training_state.pt", "online_state.pt")]
    before = [state.read_bytes() for state in states]
    again = Experiment(DUCK_BOWL, tiny(), shown, finished_run, rollouts=5, episodes=2)
    assert again.go() == result.stages and before == [state.read_bytes() for state in states]
    other = replace(tiny(), evaluate_every=1)
    with pytest.raises(ValueError, match="holds a run with other settings"):
        Experiment(DUCK_BOWL, other, shown, finished_run)
    with pytest.raises(ValueError, match="tried on draw 0 of the tests, not 1"):
        Experiment(DUCK_BOWL, tiny(), shown, finished_run, rollouts=5, episodes=2, tests=1)
    lines = comparison(DUCK_BOWL, [result, result]).splitlines()
    assert len(lines) == 6 and "/4)" in lines[-1] and "| online RL (IV) | 2 |" in lines[-1]
    for stage in ("imitation", "online"):  # without and with critics
        kept = load_fitting_policy(DUCK_BOWL, finished_run / f"policy_{stage}.pt")
        assert evaluate(DUCK_BOWL, kept, episodes=2, candidates=2) == result.stages[stage]


@pytest.mark.usefixtures("short_episodes")
def test_a_run_that_begins_at_another_ones_offline_stages_ends_as_that_one(
    two_demonstrations: Path, finished_run: Path, tmp_path: Path, tiny
) -> None:
    shown, run = load_episodes([str(two_demonstrations)], []), tiny()
    options = {"rollouts": 5, "episodes": 2, "start_from": finished_run}
    trials = Experiment(DUCK_BOWL, run, shown, tmp_path / "same", **options).go()
    assert trials == load_result(finished_run).stages
    for stage in STAGES:
        name = f"policy_{stage}.pt"
        ours, theirs = (
            load_policy(folder / name)[0] for folder in (tmp_path / "same", finished_run)
        )
        mine = ours.actor.state_dict()
        assert all(torch.equal(mine[k], v) for k, v in theirs.actor.state_dict().items())
    other = replace(run, online=replace(run.online, candidates=1))
    Experiment(DUCK_BOWL, other, shown, tmp_path / "other", **options).go()
    for wrong, message in (
        ({"seed": 1}, "seed=0, this run has 1"),
        ({"warm_up_steps": 7}, "warm_up_steps=2, this run has 7"),
    ):
        with pytest.raises(ValueError, match=message):
            changed = replace(run, **wrong)
            Experiment(DUCK_BOWL, changed, shown, tmp_path / "wrong", **options)
    with pytest.raises(ValueError, match="give the same --episodes and --tests"):
        Experiment(DUCK_BOWL, run, shown, tmp_path / "wrong", **(options | {"episodes": 3}))
    with pytest.raises(FileNotFoundError, match="holds no finished stages"):
        options["start_from"] = tmp_path / "nothing"
        Experiment(DUCK_BOWL, run, shown, tmp_path / "wrong", **options)


def test_what_does_not_fit_is_refused(two_demonstrations: Path, tmp_path: Path, tiny) -> None:
    shown = load_episodes([str(two_demonstrations)], [])
    for rollouts in (7, -5):
        with pytest.raises(ValueError, match=rf"rollouts \({rollouts}\) must be a multiple of 5"):
            Experiment(DUCK_BOWL, tiny(), shown, tmp_path, rollouts=rollouts)
    with pytest.raises(FileNotFoundError, match="run the experiment first"):
        load_result(tmp_path / "nothing")


def test_a_policy_takes_and_gives_absolute_poses_wherever_the_hand_is(
    two_demonstrations: Path, tmp_path: Path, tiny
) -> None:
    """The same scene a step further on: chunks move along, because networks see no place."""
    shown = load_episodes([str(two_demonstrations)], [])
    policy = Experiment(DUCK_BOWL, tiny(), shown, tmp_path)._stages.imitator
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
