"""States for pictures: mixed as asked for, in view, the same for the same seed."""

import numpy as np
import pytest
from first_hand import CUBE_ORIGIN_M, JOINT_LOWER, JOINT_UPPER, V1

from tasks.cube_spin.pictures.states import SOURCES, States, StateSource, in_view
from tasks.cube_spin.teacher.policy import load_teacher


@pytest.fixture(scope="module")
def policy():
    return load_teacher()


def same(first: States, second: States) -> bool:
    return all(np.array_equal(value, vars(second)[name]) for name, value in vars(first).items())


def test_the_same_seed_gives_the_same_states_in_any_order(policy) -> None:
    source = StateSource(policy, num_envs=4)
    first, other, again = (source.draw(10, seed) for seed in (1, 2, 1))
    source.close()
    assert same(first, again) and not same(first, other)
    assert np.bincount(first.source, minlength=3).tolist() == [6, 2, 2]


def test_states_are_possible_and_in_view(policy) -> None:
    source = StateSource(policy, shares=(1.0, 1.0, 1.0), num_envs=8)
    states = source.draw(48, 0)
    source.close()
    np.testing.assert_allclose(np.linalg.norm(states.cube_quat, axis=1), 1.0)
    assert in_view(states.cube_pos, V1).all()
    limits = 0.05  # a joint may be pressed a little beyond its stop
    assert (states.joint_pos > JOINT_LOWER - limits).all()
    assert (states.joint_pos < JOINT_UPPER + limits).all()
    height = {
        name: states.cube_pos[states.source == i, 2].mean() - CUBE_ORIGIN_M[2]
        for i, name in enumerate(SOURCES)
    }
    assert height["drop"] < -0.01 and abs(height["policy"]) < 0.01
    policy_quat = states.cube_quat[states.source == 0]
    assert np.abs(policy_quat @ policy_quat.T)[0, 1:].min() < 0.95  # rollouts differ


def test_only_one_kind_can_be_asked_for(policy) -> None:
    source = StateSource(policy, shares=(0.0, 0.0, 1.0), num_envs=4)
    assert (source.draw(5, 0).source == SOURCES.index("drop")).all()
    source.close()
    with pytest.raises(ValueError, match="must not be negative nor all zero"):
        StateSource(policy, shares=(0.5, -0.1, 0.6))


def test_cubes_out_of_reach_or_lost_are_not_in_view() -> None:
    here = np.array(CUBE_ORIGIN_M)
    offsets = np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, -0.2], [np.nan] * 3])
    places = here + offsets
    assert in_view(places, V1).tolist() == [True, False, False, False]
