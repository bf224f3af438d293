"""Several processes as one environment of tensors, with robomimic's rules of rollouts."""

import numpy as np
import pytest
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.online.rollout import collect
from tasks.robomimic.client import RobosuiteSettings
from tasks.robomimic.demonstrator import OPERATORS, LiftOperator
from tasks.robomimic.environment import RobosuiteEnv

ONE_STEP = ChunkSpec(history=1, prefix=0, horizon=1, history_keys=())


@pytest.fixture(scope="module")
def pair(make_client):
    return [make_client(), make_client()]


class Operators:
    """Scripted operators as a policy; the first only watches where `idle` is set."""

    def __init__(self, count: int, *, idle: bool = False) -> None:
        rngs = [np.random.default_rng(index) for index in range(count)]
        self._hands = [LiftOperator(OPERATORS[0], rng) for rng in rngs]
        self._idle = idle

    def __call__(self, seen, queue):
        rows = [{k: v[i].double().numpy() for k, v in seen.items()} for i in range(len(queue))]
        moves = [hand(row) for hand, row in zip(self._hands, rows, strict=True)]
        if self._idle:
            moves[0] = np.zeros(7)
        return torch.from_numpy(np.stack(moves)).float()[:, None]


def test_success_ends_an_episode_and_patience_ends_the_others(pair):
    env = RobosuiteEnv(pair, seed=0, max_steps=60)
    idle, working = collect(env, Operators(2, idle=True), ONE_STEP, hold=env.hold)
    assert (idle.outcome, working.outcome) == ("timeout", "success")
    assert len(idle) == 60 and idle.truncated[-1] and not idle.reward.any()
    assert 10 < len(working) < 60 and working.terminated[-1]
    assert working.reward.tolist() == [0.0] * (len(working) - 1) + [1.0]
    assert env.succeeded.tolist() == [False, True]


def test_starts_depend_on_the_seed_and_not_on_how_many_processes(pair):
    alone, both = RobosuiteEnv(pair[:1], seed=5), RobosuiteEnv(pair, seed=5)
    one_by_one = torch.cat([alone.reset()["object"] for _ in range(4)])
    two_by_two = torch.cat([both.reset()["object"] for _ in range(2)])
    assert torch.equal(one_by_one, two_by_two)
    assert not torch.equal(one_by_one[0], one_by_one[1])
    again = RobosuiteEnv(pair[:1], seed=5)
    again.load_state_dict({"started": 3})
    assert torch.equal(again.reset()["object"], one_by_one[3:])


def test_actions_are_clipped_and_those_who_wait_do_not_move(pair):
    env = RobosuiteEnv(pair, seed=0, max_steps=1)
    before = env.reset()
    after, *_, truncated = env.step(torch.full((2, 7), 9.0))  # the fake server refuses more than 1
    moved = after["robot0_eef_pos"] - before["robot0_eef_pos"]
    torch.testing.assert_close(moved, torch.full((2, 3), 0.05), atol=1e-5, rtol=0)
    assert truncated.all()
    still, reward, terminated, truncated = env.step(torch.ones(2, 7))
    assert all(torch.equal(still[name], after[name]) for name in after)
    assert not (reward.any() or terminated.any() or truncated.any())


def test_images_are_channels_first_and_upright(make_client):
    settings = RobosuiteSettings(cameras=("agentview",), image_size=8, keys=("agentview_image",))
    seen = RobosuiteEnv([make_client(settings)]).reset()
    assert list(seen) == ["agentview_image"]
    image = seen["agentview_image"][0]
    assert image.shape == (3, 8, 8) and image.dtype == torch.uint8
    assert (image[0, :4] == 200).all() and not image[0, 4:].any() and not image[1:].any()


def test_an_environment_needs_a_client():
    with pytest.raises(ValueError, match="at least one environment"):
        RobosuiteEnv([])
