"""One teacher for both directions: two networks, chosen by the sign of the command."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_hand import V1
from rsl_rl.modules.distribution import GaussianDistribution
from tensordict import TensorDict

from tasks.cube_spin.config import EpisodeConfig, wide_task
from tasks.cube_spin.observations import command_column, observation_sizes
from tasks.cube_spin.runs import train_teacher
from tasks.cube_spin.teacher.policy import (
    TeacherPolicy,
    load_teacher,
    rsl_rl_weights,
    save_teacher,
    teacher_from_rsl_rl,
    teacher_from_weights,
)
from tasks.cube_spin.teacher.ppo import PpoConfig, TeacherTraining, build_ppo
from tasks.cube_spin.teacher.two_way import followed, scaled_within_directions
from tasks.cube_spin.twin.environment import CubeSpinTwin

MakeTwin = Callable[..., CubeSpinTwin]
SIZE = sum(observation_sizes(wide_task().observation, V1).values())
COMMAND = command_column(wide_task().observation, V1)
PPO = PpoConfig(rollout_steps=4, hidden=(8,), epochs=1, minibatches=1)


def random_policy(seed: int) -> TeacherPolicy:
    policy = TeacherPolicy(wide_task(), torch.zeros(17), torch.ones(17), (8,), SIZE)
    generator = torch.Generator().manual_seed(seed)
    for value in policy.parameters():
        value.data = torch.randn(value.shape, generator=generator)
    return policy.eval()


def two_way() -> TeacherPolicy:
    policy = random_policy(1)
    policy.clockwise = random_policy(2)
    return policy


def observations(count: int = 12) -> TensorDict:
    seen = torch.randn((count, SIZE), generator=torch.Generator().manual_seed(9))
    return TensorDict({"teacher": seen}, batch_size=[count])


def test_the_command_stands_where_it_is_looked_for(make_twin: MakeTwin) -> None:
    twin = make_twin(5, wide_task())
    assert torch.equal(twin.get_observations()["teacher"][:, COMMAND], twin.command)


def test_the_sign_of_the_command_chooses_the_network() -> None:
    seen = observations()
    negative = seen["teacher"][:, COMMAND] < 0.0
    assert 0 < negative.sum() < len(negative)
    expected = torch.where(negative[:, None], random_policy(2)(seen), random_policy(1)(seen))
    assert torch.equal(two_way()(seen), expected)


def test_advantages_are_compared_within_a_direction() -> None:
    draw = torch.Generator().manual_seed(2)
    command = torch.randn((6, 50), generator=draw)
    advantages = torch.randn((6, 50, 1), generator=draw) + 3.0
    advantages[command < 0.0] *= 40.0
    scaled = scaled_within_directions(advantages, command)
    for rows in (command < 0.0, command > 0.0):
        assert scaled[rows].mean().abs() < 1e-5 and scaled[rows].std() == pytest.approx(1.0)
        assert torch.equal(scaled[rows].argsort(dim=0), advantages[rows].argsort(dim=0))


def test_how_far_each_direction_follows_its_command() -> None:
    command, spin = torch.tensor([1.0, 2.0, -0.5]), torch.tensor([1.0, 0.5, 0.1])
    found = followed(spin, command)
    assert found == pytest.approx({"Spin/counterclockwise": 0.5, "Spin/clockwise": -0.2})
    assert followed(spin[:2], command[:2]).keys() == {"Spin/counterclockwise"}


def test_the_noise_that_both_directions_share_stays_near_its_bound(
    make_twin: MakeTwin, tmp_path: Path
) -> None:
    training = TeacherTraining(make_twin(4, wide_task()), PPO, tmp_path, lambda *_: None)
    noise = training.ppo.actor.distribution
    assert isinstance(noise, GaussianDistribution)
    noise.log_std_param.data.fill_(-9.0)
    training.run(1)
    assert training.ppo.actor.output_std.min() > 0.85 * PPO.initial_std


def test_a_two_way_teacher_survives_its_file(tmp_path: Path) -> None:
    save_teacher(tmp_path / "both.pt", two_way(), notes={})
    assert torch.equal(
        load_teacher(tmp_path / "both.pt")(observations()), two_way()(observations())
    )


@pytest.mark.parametrize("policy", [random_policy(3), two_way()], ids=["one network", "two"])
def test_a_teacher_becomes_an_rsl_rl_actor_and_comes_back(policy: TeacherPolicy) -> None:
    weights = rsl_rl_weights(policy, eps=0.01, steps=100)
    again = teacher_from_weights(weights, 0.01, policy.task, policy.constants)
    torch.testing.assert_close(again(observations()), policy(observations()))


def test_what_rsl_rl_trains_acts_the_same_as_the_file(make_twin: MakeTwin) -> None:
    twin = make_twin(6, wide_task())
    actor = build_ppo(twin, PPO).actor
    for value in actor.parameters():
        value.data += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    for value in actor.mlp.clockwise.parameters():
        value.data *= 2.0
    actor.obs_normalizer._mean.fill_(0.3)
    policy = teacher_from_rsl_rl(actor, wide_task(), twin.constants)
    seen = twin.get_observations()
    assert len(set((twin.command < 0).tolist())) == 2
    torch.testing.assert_close(policy(seen), actor(seen), rtol=1e-4, atol=1e-5)


def test_a_network_learns_from_its_own_direction_only(make_twin: MakeTwin) -> None:
    twin = make_twin(4, wide_task())
    actor = build_ppo(twin, PPO).actor
    twin.command_all(-0.5)
    seen = twin._observe(torch.zeros(4, dtype=torch.bool))
    actor(seen).sum().backward()
    assert all(value.grad.abs().max() > 0.0 for value in actor.mlp.clockwise.parameters())
    idle = actor.mlp.counterclockwise.parameters()
    assert all(value.grad is None or not value.grad.any() for value in idle)


def test_one_network_may_learn_both(make_twin: MakeTwin) -> None:
    twin = make_twin(4, wide_task())
    shared = build_ppo(twin, replace(PPO, separate_directions=False)).actor
    assert not any("clockwise" in name for name in shared.state_dict())


def test_a_two_way_training_is_resumed_and_begun_with(tmp_path: Path) -> None:
    episode = EpisodeConfig(length_s=0.5, support_s=(0.0, 0.1))
    run = train_teacher.TwinRun(
        seed=5,
        num_envs=4,
        iterations=2,
        physics="wide",
        task=replace(wide_task(), episode=episode),
        ppo=PPO,
        eval_every=0,
    )
    (tmp_path / "first").mkdir()
    file = train_teacher.train(run, tmp_path / "first", threads=1)
    before = load_teacher(file)(observations())
    train_teacher.train(run, tmp_path / "first", threads=1, resume=True)  # all is done already
    assert torch.equal(load_teacher(file)(observations()), before)
    (tmp_path / "second").mkdir()
    still = replace(run, start_from=str(file), ppo=replace(PPO, learning_rate=0.0), iterations=1)
    again = load_teacher(train_teacher.train(still, tmp_path / "second", threads=1))
    clockwise = again.clockwise
    assert clockwise is not None
    torch.testing.assert_close(clockwise.mlp[0].weight, load_teacher(file).clockwise.mlp[0].weight)
