"""How networks are used for a while: without gradients, or with another dropout."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Without gradients for these parameters, whatever happens inside."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def set_dropout(module: nn.Module, rate: float) -> None:
    """Of all its parts."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = rate
