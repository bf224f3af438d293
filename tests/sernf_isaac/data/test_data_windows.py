"""Windows: every row of the special-case table, with integer rewards and targets by hand."""

import numpy as np
import pytest
import torch

from sernf_isaac.chunk_queue import ChunkQueue
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.windows import cut, find_starts, make_batch

STEPS = 12
SPEC = ChunkSpec(history=3, prefix=2, horizon=4, discount=0.5)
VALUE_OF_NEXT = 80.0


def episode(steps=STEPS, final=True, end="truncated", **options) -> Episode:
    """o_t = [t, -t], a_t = 100 + t, r_t = 2^(t % 4), so that every number tells its step."""
    time = np.arange(steps, dtype=np.float32)
    observation = {"history": np.stack([time, -time], 1), "goal": time[:, None] * 10}
    final_observation = {
        "history": np.array([steps, -steps], np.float32),
        "goal": np.array([steps * 10.0], np.float32),
    }
    flags = {end: time == steps - 1} if end else {}
    return Episode(
        observation=observation,
        action=100 + time[:, None],
        reward=2.0 ** (time % 4),
        final_observation=final_observation if final else {},
        **flags | options,
    )


def steps_of(flagged: list[int], steps=STEPS) -> np.ndarray:
    return np.isin(np.arange(steps), flagged)


def targets(batch) -> list[float]:
    return (batch.reward + batch.discount * VALUE_OF_NEXT).tolist()


def chunks(batch) -> list[list[float]]:
    return batch.chunk[..., 0].tolist()


def test_a_decision_sees_the_past_and_its_queue_and_predicts_what_comes_after():
    batch = make_batch(episode(), SPEC)
    assert batch.observation["history"][5, :, 0].tolist() == [3, 4, 5]
    assert batch.observation["goal"][5].tolist() == [50]
    assert batch.prefix[5, :, 0].tolist() == [105, 106]
    assert chunks(batch)[5] == [107, 108, 109, 110]


def test_the_next_decision_is_one_horizon_later():
    batch = make_batch(episode(), SPEC)
    assert batch.next_observation["history"][5, :, 0].tolist() == [7, 8, 9]
    assert batch.next_observation["goal"][5].tolist() == [90]
    assert batch.next_prefix[5, :, 0].tolist() == [109, 110]


def test_rewards_start_undiscounted_and_the_next_decision_counts_discount_to_the_horizon():
    # rewards 1 2 4 8: 1 + 2/2 + 4/4 + 8/8 = 4, then 80/16 = 5
    assert targets(make_batch(episode(), SPEC))[0] == 4 + 5
    # rewards 2 4 8 1: 2 + 4/2 + 8/4 + 1/8 = 6.125
    assert targets(make_batch(episode(), SPEC))[1] == 6.125 + 5


def test_the_papers_cube_indices():
    """At t: history t-3..t, prefix t, t+1, chunk t+2..t+7, rewards t..t+5, next decision t+6."""
    spec, t = ChunkSpec(), 5
    batch = make_batch(episode(steps=20), spec)
    assert batch.observation["history"][t, :, 0].tolist() == [2, 3, 4, 5]
    assert batch.prefix[t, :, 0].tolist() == [105, 106]
    assert chunks(batch)[t] == [107, 108, 109, 110, 111, 112]
    assert batch.next_observation["history"][t, :, 0].tolist() == [8, 9, 10, 11]
    assert batch.next_prefix[t, :, 0].tolist() == [111, 112]
    assert batch.discount[t].item() == pytest.approx(0.997**6)
    rewards = [2.0 ** (i % 4) for i in range(5, 11)]
    expected = sum(0.997**i * reward for i, reward in enumerate(rewards))
    assert batch.reward[t].item() == pytest.approx(expected)


def test_a_buffer_of_128_steps_gives_118_windows_to_imitate():
    spec = ChunkSpec(history=4, prefix=2, horizon=8)
    imitable = make_batch(episode(steps=128), spec).imitate
    assert int(imitable.sum()) == 128 - 2 - 8 + 1
    assert int(make_batch(episode(steps=128), ChunkSpec()).imitate[3:].sum()) == 118


def test_history_repeats_the_first_observation_at_the_start():
    batch = make_batch(episode(), SPEC)
    assert batch.observation["history"][0, :, 0].tolist() == [0, 0, 0]
    assert batch.observation["history"][1, :, 0].tolist() == [0, 0, 1]


