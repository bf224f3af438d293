"""The policy that acts while another one learns: a moving average of the learning one's weights.

With a large learning rate the weights wander around where they should be; their average does not.
The paper does not mention one. Diffusion policies are published this way.
"""

import copy

import torch
from torch import nn

WARM_UP = 10.0
"""The first averages forget faster: after n steps the decay is at most (1 + n) / (WARM_UP + n)."""


class Averaged[Network: nn.Module]:
    """A network's moving average; without a decay the network itself.

    Args:
        network: What learns; weights that do not learn are shared with it.
        decay: Of the average per step; None: no average.
    """

    def __init__(self, network: Network, decay: float | None) -> None:
        self._source, self._decay, self._steps = network, decay, 0
        self.network = network
        """What acts."""
        if decay is not None:
            fixed = {id(w): w for w in network.parameters() if not w.requires_grad}
            self.network = copy.deepcopy(network, fixed).requires_grad_(False).eval()

    def follow(self) -> None:
        """One step towards what learns."""
        if self._decay is None:
            return
        decay = min(self._decay, (1.0 + self._steps) / (WARM_UP + self._steps))
        self._steps += 1
        move_towards(self._source, self.network, 1.0 - decay)

    @torch.no_grad()
    def restart(self) -> None:
        """Be what learns again, as at the beginning."""
        self._steps = 0
        if self._decay is not None:
            self.network.load_state_dict(self._source.state_dict())

    def state_dict(self) -> dict:
        """What later averages depend on; empty without one."""
        if self._decay is None:
            return {}
        return {"network": self.network.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`; a state without an average begins one with what learns."""
        if self._decay is None:
            return
        self.restart()
        if state:
            self.network.load_state_dict(state["network"])
            self._steps = state["steps"]


@torch.no_grad()
def move_towards(ours: nn.Module, theirs: nn.Module, share: float) -> None:
    """Move the weights of `theirs` by a share of the way to `ours`; buffers become equal."""
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    apart = [(mine.data, moved.data) for mine, moved in pairs if mine is not moved]
    torch._foreach_lerp_([moved for _, moved in apart], [mine for mine, _ in apart], share)
    for mine, moved in zip(ours.buffers(), theirs.buffers(), strict=True):
        moved.copy_(mine)
