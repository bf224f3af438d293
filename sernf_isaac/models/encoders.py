"""Observations to tokens (B, S, D), which both the flow policy and the critics read.

Numbers become one token per time step; an image becomes a grid of tokens, see `vision.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TokenGroup:
    """Numbers that come together: a history, a goal, the actions already queued."""

    features: int
    """F, numbers per time step."""
    steps: int | None = None
    """O or P of arrays (B, steps, F); None: arrays are (B, F) and make one token."""
    first_step: int = 0
    """When the first step is, in control steps from now: 1 - O for a history, 0 for a prefix."""


def sine_embedding(positions: Tensor, dim: int) -> Tensor:
    """Sines and cosines of positions (...) at `dim` / 2 wavelengths, (..., dim)."""
    rates = 10_000.0 ** (-torch.arange(0, dim, 2, device=positions.device) / dim)
    angles_rad = positions[..., None] * rates
    return torch.cat([angles_rad.sin(), angles_rad.cos()], dim=-1)


class ObservationEncoder(nn.Module):
    """Named groups of an observation to tokens, in the order in which the groups are given.

    Each token is a linear map of its numbers, or a place of a camera's grid, plus the sine of its
    time or place, plus a learned vector of its group.

    Args:
        groups: Low-dimensional parts by name.
        token_dim: D, a multiple of 4.
        backbones: Modules that turn images (B, 3, h, w) into grids (B, rows, columns, D), by name.
        cameras: Which backbone reads which camera; several cameras may share one.

    Raises:
        ValueError: If there is nothing to encode, or names or sizes do not fit.
    """

    def __init__(
        self,
        groups: Mapping[str, TokenGroup],
        *,
        token_dim: int = 512,
        backbones: Mapping[str, nn.Module] | None = None,
        cameras: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        backbones, cameras = dict(backbones or {}), dict(cameras or {})
        names = [*groups, *cameras]
        if token_dim % 4:
            raise ValueError(f"token_dim ({token_dim}) must be a multiple of 4")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"groups and cameras need names of their own, at least one: {names}")
        if set(cameras.values()) != set(backbones):
            raise ValueError(
                f"cameras use the backbones {sorted(set(cameras.values()))}, given are "
                f"{sorted(backbones)}"
            )
        self.groups, self.cameras, self.token_dim = dict(groups), cameras, token_dim
        self.inputs = nn.ModuleDict(
            {name: nn.Linear(group.features, token_dim) for name, group in groups.items()}
        )
        self.backbones = nn.ModuleDict(backbones)
        self.group_embedding = nn.ParameterDict(
            {name: nn.Parameter(0.02 * torch.randn(token_dim)) for name in names}
        )

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """All groups and cameras to (B, S, D).

        Args:
            observation: By name, (B, F) or (B, steps, F) as the groups say; images as the backbones
                take them. Other entries are ignored.

        Raises:
            ValueError: If something is missing or of another shape.
        """
        missing = [name for name in self.group_embedding if name not in observation]
        if missing:
            raise ValueError(f"the observation lacks {missing}; it has {sorted(observation)}")
        numbers = [self._tokens_of(name, observation[name]) for name in self.groups]
        images = [self._grid_of(name, observation[name]) for name in self.cameras]
        return torch.cat([*numbers, *images], dim=1)

    def _tokens_of(self, name: str, values: Tensor) -> Tensor:
        group = self.groups[name]
        steps = () if group.steps is None else (group.steps,)
        if values.shape[1:] != (*steps, group.features):
            wanted = ", ".join(map(str, ("B", *steps, group.features)))
            raise ValueError(f"{name} must be ({wanted}), not of shape {tuple(values.shape)}")
        rows = values if steps else values[:, None]
        times = group.first_step + torch.arange(rows.shape[1], device=values.device)
        tokens = self.inputs[name](rows)
        time_embedding = sine_embedding(times, self.token_dim).to(tokens.dtype)
        return tokens + time_embedding + self.group_embedding[name]

    def _grid_of(self, name: str, images: Tensor) -> Tensor:
        grid = self.backbones[self.cameras[name]](images)  # (B, rows, columns, D)
        _, rows, columns, width = grid.shape
        if width != self.token_dim:
            raise ValueError(f"{name}: tokens of its backbone have {width} numbers, not token_dim")
        half = width // 2
        by_row = sine_embedding(torch.arange(rows, device=grid.device), half)
        by_column = sine_embedding(torch.arange(columns, device=grid.device), half)
        place = torch.cat(
            [
                by_row[:, None].expand(rows, columns, half),
                by_column[None].expand(rows, columns, half),
            ],
            dim=-1,
        )
        return (grid + place.to(grid.dtype)).flatten(1, 2) + self.group_embedding[name]
