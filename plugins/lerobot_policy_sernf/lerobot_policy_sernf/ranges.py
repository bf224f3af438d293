"""The ranges that observations and actions are scaled by, kept among a policy's weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sernf_isaac.data.normalizer import ACTION, Normalizer

PARTS = ("centre", "half_range")


class Ranges(nn.Module):
    """A normaliser whose numbers move, are saved and are loaded with the module around it.

    They are not a number until `fit` or a checkpoint has given them.

    Args:
        sizes: F of each group of numbers, actions among them.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self._groups = tuple(sizes)
        self._made: Normalizer | None = None
        for group, size in sizes.items():
            for part in PARTS:
                self.register_buffer(f"{group}__{part}", torch.full((size,), torch.nan))
        self.register_load_state_dict_post_hook(lambda module, _: module._forget())

    def fit(
        self, statistics: Mapping[str, Any], names: Mapping[str, str], min_range: float
    ) -> None:
        """Take the ranges of a data set.

        Args:
            statistics: By LeRobot's names, with "min" and "max" (F,).
            names: Our names of the observed features, by theirs.
            min_range: As for `Normalizer`.

        Raises:
            ValueError: If a feature has no statistics, or they are no range.
        """
        wanted = {ours: theirs for theirs, ours in {**names, ACTION: ACTION}.items()}
        if lacking := [wanted[g] for g in self._groups if wanted[g] not in statistics]:
            raise ValueError(f"the data set has no statistics of {lacking}")
        found = {group: statistics[wanted[group]] for group in self._groups}
        ends = {
            group: (np.asarray(of["min"]).reshape(-1), np.asarray(of["max"]).reshape(-1))
            for group, of in found.items()
        }
        for name, value in Normalizer(ends, min_range).state_dict().items():
            getattr(self, name.replace(".", "__")).copy_(value)
        self._forget()

    @property
    def normalizer(self) -> Normalizer:
        """What scales by these ranges, where they are.

        Raises:
            ValueError: If there are none yet.
        """
        if self._made is None:
            state = {f"{g}.{p}": self._number(g, p) for g in self._groups for p in PARTS}
            if any(value.isnan().any() for value in state.values()):
                raise ValueError(
                    "this policy has no ranges: it was neither built for a data set, whose "
                    "statistics hold them, nor loaded from a checkpoint"
                )
            self._made = Normalizer.from_state_dict(state)
        return self._made

    def _number(self, group: str, part: str) -> Tensor:
        return getattr(self, f"{group}__{part}")

    def _forget(self) -> None:
        self._made = None

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:  # noqa: ANN401  # as PyTorch's
        self._forget()
        return super()._apply(*args, **kwargs)
