"""Normalizer: there and back, ends at ±1, nothing blown up, nothing missing in silence."""

import numpy as np
import pytest
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import Normalizer
from sernf_isaac.data.windows import make_batch


@pytest.fixture
def data():
    return {
        "action": np.random.randn(50, 3) * [1.0, 20.0, 0.2] + 5,
        "state": np.random.randn(7, 9, 2),
    }


@pytest.fixture
def normalizer(data):
    return Normalizer.from_data(data)


def test_data_fill_the_interval_exactly(normalizer, data):
    for name, value in data.items():
        rows = normalizer.normalize(name, torch.tensor(value)).reshape(-1, value.shape[-1])
        torch.testing.assert_close(rows.amin(0), -torch.ones_like(rows[0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows.amax(0), torch.ones_like(rows[0]), atol=1e-5, rtol=0)


def test_denormalize_undoes_normalize(normalizer):
    value = torch.randn(4, 6, 3).double() * 10
    again = normalizer.denormalize("action", normalizer.normalize("action", value))
    torch.testing.assert_close(again, value)


def test_limits_win_over_data(data):
    limits = {"action": (np.full(3, -100.0), np.full(3, 100.0))}
    scaled = Normalizer.from_data(data, limits=limits).normalize("action", torch.full((3,), 50.0))
    torch.testing.assert_close(scaled, torch.full((3,), 0.5))


def test_a_constant_dimension_is_centred_and_not_blown_up():
    made = Normalizer.from_data({"state": np.full((9, 1), 3.0)}, min_range=0.1)
    scaled = made.normalize("state", torch.tensor([[3.0], [3.05], [3.01]]))
    torch.testing.assert_close(scaled, torch.tensor([[0.0], [1.0], [0.2]]), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"'state' has no range at index 0.*min_range"):
        Normalizer.from_data({"state": np.full((9, 1), 3.0)}, min_range=0.0)


def test_the_state_survives_a_file_bit_for_bit(normalizer, tmp_path):
    torch.save(normalizer.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again = Normalizer.from_state_dict(state)
    value = torch.randn(5, 3)
    assert torch.equal(again.normalize("action", value), normalizer.normalize("action", value))
    assert again.groups == normalizer.groups


def test_a_missing_normalizer_is_an_error(normalizer):
    with pytest.raises(ValueError, match=r"no normalizer for 'goal'.*'action', 'state'"):
        normalizer.normalize("goal", torch.zeros(1))
    with pytest.raises(ValueError, match="normalizer state"):
        Normalizer.from_state_dict({})
    state = normalizer.state_dict()
    del state["state.half_range"]
    with pytest.raises(ValueError, match=r"missing \['state.half_range'\]"):
        Normalizer.from_state_dict(state)


def test_a_batch_is_scaled_whole_or_refused():
    episode = Episode(
        observation={"history": np.random.randn(9, 2), "camera": np.zeros((9, 2, 2), np.uint8)},
        action=np.random.randn(9, 3),
        reward=np.zeros(9),
    )
    batch = make_batch(episode, ChunkSpec(horizon=3))
    groups = {"action": episode.action, "history": episode.observation["history"]}
    scaled = Normalizer.from_data(groups).normalize_batch(batch)
    torch.testing.assert_close(scaled.next_prefix, scaled.chunk[:, -2:])
    for value in (scaled.prefix, scaled.observation["history"]):
        assert value.abs().max() <= 1 + 1e-5
    assert scaled.observation["camera"].dtype == torch.uint8
    with pytest.raises(ValueError, match="'history'"):
        Normalizer.from_data({"action": episode.action}).normalize_batch(batch)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (([0.0, 2.0], [1.0, 1.0]), "index 1: 2 to 1"),
        (([0.0, np.nan], [1.0, 1.0]), "index 1: nan to 1"),
        (([0.0], [1.0, 1.0]), "shapes"),
    ],
)
def test_impossible_ranges_are_named(ends, message):
    with pytest.raises(ValueError, match=f"'action'.*{message}"):
        Normalizer({"action": (np.array(ends[0]), np.array(ends[1]))})


def test_a_wrong_number_of_dimensions_is_named(normalizer):
    with pytest.raises(ValueError, match="'action' has 3 dimensions, got 2"):
        normalizer.normalize("action", torch.zeros(5, 2))
