"""A network for each direction of the command, inside RSL-RL's model.

One network for both directions learns one of them first, and the other several times as late: its
gradients are those of a policy that turns the wrong way. With a network each, neither disturbs the
other, and episodes whose command changes its sign teach both to take over.
"""

import copy

import torch
from rsl_rl.models import MLPModel
from torch import Tensor, nn


class ByDirection(nn.Module):
    """Two copies of a network on normalised observations (N, D); the command's sign chooses.

    Args:
        network: The network to begin with, for both directions.
        normalizer: RSL-RL's, which made the observations it is given.
        command_column: Where the commanded spin stands among them.
    """

    def __init__(self, network: nn.Module, normalizer: nn.Module, command_column: int) -> None:
        super().__init__()
        self.counterclockwise, self.clockwise = network, copy.deepcopy(network)
        self._scaling = (normalizer,)  # in a tuple: its state belongs to the model
        self._column = command_column

    def forward(self, scaled: Tensor) -> Tensor:
        """Outputs (N, A). Each network sees its own rows only, which halves the time."""
        at, (scaling,) = self._column, self._scaling
        command = scaled[:, at] * (scaling._std[0, at] + scaling.eps) + scaling._mean[0, at]  # type: ignore[operator, index]  # untyped there
        negative = command < 0.0
        rows = torch.cat([(~negative).nonzero()[:, 0], negative.nonzero()[:, 0]])
        outputs = [self.counterclockwise(scaled[~negative]), self.clockwise(scaled[negative])]
        return torch.cat(outputs)[rows.argsort()]


class TwoWayModel(MLPModel):
    """RSL-RL's MLP model with `ByDirection` in place of its network."""

    def __init__(self, *args: object, command_column: int, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]  # RSL-RL's own settings
        self.command_column = command_column
        self.mlp = ByDirection(self.mlp, self.obs_normalizer, command_column)


def ways(command: Tensor) -> dict[str, Tensor]:
    """Which of the commanded spins (...,) are of either direction, by name."""
    return {"clockwise": command < 0.0, "counterclockwise": command > 0.0}


def followed(mean_spin: Tensor, command: Tensor) -> dict[str, float]:
    """Share of the commanded spin (N,) that is reached, for each direction that is commanded."""
    return {
        f"Spin/{name}": float(
            (mean_spin * command.sign())[rows].mean() / command[rows].abs().mean()
        )
        for name, rows in ways(command).items()
        if rows.any()
    }


def scaled_within_directions(advantages: Tensor, command: Tensor) -> Tensor:
    """Advantages (T, N, 1) of either direction with mean 0 and deviation 1; commands (T, N).

    The direction that turns first has returns that spread further, and would set the scale of both.
    """
    scaled = advantages.clone()
    for rows in ways(command).values():
        if rows.sum() > 1:
            scaled[rows] = (advantages[rows] - advantages[rows].mean()) / (
                advantages[rows].std() + 1e-8
            )
    return scaled
