"""OGBench's environments side by side: what they report, when they wait, where they start."""

import numpy as np
import pytest
import torch

from tasks.ogbench.environment import OgbenchEnv, groups, make_envs

LEFT = torch.tensor([-1.0, 0.0])


def start(env: OgbenchEnv) -> torch.Tensor:
    return env.reset()["objects"][:, 0]


def test_groups_take_an_observation_apart_and_leave_nothing_out() -> None:
    numbers = np.arange(28)
    parts = [numbers[part] for part in groups(28).values()]
    assert np.array_equal(np.concatenate(parts), numbers)
    assert list(map(len, parts)) == [12, 7, 9]
    with pytest.raises(ValueError, match="19 numbers are no observation"):
        groups(19)


def test_an_episode_ends_once_and_waits(make_reaching) -> None:
    envs = make_reaching(3)
    env = OgbenchEnv(envs, seed=3)
    env.reset()
    log = [env.step(LEFT.expand(3, 2)) for _ in range(14)]
    reward, terminated, truncated = (torch.stack([row[i] for row in log]) for i in (1, 2, 3))
    assert terminated.sum(dim=0).tolist() == [1, 1, 1] and not truncated.any()
    assert env.succeeded.all()
    for index in range(3):
        end = int(terminated[:, index].nonzero())
        assert reward[: end + 1, index].tolist() == [-1.0] * end + [0.0]
        assert not reward[end + 1 :, index].any()  # it waits
        assert len(envs[index].actions) == end + 1
    assert torch.equal(log[-1][0]["objects"], log[-2][0]["objects"])


def test_doing_nothing_is_cut_off_and_no_success(make_reaching) -> None:
    env = OgbenchEnv(make_reaching(2))
    env.reset()
    log = [env.step(torch.zeros(2, 2)) for _ in range(13)]
    truncated = torch.stack([row[3] for row in log])
    assert truncated.sum(dim=0).tolist() == [1, 1] and truncated[11].all()
    assert not env.succeeded.any()
    env.reset()
    assert not env.step(torch.zeros(2, 2))[3].any()


def test_a_seed_gives_one_sequence_of_starts_that_can_be_continued(make_reaching) -> None:
    env, again, other = (OgbenchEnv(make_reaching(2), seed=seed) for seed in (0, 0, 7))
    first, second = start(env), start(env)
    assert len(set(torch.cat([first, second]).tolist())) == 4
    assert torch.equal(start(again), first)
    assert not torch.equal(start(other), first)
    state = again.state_dict()
    continued = OgbenchEnv(make_reaching(2), seed=0)
    continued.load_state_dict(state)
    assert torch.equal(start(continued), second)


def test_actions_are_clipped_to_what_the_environment_takes(make_reaching) -> None:
    envs = make_reaching(1)
    env = OgbenchEnv(envs)
    env.reset()
    env.step(torch.tensor([[-3.0, 0.5]]))
    assert envs[0].actions[0].tolist() == [-1.0, 0.5]


def test_a_task_without_rewards_is_refused() -> None:
    with pytest.raises(ValueError, match="'cube-single-v0' has no rewards"):
        make_envs("cube-single-v0", 1)
