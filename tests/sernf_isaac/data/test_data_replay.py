"""Replay: the same windows as cut one by one, the paper's mixtures, and the same batches again."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing, Replay
from sernf_isaac.data.windows import make_batch

SPEC = ChunkSpec()
CUBE_GROUPS = {"history": 24, "current": 34, "goal": 1}


def cube_episode(steps=40, seed=0, *, is_offline=False) -> Episode:
    random = np.random.default_rng(seed)
    return Episode(
        observation={k: random.normal(size=(steps, n)) for k, n in CUBE_GROUPS.items()},
        action=random.uniform(-1, 1, (steps, 17)),
        reward=random.integers(0, 2, steps),
        terminated=np.arange(steps) == steps - 1,
        is_offline=is_offline,
    )


def filled(offline=3, online=2, *, seed=0, **mixing) -> Replay:
    replay = Replay(SPEC, torch.Generator().manual_seed(seed), Mixing(**mixing))
    for i in range(offline + online):
        replay.add(cube_episode(seed=i, is_offline=i < offline), f"e{i}")
    return replay


def flat(batch) -> torch.Tensor:
    """(B, everything)"""
    values = []
    for f in fields(batch):
        value = getattr(batch, f.name)
        parts = value.values() if isinstance(value, dict) else [value]
        values += [part.reshape(len(batch), -1).float() for part in parts]
    return torch.cat(values, dim=1)


def test_every_sampled_row_is_a_window_of_one_of_the_episodes():
    known = torch.cat(
        [flat(make_batch(cube_episode(seed=i, is_offline=i < 3), SPEC)) for i in range(5)]
    )
    rows = set(map(tuple, known.tolist()))
    assert all(tuple(row) in rows for row in flat(filled().sample(300)).tolist())


def test_all_windows_are_reached_equally_often():
    replay = filled(offline=1, online=0)
    sampled = torch.cat([flat(replay.sample(500)) for _ in range(8)])
    _, counts = sampled.unique(dim=0, return_counts=True)
    assert len(counts) == len(replay) == 40
    assert counts.min() > 60 and counts.max() < 145  # 100 expected, 10 standard deviation


@pytest.mark.parametrize("share", [0.0, 0.5, 0.25, 1.0])
def test_the_fixed_rule_keeps_its_share_in_every_batch(share):
    replay = filled(offline=1, online=9, rule="fixed", offline_share=share)
    for _ in range(5):
        assert int(replay.sample(64).is_offline.sum()) == share * 64


def test_the_proportional_rule_follows_the_sizes():
    replay = filled(offline=4, online=2, rule="proportional")
    offline = torch.cat([replay.sample(512).is_offline for _ in range(40)]).float().mean()
    assert offline == pytest.approx(0.5 * 4 / (0.5 * 4 + 2), abs=0.015)


def test_the_uniform_rule_ignores_the_difference():
    replay = filled(offline=4, online=1, rule="uniform")
    offline = torch.cat([replay.sample(512).is_offline for _ in range(20)]).float().mean()
    assert offline == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("rule", ["fixed", "proportional"])
@pytest.mark.parametrize(("offline", "online"), [(2, 0), (0, 2)])
def test_with_one_kind_of_data_all_rows_are_of_it(rule, offline, online):
    rows = filled(offline, online, rule=rule).sample(32).is_offline
    assert rows.all() if offline else not rows.any()


def test_a_resumed_replay_goes_on_with_the_same_batches():
    replay = filled(seed=3)
    replay.sample(16)
    state = replay.state_dict()
    expected = [flat(replay.sample(16)) for _ in range(3)]
    resumed = filled(seed=99)
    resumed.load_state_dict(state)
    for batch in expected:
        assert torch.equal(flat(resumed.sample(16)), batch)


def test_the_state_is_plain_enough_for_a_checkpoint(tmp_path):
    torch.save(filled().state_dict(), tmp_path / "state.pt")
    filled().load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))


def test_resuming_with_other_episodes_is_refused():
    with pytest.raises(ValueError, match=r"5 episodes, the state 6.*'e5'"):
        filled().load_state_dict(filled(online=3).state_dict())


def test_what_does_not_fit_is_refused_and_leaves_no_trace():
    replay = filled()
    before = len(replay)
    other = cube_episode()
    with pytest.raises(ValueError, match="'e0' was added before"):
        replay.add(other, "e0")
    del other.observation["goal"]
    with pytest.raises(ValueError, match=r"episode 'x' has \['action', 'observation.current'"):
        replay.add(other, "x")
    other.observation["goal"] = np.zeros((40, 2), np.float32)
    with pytest.raises(ValueError, match=r"observation.goal of shape \(2,\)"):
        replay.add(other, "x")
    assert len(replay) == before
    assert torch.isfinite(flat(replay.sample(64))).all()


def test_an_empty_replay_and_impossible_mixtures_are_refused():
    with pytest.raises(ValueError, match="no windows"):
        Replay(SPEC, torch.Generator()).sample(1)
    with pytest.raises(ValueError, match="'even' is none of"):
        Mixing("even")
    with pytest.raises(ValueError, match=r"share \(1.5\)"):
        Mixing(offline_share=1.5)
