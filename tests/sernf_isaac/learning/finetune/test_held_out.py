"""Held-out episodes: always the same ones, judged by what they brought; worse critics stay back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_finetune import CRITIC, SPEC, begin, commit, quick

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.channel import publish_checkpoint, published
from sernf_isaac.learning.finetune.held_out import is_held_out, return_error
from sernf_isaac.learning.finetune.keeper import Keeper
from sernf_isaac.learning.finetune.run import FinetuneRun, finetune, first_policy
from sernf_isaac.learning.online.episode_files import save_episodes
from sernf_isaac.learning.returns import returns_from
from sernf_isaac.models.build import build_critics
from sernf_isaac.policy import ChunkPolicy, load_policy


class Held:
    """What a `Keeper` asks of a sampler."""

    def __init__(self, episodes: list[Episode]) -> None:
        self.episodes, self.spec = episodes, replace(SPEC, align_to_decisions=True)

    def held_out(self) -> list[Episode]:
        return self.episodes


def paid(steps: int = 24, *, ends: bool = True) -> Episode:
    """An episode that earns 1 in every step."""
    return Episode(
        observation={"state": np.zeros((steps, 3)), "goal": np.ones((steps, 1))},
        final_observation={"state": np.zeros(3), "goal": np.ones(1)},
        action=np.zeros((steps, 2)),
        reward=np.ones(steps),
        terminated=np.arange(steps) == (steps - 1 if ends else -1),
    )


def with_critics(path, value: float) -> ChunkPolicy:
    """The first policy, with critics that always answer this."""
    policy, _ = load_policy(path)
    layout = replace(policy.layout, critic=replace(CRITIC, head="mse"))
    policy.critics = build_critics(layout, policy.actor)
    for part in policy.critics.critic.parameters():
        torch.nn.init.zeros_(part)
    last = list(policy.critics.critic.parameters())[-1]
    torch.nn.init.constant_(last, value)
    return ChunkPolicy(layout, policy.actor, policy.critics, policy.normalizer, sigma=policy.sigma)


def test_the_share_and_the_choice_do_not_depend_on_when_one_asks() -> None:
    ids = [f"robot-{number}" for number in range(4000)]
    held = [eid for eid in ids if is_held_out(eid, 0.1)]
    assert 0.08 < len(held) / len(ids) < 0.12
    assert held == [eid for eid in ids if is_held_out(eid, 0.1)]
    assert set(held) < {eid for eid in ids if is_held_out(eid, 0.2)}
    assert not any(is_held_out(eid, 0.0) for eid in ids)


def test_what_an_episode_brought() -> None:
    ended = returns_from(paid(6), np.array([0, 4]), last=99.0, discount=0.5)
    np.testing.assert_allclose(ended, [1 + 0.5 + 0.25 + 0.125 + 0.0625 + 0.03125, 1.5])
    cut_off = returns_from(paid(6, ends=False), np.array([0, 4]), last=8.0, discount=0.5)
    np.testing.assert_allclose(cut_off, [1 + 0.5 + 0.25 + 0.125 + 8.0 / 16, 8.0])


def test_critics_that_know_the_returns_miss_by_nothing(tmp_path) -> None:
    run = begin(tmp_path)
    spec = replace(SPEC, discount=0.0)
    right, wrong = (with_critics(first_policy(run), value) for value in (1.0, 4.0))
    assert return_error(right, [paid()], spec) == pytest.approx(0.0, abs=1e-5)
    assert return_error(wrong, [paid()], spec) == pytest.approx(3.0, abs=1e-5)


def test_critics_that_got_worse_are_kept_back(tmp_path) -> None:
    run = begin(tmp_path)
    first = first_policy(run)
    _, contract = load_policy(first)
    keeper = Keeper(run, Held([paid()]), "cpu")  # type: ignore[arg-type]
    keeper._sampler.spec = replace(SPEC, discount=0.0)
    told = []
    for step, value in ((1, 2.0), (2, 3.0), (3, 1.5)):
        policy, path = with_critics(first, value), tmp_path / f"{step}.pt"
        policy.save(path, contract, {})
        told.append(keeper.publish_unless_worse(policy, path, step))
    assert [one["published"] for one in told] == [1.0, 0.0, 1.0]
    assert "held_out/error" not in told[0], "the first policy had no critics"
    assert told[1]["held_out/error"] == pytest.approx(2.0, abs=1e-5)
    assert told[2]["held_out/error_in_use"] == pytest.approx(1.0, abs=1e-5)
    assert [int(name.split("-")[0]) for name in published(run)] == [0, 1, 3]


def warm_start(tmp_path, settings: FinetuneRun):
    """A run whose first policy has critics, and simulated episodes."""
    run = begin(tmp_path / "cold")
    first, contract = load_policy(first_policy(run))
    first.critics = build_critics(first.layout, first.actor)
    first.save(tmp_path / "warm.pt", contract, {})
    for path in (run / "checkpoints").iterdir():
        path.unlink() if path.is_file() else [part.unlink() for part in path.iterdir()]
    publish_checkpoint(run, tmp_path / "warm.pt", 0)
    save_episodes(tmp_path / "simulated.pt", [paid(), paid(30, ends=False)])
    return run, replace(settings, simulated=str(tmp_path / "simulated.pt"))


def test_a_warm_start_publishes_from_the_first_iteration(tmp_path) -> None:
    run, settings = warm_start(tmp_path, quick())
    finetune(settings, run, wait=lambda *_: None)
    steps = [int(name.split("-")[0]) for name in published(run)]
    assert steps == [0, 4, 8, 12]


def test_simulated_episodes_stay_among_the_data_and_with_the_run(tmp_path) -> None:
    run, settings = warm_start(tmp_path, quick())
    seen = []

    def wait(*_: float) -> None:
        (tmp_path / "simulated.pt").unlink(missing_ok=True)  # the run has a copy
        seen.append(commit(run, 10 + len(seen), is_offline=False))

    settings = replace(settings, minutes_per_iteration=settings.minutes_per_iteration * 2)
    finetune(settings, run, wait=wait)
    assert seen
    assert (run / "learner" / "simulated.pt").is_file()


def test_simulated_episodes_of_another_task_are_refused(tmp_path) -> None:
    run = begin(tmp_path)
    other = Episode(
        observation={"other": np.zeros((9, 2))}, action=np.zeros((9, 2)), reward=np.zeros(9)
    )
    save_episodes(tmp_path / "other.pt", [other])
    with pytest.raises(ValueError, match=r"has \{'other': 2\}, the policy sees"):
        finetune(replace(quick(), simulated=str(tmp_path / "other.pt")), run, wait=lambda *_: None)
