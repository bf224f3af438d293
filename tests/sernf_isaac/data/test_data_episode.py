"""Episodes: what is wrong is refused by name and index; flat arrays and back change nothing."""

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode


def parts(steps=5) -> dict:
    return {
        "observation": {"state": np.zeros((steps, 3)), "goal": np.ones((steps, 1))},
        "action": np.zeros((steps, 2)),
        "reward": np.arange(steps),
    }


def with_value(array: np.ndarray, index: tuple, value: float) -> np.ndarray:
    array = np.asarray(array, dtype=np.float64).copy()
    array[index] = value
    return array


def test_defaults_say_nothing_special_happened_until_a_timeout():
    episode = Episode(**parts())
    assert episode.truncated.tolist() == [False] * 4 + [True]
    assert episode.decision.all()
    assert not episode.terminated.any() and not episode.overridden.any()
    assert episode.planned.shape == (0, 2)
    assert (len(episode), episode.action_dim) == (5, 2)


def test_a_terminated_episode_is_not_truncated():
    terminated = np.array([0, 0, 0, 0, 1])
    assert not Episode(**parts(), terminated=terminated).truncated.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize(
    ("name", "index"), [("action", (3, 1)), ("reward", (2,)), ("state", (4, 2))]
)
def test_numbers_that_are_not_finite_are_named_with_their_index(name, index, bad):
    given = parts()
    where = given["observation"] if name == "state" else given
    where[name] = with_value(where[name], index, bad)
    expected = rf"{name}'? is (nan|inf) at index {str(index).replace('(', '.').replace(')', '.')}"
    with pytest.raises(ValueError, match=expected):
        Episode(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": np.zeros(4)}, r"reward has shape \(4,\), expected \(5,\)"),
        ({"action": np.zeros(5)}, r"action has shape \(5,\)"),
        ({"action": np.zeros((0, 2))}, r"action has shape \(0, 2\)"),
        ({"observation": {}}, "at least one group"),
        ({"observation": {"state": np.zeros((4, 3))}}, r"'state' has shape \(4, 3\)"),
        ({"observation": {"state": np.zeros(5)}}, r"'state' has shape \(5,\)"),
        ({"observation": {"state": np.array([["a"]] * 5)}}, "expected numbers"),
        ({"terminated": np.array([0, 0, 2, 0, 0])}, "terminated is 2 at index 2"),
        ({"truncated": np.array([0, 1, 0, 0, 0])}, "truncated is true at step 1 of 5"),
        ({"final_observation": {"state": np.zeros(3)}}, r"differ in groups \['goal'\]"),
        (
            {"final_observation": {"state": np.zeros(2), "goal": np.zeros(1)}},
            r"final_observation 'state' has shape \(2,\), expected \(3,\)",
        ),
        ({"planned": np.zeros((2, 3))}, r"planned has shape \(2, 3\), expected \(Q, 2\)"),
        ({"outcome": "great"}, "'great' is none of"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Episode(**parts() | change)


def test_flat_arrays_and_back_change_nothing():
    episode = Episode(
        **parts(),
        final_observation={"state": np.ones(3), "goal": np.zeros(1)},
        planned=np.ones((3, 2)),
        overridden=np.array([0, 1, 0, 0, 0]),
    )
    again = Episode.from_arrays(episode.to_arrays(), policy="p", outcome="failure", is_offline=True)
    assert (again.policy, again.outcome, again.is_offline) == ("p", "failure", True)
    for name, value in episode.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], value)


def test_unknown_and_missing_arrays_are_named():
    arrays = Episode(**parts()).to_arrays()
    arrays["rewards"] = arrays.pop("reward")
    with pytest.raises(ValueError, match=r"unknown arrays \['rewards'\] and lacks \['reward'\]"):
        Episode.from_arrays(arrays, policy="", outcome="unknown", is_offline=False)
