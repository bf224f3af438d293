"""Observation tokens: layout, order, embeddings, cameras."""

import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.models.encoders import ObservationEncoder, TokenGroup

CUBE = {  # the layout of the cube task: 4 + 1 + 1 + 2 tokens
    "history": TokenGroup(24, steps=4, first_step=-3),
    "current": TokenGroup(34),
    "goal": TokenGroup(1),
    "prefix": TokenGroup(17, steps=2),
}
B, D = 3, 16


class Grid(nn.Module):
    """A backbone without weights to speak of: every pixel is a token."""

    def __init__(self, width: int = D) -> None:
        super().__init__()
        self.lift = nn.Linear(3, width)

    def forward(self, images: Tensor) -> Tensor:
        return self.lift(images.movedim(1, -1))


@pytest.fixture
def observation() -> dict[str, Tensor]:
    return {
        "history": torch.randn(B, 4, 24),
        "current": torch.randn(B, 34),
        "goal": torch.randn(B, 1),
        "prefix": torch.randn(B, 2, 17),
        "left": torch.rand(B, 3, 2, 3),
        "right": torch.rand(B, 3, 2, 3),
    }


def test_the_cube_observation_makes_eight_tokens(observation) -> None:
    encoder = ObservationEncoder(CUBE)
    assert encoder(observation).shape == (B, 8, 512)
    assert sum(p.numel() for p in encoder.parameters()) == (24 + 34 + 1 + 17 + 4 + 4) * 512


def test_every_parameter_gets_a_gradient(observation) -> None:
    encoder = ObservationEncoder(
        CUBE, token_dim=D, backbones={"grid": Grid()}, cameras={"left": "grid", "right": "grid"}
    )
    encoder(observation).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_token_depends_on_its_own_step_only(observation) -> None:
    encoder = ObservationEncoder(CUBE, token_dim=D)
    before = encoder(observation)
    observation["history"][:, 2] += 1
    changed = (encoder(observation) != before).any(dim=-1).any(dim=0)
    assert changed.tolist() == [False, False, True, False, False, False, False, False]


def test_equal_numbers_at_other_times_or_places_make_other_tokens() -> None:
    encoder = ObservationEncoder(
        {"history": TokenGroup(2, steps=2, first_step=-1), "now": TokenGroup(2)},
        token_dim=D,
        backbones={"grid": Grid()},
        cameras={"left": "grid", "right": "grid"},
    )
    images = torch.ones(B, 3, 2, 3)
    tokens = encoder(
        {
            "history": torch.ones(B, 2, 2),
            "now": torch.ones(B, 2),
            "left": images,
            "right": images,
        }
    )
    assert tokens.shape == (B, 2 + 1 + 6 + 6, D)
    assert len(tokens[0].unique(dim=0)) == tokens.shape[1]


def test_steps_of_one_time_get_the_same_embedding() -> None:
    past, future = (
        ObservationEncoder({"numbers": TokenGroup(2, steps=3, first_step=first)}, token_dim=D)
        for first in (-2, 0)
    )
    future.load_state_dict(past.state_dict())
    numbers = {"numbers": torch.ones(B, 3, 2)}
    torch.testing.assert_close(past(numbers)[:, 2], future(numbers)[:, 0])
    assert not torch.allclose(past(numbers)[:, 1], future(numbers)[:, 1])


def test_cameras_share_one_backbone_or_have_their_own(observation) -> None:
    shared = ObservationEncoder(
        {}, token_dim=D, backbones={"grid": Grid()}, cameras={"left": "grid", "right": "grid"}
    )
    own = ObservationEncoder(
        {},
        token_dim=D,
        backbones={"a": Grid(), "b": Grid()},
        cameras={"left": "a", "right": "b"},
    )
    difference = sum(p.numel() for p in own.parameters()) - sum(
        p.numel() for p in shared.parameters()
    )
    assert difference == 4 * D
    assert shared(observation).shape == own(observation).shape == (B, 12, D)


def test_missing_or_misshapen_observations_are_named(observation) -> None:
    encoder = ObservationEncoder(CUBE, token_dim=D)
    with pytest.raises(ValueError, match=r"history must be \(B, 4, 24\), not of shape \(3, 24\)"):
        encoder(observation | {"history": torch.randn(B, 24)})
    with pytest.raises(ValueError, match=r"goal must be \(B, 1\)"):
        encoder(observation | {"goal": torch.randn(B, 1, 1)})
    del observation["prefix"]
    with pytest.raises(ValueError, match=r"lacks \['prefix'\]"):
        encoder(observation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": {}}, "at least one"),
        ({"token_dim": 18}, r"token_dim \(18\)"),
        ({"cameras": {"left": "grid"}}, r"use the backbones \['grid'\], given are \[\]"),
        ({"backbones": {"grid": Grid()}}, r"given are \['grid'\]"),
        ({"cameras": {"goal": "g"}, "backbones": {"g": Grid()}}, "names of their own"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObservationEncoder(**{"groups": CUBE, "token_dim": D} | options)


def test_a_backbone_of_another_width_is_refused(observation) -> None:
    encoder = ObservationEncoder(
        {}, token_dim=D, backbones={"g": Grid(D + 4)}, cameras={"left": "g"}
    )
    with pytest.raises(ValueError, match="tokens of its backbone have 20 numbers"):
        encoder(observation)
