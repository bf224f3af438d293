"""An invertible matrix over the channels of actions, between couplings; the paper's flow has none.

Couplings scale and shift each channel by itself; this lets them work along directions that several
joints share.
"""

import torch
from torch import Tensor, nn


class ChannelMixing(nn.Module):
    """The same matrix W = L U for every time step, learned, independent of what is observed.

    L is lower triangular with ones on its diagonal, U upper triangular with a positive one, so W
    can always be inverted. A permutation, as in Glow's P L U, would add nothing: couplings treat
    all channels alike. It starts as the identity.

    Args:
        action_dim: A.
    """

    def __init__(self, action_dim: int) -> None:
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(action_dim, action_dim))  # below the diagonal counts
        self.upper = nn.Parameter(torch.zeros(action_dim, action_dim))  # above it
        self.log_diagonal = nn.Parameter(torch.zeros(action_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Action side to latent side: (..., H, A) -> (..., H, A), log|det J| ()."""
        lower, upper = self._factors()
        return _product(x, lower @ upper), x.shape[-2] * self.log_diagonal.sum()

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latent side to action side."""
        lower, upper = self._factors()
        one = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        back = torch.linalg.solve_triangular(lower, one, upper=False, unitriangular=True)
        back = torch.linalg.solve_triangular(upper, back, upper=True)
        return _product(z, back), -z.shape[-2] * self.log_diagonal.sum()

    def _factors(self) -> tuple[Tensor, Tensor]:
        one = torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        diagonal = self.log_diagonal.exp().diag()
        return self.lower.tril(-1) + one, self.upper.triu(1) + diagonal


def _product(x: Tensor, matrix: Tensor) -> Tensor:
    """Each step's channels times the matrix; never in reduced precision, which has no inverse."""
    with torch.autocast(x.device.type, enabled=False):
        return x @ matrix.T.to(x.dtype)
