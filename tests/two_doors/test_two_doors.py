"""Two doors: what the world does, who shows the way, and that the four stages run on it."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from unused_settings import unused_settings

from sernf_isaac.config import (
    CriticConfig,
    ImprovementConfig,
    LearnerConfig,
    OptimizerConfig,
    PolicyConfig,
)
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.acting import act
from sernf_isaac.learning.online.in_memory import (
    FourStageRun,
    FourStages,
    Milestone,
    Problem,
    StageSampler,
)
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.learning.online.training import OnlineSchedule, OnlineTraining
from sernf_isaac.learning.stages import IMITATION, OFFLINE, Stage
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.policy import ChunkPolicy
from tasks.two_doors.demonstrator import Demonstrator
from tasks.two_doors.environment import (
    ACTION_DIM,
    DOORS_Y_M,
    FEATURES,
    PERIOD_S,
    STATE_LIMIT,
    TOP_SPEED_M_S,
    TwoDoors,
    wall_contact,
)
from tasks.two_doors.report import Runs, runs_of, save, summarise, table

STEP_BY_STEP = ChunkSpec(history=1, prefix=0, horizon=1, history_keys=())
CHUNKS = ChunkSpec(history=1, prefix=0, horizon=8, discount=0.98, history_keys=())


def push(env: TwoDoors, force: tuple[float, float], steps: int) -> dict[str, list[Tensor]]:
    """Everything the same force does."""
    env.reset()
    log: dict[str, list[Tensor]] = {"state": [], "reward": [], "terminated": [], "truncated": []}
    for _ in range(steps):
        seen, *outcome = env.step(torch.tensor(force).expand(env.num_envs, 2))
        for name, value in zip(log, [seen["state"], *outcome], strict=True):
            log[name].append(value)
    return log


def demonstrate(count: int, *, seed: int = 0, miss_fraction: float = 0.25) -> list[Episode]:
    return collect(
        TwoDoors(count, seed=seed),
        Demonstrator(count, seed=seed, miss_fraction=miss_fraction),
        STEP_BY_STEP,
        hold=torch.zeros(ACTION_DIM),
        is_offline=True,
    )


# The world ----------------------------------------------------------------------------------------


def test_straight_ahead_is_the_wall_and_ends_the_episode_once_without_reward() -> None:
    env = TwoDoors(16)
    log = push(env, (1.0, 0.0), 30)
    assert torch.stack(log["terminated"]).sum(dim=0).eq(1).all()
    assert not torch.stack(log["reward"]).any() and not env.succeeded.any()
    assert log["state"][-1][:, 0].abs().max() < 1e-6  # it stays where it hit
    assert torch.equal(log["state"][-1], log["state"][-2])


def test_speed_is_bounded_and_a_longer_force_gains_nothing() -> None:
    fast = push(TwoDoors(4), (0.0, 1.0), 10)
    longer = push(TwoDoors(4), (0.0, 5.0), 10)
    assert torch.equal(torch.stack(fast["state"]), torch.stack(longer["state"]))
    assert fast["state"][-1][:, 3].max() <= TOP_SPEED_M_S
    moved = fast["state"][-1][:, 1] - fast["state"][-2][:, 1]
    assert moved.max() <= TOP_SPEED_M_S * PERIOD_S + 1e-6


def test_doing_nothing_is_cut_off_and_not_terminated() -> None:
    log = push(TwoDoors(3, max_steps=5), (0.0, 0.0), 5)
    assert not torch.stack(log["terminated"]).any()
    assert torch.stack(log["truncated"]).sum(dim=1).tolist() == [0, 0, 0, 0, 3]


@pytest.mark.parametrize(
    ("y", "hits"), [*((door, False) for door in DOORS_Y_M), (0.0, True), (0.9, True), (0.37, True)]
)
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_only_doors_can_be_passed_in_either_direction(
    y: float, hits: bool, direction: float
) -> None:
    start = torch.tensor([[-0.02 * direction, y]])
    hit, contact = wall_contact(start, start + torch.tensor([[0.05 * direction, 0.0]]))
    assert hit.item() is hits
    torch.testing.assert_close(contact, torch.tensor([[0.0, y]]))


def test_a_move_beside_the_wall_never_hits_it() -> None:
    start = torch.tensor([[-0.5, 0.0]])
    assert not wall_contact(start, start + torch.tensor([[0.05, 0.05]]))[0].any()


# Demonstrations -----------------------------------------------------------------------------------


def test_those_who_aim_at_a_door_arrive_and_the_others_hit_the_wall() -> None:
    demonstrator = Demonstrator(200, seed=3)
    episodes = collect(
        TwoDoors(200, seed=3), demonstrator, STEP_BY_STEP, hold=torch.zeros(ACTION_DIM)
    )
    reached = torch.tensor([episode.outcome == "success" for episode in episodes])
    assert torch.equal(reached, ~demonstrator.misses)
    assert 0.1 < demonstrator.misses.float().mean() < 0.4
    assert {episode.outcome for episode in episodes} == {"success", "failure"}


def test_both_doors_are_shown_and_one_is_shorter() -> None:
    runs = runs_of(demonstrate(200, miss_fraction=0.0))
    upper = np.array([path[np.argmax(path[:, 0] > 0), 1] > 0 for path in runs.paths])
    steps = np.array([len(path) - 1 for path in runs.paths])
    assert 0.35 < upper.mean() < 0.65 and summarise(runs).upper_door == upper.mean()
    assert steps[upper].mean() < 0.8 * steps[~upper].mean()


def test_demonstrations_are_episodes_that_earn_only_at_the_goal() -> None:
    for episode in demonstrate(20):
        success = episode.outcome == "success"
        assert episode.is_offline and episode.terminated[-1]
        assert episode.reward.sum() == success and episode.reward[-1] == success
        assert np.linalg.norm(episode.action, axis=1).max() <= 1 + 1e-6
        assert (np.abs(episode.observation["state"]) <= np.array(STATE_LIMIT) + 1e-6).all()


# Report -------------------------------------------------------------------------------------------


def test_the_table_and_the_figure_hold_with_no_success_at_all(tmp_path: Path) -> None:
    runs = Runs([np.zeros((3, 2))] * 4, [False] * 4)
    result = summarise(runs)
    assert result.success == 0.0 and result.success_ci95[1] > 0.4  # 4 trials prove little
    assert np.isnan(result.steps_to_goal)
    assert "0.0%" in table({"gaussian": runs})
    save(tmp_path, {"gaussian": runs})
    assert (tmp_path / "paths.png").stat().st_size > 1000
    assert json.loads((tmp_path / "results.json").read_text())["gaussian"]["success"] == 0


# All stages ---------------------------------------------------------------------------------------


def tiny_run() -> FourStageRun:
    policy = PolicyConfig(
        token_dim=16, width=16, num_couplings=4, num_heads=2, imitation_dropout=0, rl_dropout=0
    )
    critic = CriticConfig(
        support=(0, 1), token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=21
    )
    return FourStageRun(
        batch_size=64,
        rl_batch_size=16,
        imitation_steps=80,
        warm_up_steps=5,
        offline_steps=5,
        successes_only=True,
        spec=CHUNKS,
        learner=LearnerConfig(
            policy,
            critic,
            OptimizerConfig(imitation_learning_rate=1e-2),
            ImprovementConfig(candidates=2, imitation_weight=0.01),
        ),
        log_every=5,
        online=OnlineSchedule(env_steps=240, updates_per_step=0.02, candidates=2),
        evaluate_every=90,
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    limits = {"state": STATE_LIMIT, ACTION: (1.0,) * ACTION_DIM}
    normalizer = Normalizer({k: (-np.array(v), np.array(v)) for k, v in limits.items()})
    demonstrations = {str(number): episode for number, episode in enumerate(demonstrate(60))}
    return Problem(demonstrations, normalizer, FEATURES, ACTION_DIM)


def first_chunks(policy: ChunkPolicy, count: int = 256) -> Tensor:
    """What the policy would do from the start, (count, H, A)."""
    env = TwoDoors(count, seed=5)
    return act(policy, 1, seed=0)(env.reset(), torch.zeros(count, 0, ACTION_DIM))


def test_after_a_short_imitation_the_flow_goes_either_way_and_the_gaussian_in_between(
    problem: Problem, tmp_path: Path
) -> None:
    spread: dict[str, float] = {}

    def report(at: Milestone) -> None:
        sideways = first_chunks(at.policy).mean(dim=1)[:, 1]  # of the mean force of each chunk
        spread[kind] = sideways.std().item()

    only_imitation = replace(tiny_run(), imitation_steps=160, warm_up_steps=0, offline_steps=0)
    for kind in ("gaussian", "flow"):
        run = replace(only_imitation, architecture=Architecture(kind))
        FourStages(run, problem, tmp_path / kind, report).train_offline()
    assert spread["flow"] > 2 * spread["gaussian"]


@pytest.mark.parametrize(
    ("policy", "critic", "critic_updates"),
    [("flow", "chunk", 1), ("gaussian", "chunk", 2), ("flow", "per_step", 2)],
)
def test_all_stages_report_and_an_interrupted_run_ends_with_the_same_weights(
    problem: Problem, tmp_path: Path, policy: str, critic: str, critic_updates: int
) -> None:
    run = replace(tiny_run(), imitation_steps=2, warm_up_steps=2, offline_steps=2)
    learner = replace(run.learner, critic=replace(run.learner.critic, kind=critic))
    kinds = {"architecture": Architecture(policy), "learner": learner}
    run = replace(run, critic_updates=critic_updates, **kinds)
    hold, seen = torch.zeros(ACTION_DIM), []

    def go(folder: Path, stop_at: int | None = None) -> dict[str, Tensor]:
        def report(at: Milestone) -> None:
            seen.append((at.stage, at.env_steps))
            if stop_at is not None and at.env_steps >= stop_at:
                raise KeyboardInterrupt

        stages = FourStages(run, problem, folder, report)
        stages.train_offline(resume=True)
        stages.train_online(TwoDoors(4, seed=1, max_steps=20), hold=hold, resume=True)
        return stages.learner.actor.state_dict() | stages.learner.target.state_dict()

    whole = go(tmp_path / "whole")
    assert [stage for stage, _ in seen[:3]] == ["imitation", "warm_up", "offline"]
    online = [steps for stage, steps in seen if stage == "online"]
    assert len(online) >= 2 and online == sorted(online)
    assert run.online.env_steps - 4 < online[-1] <= run.online.env_steps
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "torn", stop_at=online[-1])
    torn = go(tmp_path / "torn")
    assert all(torch.equal(value, torn[name]) for name, value in whole.items())


@pytest.mark.parametrize("improves", [False, True])
def test_online_the_policy_may_stay_as_it_is(
    problem: Problem, tmp_path: Path, improves: bool
) -> None:
    run = replace(tiny_run(), imitation_steps=1, warm_up_steps=0, offline_steps=0)
    schedule = replace(run.online, env_steps=80, improves_policy=improves)
    stages = FourStages(replace(run, online=schedule), problem, tmp_path, lambda _: None)
    learner = stages.learner
    training = OnlineTraining(
        *(learner, stages.policy, TwoDoors(4, seed=1, max_steps=20), stages.replay, schedule),
        batch_size=8,
        hold=torch.zeros(ACTION_DIM),
    )
    before = [copy.deepcopy(network.state_dict()) for network in (learner.actor, learner.critics)]
    assert sum(1 for _ in training.rounds()) and training.updates
    after = [network.state_dict() for network in (learner.actor, learner.critics)]
    stayed = [
        all(map(torch.equal, a.values(), b.values())) for a, b in zip(before, after, strict=True)
    ]
    assert stayed == [not improves, False]


def test_every_setting_is_used_or_refused(problem: Problem, tmp_path: Path) -> None:
    run = replace(tiny_run(), imitation_steps=1, warm_up_steps=1, offline_steps=1)

    def all_stages() -> None:
        stages = FourStages(run, problem, tmp_path, lambda _: None)
        stages.train_offline()
        stages.train_online(TwoDoors(4, seed=1, max_steps=20), hold=torch.zeros(ACTION_DIM))

    assert unused_settings(run, all_stages) == []


@pytest.mark.parametrize("kind", ["chunk", "per_step"])
def test_offline_stages_go_on_to_the_same_weights(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = replace(tiny_run(), imitation_steps=2, warm_up_steps=6, offline_steps=2)
    learner = replace(run.learner, critic=replace(run.learner.critic, kind=kind))
    run = replace(run, learner=learner, log_every=2, save_every=2)

    def go(folder: Path) -> dict[str, Tensor]:
        stages = FourStages(run, problem, folder, lambda _: None)
        stages.train_offline(resume=True)
        return stages.learner.critics.state_dict()

    whole = go(tmp_path / "whole")
    draws, draw = 0, StageSampler.draw

    def torn(self: StageSampler, stage: Stage) -> ChunkBatch:
        nonlocal draws
        draws += 1
        if draws == 6:
            raise KeyboardInterrupt
        return draw(self, stage)

    monkeypatch.setattr(StageSampler, "draw", torn)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "torn")
    monkeypatch.undo()
    resumed = go(tmp_path / "torn")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_what_is_emphasised_is_seen_more_often_but_never_imitated_in_stage_one(
    problem: Problem,
) -> None:
    rare = problem.demonstrations["0"]
    marked = replace(rare, reward=rare.reward + 7)
    run = replace(tiny_run(), spec=replace(CHUNKS, discount=0.0))
    sampler = StageSampler(run, replace(problem, emphasised={"a": marked, "b": marked}))

    def share(stage: Stage) -> float:
        rewards = torch.cat([sampler.draw(stage).reward for _ in range(40)])
        return (rewards >= 7).float().mean().item()

    windows = len(rare) / sum(map(len, problem.demonstrations.values()))
    assert share(IMITATION) == 0
    assert 0.5 * 2 * windows < share(OFFLINE) < 2 * 2 * windows


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"critic_updates": 3}, "16 rows cannot be dealt out among 3"),
        ({"evaluate_every": 0}, "evaluate_every"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(tiny_run(), **settings)