def test_the_first_decision_has_the_holding_actions_as_its_prefix():
    made = episode()
    made.action[:2] = ChunkQueue(SPEC, torch.tensor([[7.0]])).planned(0).numpy()
    batch = make_batch(made, SPEC)
    assert batch.prefix[0, :, 0].tolist() == [7, 7]
    assert chunks(batch)[0] == [102, 103, 104, 105]


def test_a_timeout_inside_drops_the_window_and_one_exactly_at_the_end_bootstraps():
    batch = make_batch(episode(), SPEC)
    assert len(batch) == STEPS - SPEC.horizon + 1
    assert batch.next_observation["history"][-1, :, 0].tolist() == [10, 11, 12]  # 12: the final one
    assert batch.next_observation["goal"][-1].tolist() == [120]
    assert targets(batch)[-1] == 4 + 5


def test_without_a_final_observation_nothing_bootstraps_from_the_end():
    assert find_starts(episode(final=False), SPEC)[-1] + SPEC.horizon == STEPS - 1


def test_an_episode_that_just_stops_is_a_timeout():
    stopped = episode(end=None, final=False)
    assert stopped.truncated[-1]
    assert find_starts(stopped, SPEC)[-1] + SPEC.horizon == STEPS - 1


def test_a_termination_inside_ends_the_sum_and_nothing_comes_after():
    batch = make_batch(episode(end="terminated"), SPEC)
    assert len(batch) == STEPS
    assert batch.discount.tolist() == [0.0625] * 8 + [0.0] * 4
    # rewards of steps 8..11 are 1 2 4 8
    assert targets(batch)[8:] == [1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8]


def test_a_termination_needs_no_final_observation():
    batch = make_batch(episode(end="terminated", final=False), SPEC)
    assert len(batch) == STEPS
    assert all(torch.isfinite(value).all() for value in batch.next_observation.values())


def test_after_a_termination_the_chunk_goes_on_with_the_plan_then_repeats_its_last_action():
    planned = np.array([[900.0], [901.0]])
    batch = make_batch(episode(end="terminated", planned=planned), SPEC)
    assert chunks(batch)[8] == [110, 111, 900, 901]
    assert chunks(batch)[11] == [901, 901, 901, 901]
    assert batch.prefix[11, :, 0].tolist() == [111, 900]


def test_without_a_plan_the_last_action_is_repeated():
    spec = ChunkSpec(history=3, prefix=2, horizon=4)
    batch = make_batch(episode(end="terminated", planned=np.zeros((0, 1))), spec)
    assert chunks(batch)[8] == [110, 111, 111, 111]


def test_qc_keeps_only_the_window_that_terminates_at_its_last_step():
    spec = ChunkSpec(history=3, prefix=2, horizon=4, discount=0.5, drop_early_terminals=True)
    batch = make_batch(episode(end="terminated"), spec)
    assert len(batch) == STEPS - 4 + 1
    assert batch.discount.tolist() == [0.0625] * 8 + [0.0]
    assert targets(batch)[-1] == 4


def test_only_chunks_that_were_executed_to_the_end_may_be_imitated():
    for end in ("terminated", "truncated"):
        batch = make_batch(episode(end=end, planned=np.full((9, 1), 900.0)), SPEC)
        assert batch.imitate.tolist() == [True] * 7 + [False] * (len(batch) - 7)
        assert batch.chunk[batch.imitate].max() < 900


def test_an_override_is_a_stop_before_the_overridden_step():
    made = episode(overridden=steps_of([6]))
    batch = make_batch(made, SPEC)
    # starts 3..6 have step 6 among their rewards; start 2 ends exactly before it
    assert find_starts(made, SPEC).tolist() == [0, 1, 2, 7, 8]
    assert batch.next_observation["history"][2, :, 0].tolist() == [4, 5, 6]
    assert targets(batch)[2] == 4 + 8 / 2 + 1 / 4 + 2 / 8 + 5


def test_an_overridden_action_is_never_imitated():
    batch = make_batch(episode(overridden=steps_of([6])), SPEC)
    assert batch.imitate.tolist() == [True, False, False, False, False]


def test_an_override_at_the_termination_drops_the_windows_with_it():
    made = episode(end="terminated", overridden=steps_of([11]))
    assert find_starts(made, SPEC).tolist() == list(range(8))


