"""Random numbers for the rows of a batch, also of one that several processes share."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SharedGenerator:
    """A generator that is in the same state in all processes, which deal out rows in turn.

    Each draws for the rows of all and keeps its own. So every row gets what it would have got in
    one process, and the generator's state does not depend on how many there are.
    """

    generator: torch.Generator
    rank: int
    """Of this process."""
    count: int
    """Of processes."""


Source = torch.Generator | SharedGenerator | None
"""Where random numbers come from; None: torch's own generator."""


def normal(empty: Tensor, source: Source) -> Tensor:
    """Standard normal numbers in the shape, type and place of `empty` (B, ...), which is filled."""
    if isinstance(source, SharedGenerator):
        return normal(_for_all(empty, source), source.generator)[source.rank :: source.count]
    return empty.normal_(generator=source)


def uniform(empty: Tensor, source: Source) -> Tensor:
    """The same, uniform in 0..1."""
    if isinstance(source, SharedGenerator):
        return uniform(_for_all(empty, source), source.generator)[source.rank :: source.count]
    return empty.uniform_(generator=source)


def _for_all(empty: Tensor, source: SharedGenerator) -> Tensor:
    return empty.new_empty(source.count * len(empty), *empty.shape[1:])
