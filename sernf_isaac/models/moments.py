"""A mean and a logarithmic width for each number of a chunk, from observation tokens."""

from torch import Tensor, nn

HIDDEN_LAYERS = 2


class ChunkMoments(nn.Module):
    """An MLP over tokens: its first layer reads each of them, the others the mean of what it makes.

    The mean of the tokens themselves, linear in what was observed, would not know the order of a
    history.

    Args:
        action_dim: A.
        horizon: H.
        token_dim: D.
        width: Of the hidden layers.
        dropout: After each of them.
        zero_init: Start with zeros for every observation; False: torch's own initialisation.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        token_dim: int,
        width: int,
        *,
        dropout: float,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.action_dim, self.horizon = action_dim, horizon
        layers, inputs = [], token_dim
        for _ in range(1 + HIDDEN_LAYERS):
            layers += [nn.Linear(inputs, width), nn.GELU(), nn.Dropout(dropout)]
            inputs = width
        last = nn.Linear(width, 2 * horizon * action_dim)
        self.each_token, self.net = nn.Sequential(*layers[:3]), nn.Sequential(*layers[3:], last)
        if zero_init:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, S, D) -> mean and logarithmic width, (B, H, A) each and unbounded."""
        out = self.net(self.each_token(tokens).mean(dim=1))
        mean, log_width = out.view(-1, self.horizon, 2, self.action_dim).unbind(dim=2)
        return mean, log_width