def test_prefixes_are_what_was_executed_when_a_decision_came_late():
    late = episode()
    late.action[6] = 55.0  # the fallback, executed because the chunk was not there
    batch = make_batch(late, SPEC)
    assert batch.prefix[5, :, 0].tolist() == [105, 55]
    assert chunks(batch)[4][:2] == [55, 107]


def test_intervention_changes_no_window():
    made, plain = episode(intervened=steps_of([4, 5])), episode()
    assert find_starts(made, SPEC).tolist() == find_starts(plain, SPEC).tolist()


def test_aligned_windows_start_where_the_policy_decided():
    spec = ChunkSpec(history=3, prefix=2, horizon=4, align_to_decisions=True)
    made = episode(decision=steps_of([0, 4, 8]))
    assert find_starts(made, spec).tolist() == [0, 4, 8]
    batch = make_batch(made, spec)
    torch.testing.assert_close(batch.prefix[1:], batch.next_prefix[:-1])
    torch.testing.assert_close(
        batch.observation["history"][1:], batch.next_observation["history"][:-1]
    )


def test_a_goal_reached_on_the_way_ends_the_value_but_not_the_episode():
    made = episode(terminated=steps_of([5]), end=None)
    batch = make_batch(made, SPEC)
    # start 3 has rewards 8 1 2: 8 + 1/2 + 2/4 and ends; start 6 knows nothing of the goal
    assert targets(batch)[3] == 8 + 0.5 + 0.5
    assert targets(batch)[6] == 4 + 8 / 2 + 1 / 4 + 2 / 8 + 5
    assert chunks(batch)[3] == [105, 106, 107, 108]
    assert batch.imitate[3]


@pytest.mark.parametrize("history", [1, 3])
@pytest.mark.parametrize("horizon", [1, 5])
def test_no_prefix_means_the_chunk_starts_now(history, horizon):
    spec = ChunkSpec(history=history, prefix=0, horizon=horizon, discount=0.5)
    batch = make_batch(episode(), spec)
    assert batch.prefix.shape == batch.next_prefix.shape == (len(batch), 0, 1)
    assert chunks(batch)[2] == [102.0 + i for i in range(horizon)]
    assert batch.imitate.all()
    assert batch.next_observation["goal"][2].tolist() == [10 * (2 + horizon)]


@pytest.mark.parametrize("prefix", [0, 1, 3, 4])
@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_the_next_prefix_is_the_end_of_the_chunk(prefix, end):
    spec = ChunkSpec(history=2, prefix=prefix, horizon=4)
    batch = make_batch(episode(end=end), spec)
    torch.testing.assert_close(batch.next_prefix, batch.chunk[:, 4 - prefix :])


def test_windows_never_leave_their_episode():
    for steps in range(1, 9):
        for end in ("terminated", "truncated"):
            batch = make_batch(episode(steps=steps, end=end), SPEC)
            assert len(batch) == (steps if end == "terminated" else max(0, steps - 3))
            actions = torch.cat([batch.prefix, batch.chunk], dim=1)
            assert ((actions >= 100) & (actions < 100 + steps)).all()


def test_images_stay_bytes_and_keep_their_shape():
    images = np.arange(STEPS * 12, dtype=np.uint8).reshape(STEPS, 2, 2, 3)
    made = episode(final=False)
    made = Episode(
        observation=made.observation | {"camera": images}, action=made.action, reward=made.reward
    )
    batch = make_batch(made, SPEC)
    assert batch.observation["camera"].dtype == torch.uint8
    torch.testing.assert_close(batch.observation["camera"][3], torch.from_numpy(images[3]))


def test_offline_rows_are_marked():
    assert make_batch(episode(is_offline=True), SPEC).is_offline.all()
    assert not make_batch(episode(), SPEC).is_offline.any()


def test_an_unknown_history_group_is_named():
    with pytest.raises(ValueError, match=r"'pose'.*'goal', 'history'"):
        cut(episode(), ChunkSpec(history_keys=("pose",)))


@pytest.mark.parametrize(
    "wrong", [{"history": 0}, {"horizon": 0}, {"prefix": 7}, {"prefix": -1}, {"discount": 1.1}]
)
def test_impossible_specs_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ChunkSpec(**wrong)
