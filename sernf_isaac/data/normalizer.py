"""Per-dimension min-max scaling to [-1, 1], kept beside the weights it was trained with.

Sits between batches (physical units) and networks (paper IV-E: actions and observations are scaled
to [-1, 1]). A range may come from known limits, such as joint limits, or from data.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.episode import Array

ACTION = "action"
"""The group of all actions: prefixes and chunks alike."""


class Normalizer:
    """Scales groups of numbers by name; there is no group without a range, and no silent default.

    Values outside a group's range leave [-1, 1]; nothing is clipped.

    Args:
        ranges: By group, lower and upper ends, each (F,), in the group's units.
        min_range: Narrowest range, in the group's units; dimensions that hardly move are scaled
            around their middle by this instead of being blown up. 0 allows any range but none.

    Raises:
        ValueError: If ends are not finite, do not match or are the wrong way round.
    """

    def __init__(self, ranges: Mapping[str, tuple[Array, Array]], min_range: float = 0.05) -> None:
        if not ranges:
            raise ValueError("a normalizer needs at least one group")
        self._centre: dict[str, Tensor] = {}
        self._half: dict[str, Tensor] = {}
        for name, (lower, upper) in ranges.items():
            low, high = _ends(name, lower, upper)
            half = ((high - low) / 2).clamp(min=min_range / 2)
            if (flat := (half <= 0).nonzero()).numel():
                raise ValueError(
                    f"normalizer group {name!r} has no range at index {int(flat[0])}; "
                    "give min_range > 0"
                )
            self._centre[name] = ((high + low) / 2).float()
            self._half[name] = half.float()

    @classmethod
    def from_data(
        cls,
        data: Mapping[str, Array],
        *,
        limits: Mapping[str, tuple[Array, Array]] | None = None,
        min_range: float = 0.05,
    ) -> "Normalizer":
        """Ranges that the data fill, except for the groups with known limits.

        Args:
            data: By group, (..., F).
            limits: By group, lower and upper ends; these groups need no data.
            min_range: As for `Normalizer`.

        Raises:
            ValueError: If a group has no rows, or as for `Normalizer`.
        """
        ranges = {}
        for name, value in data.items():
            rows = np.asarray(value).reshape(-1, np.shape(value)[-1])
            if not len(rows):
                raise ValueError(f"normalizer group {name!r} has no data")
            ranges[name] = (rows.min(axis=0), rows.max(axis=0))
        return cls(ranges | dict(limits or {}), min_range)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups it can scale."""
        return tuple(self._centre)

    @property
    def device(self) -> torch.device:
        """Where its ranges are."""
        return next(iter(self._centre.values())).device

    def normalize(self, group: str, value: Tensor) -> Tensor:
        """Units to [-1, 1]: (..., F) -> (..., F).

        Raises:
            ValueError: If the group is unknown or has another number of dimensions.
        """
        centre, half = self._range(group, value)
        return (value - centre) / half

    def denormalize(self, group: str, value: Tensor) -> Tensor:
        """The inverse of `normalize`.

        Raises:
            ValueError: As for `normalize`.
        """
        centre, half = self._range(group, value)
        return value * half + centre

    def normalize_batch(self, batch: ChunkBatch) -> ChunkBatch:
        """The batch with its actions and observations scaled, on the normalizer's device.

        Images (uint8) stay as they are.

        Raises:
            ValueError: If a group of the batch has no range.
        """
        batch = batch.to(self.device)
        return replace(
            batch,
            observation=self._observation(batch.observation),
            next_observation=self._observation(batch.next_observation),
            prefix=self.normalize(ACTION, batch.prefix),
            chunk=self.normalize(ACTION, batch.chunk),
            next_prefix=self.normalize(ACTION, batch.next_prefix),
        )

    def to(self, device: torch.device | str) -> "Normalizer":
        """The same normalizer on another device."""
        moved = {name: value.to(device) for name, value in self.state_dict().items()}
        return Normalizer.from_state_dict(moved)

    def state_dict(self) -> dict[str, Tensor]:
        """`<group>.centre` and `<group>.half_range`, each (F,), in the group's units."""
        centres = {f"{name}.centre": value for name, value in self._centre.items()}
        return centres | {f"{name}.half_range": value for name, value in self._half.items()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> "Normalizer":
        """The inverse of `state_dict`, bit for bit.

        Raises:
            ValueError: If the state is empty, incomplete, or holds an impossible range.
        """
        groups = dict.fromkeys(key.rpartition(".")[0] for key in state)
        expected = {f"{name}.{part}" for name in groups for part in ("centre", "half_range")}
        if not state or set(state) != expected:
            raise ValueError(
                f"normalizer state has {sorted(state)}; missing {sorted(expected - set(state))}"
            )
        made = cls.__new__(cls)
        made._centre = {name: state[f"{name}.centre"] for name in groups}
        made._half = {name: state[f"{name}.half_range"] for name in groups}
        for name in groups:
            half = made._half[name]
            if not (torch.isfinite(made._centre[name]) & torch.isfinite(half) & (half > 0)).all():
                raise ValueError(f"normalizer group {name!r} holds an impossible range")
        return made

    def _observation(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: value if value.dtype == torch.uint8 else self.normalize(name, value)
            for name, value in observation.items()
        }

    def _range(self, group: str, value: Tensor) -> tuple[Tensor, Tensor]:
        if group not in self._centre:
            raise ValueError(f"no normalizer for {group!r}; there is one for {list(self.groups)}")
        centre = self._centre[group]
        if value.shape[-1] != len(centre):
            raise ValueError(
                f"normalizer group {group!r} has {len(centre)} dimensions, got {value.shape[-1]}"
            )
        return centre, self._half[group]


def _ends(name: str, lower: Array, upper: Array) -> tuple[Tensor, Tensor]:
    low, high = (torch.as_tensor(np.asarray(v, dtype=np.float64)) for v in (lower, upper))
    if low.ndim != 1 or low.shape != high.shape:
        raise ValueError(
            f"normalizer group {name!r} has ends of shapes {tuple(low.shape)}, {tuple(high.shape)}"
        )
    bad = ~(torch.isfinite(low) & torch.isfinite(high) & (low <= high))
    if bad.any():
        index = int(bad.nonzero()[0])
        raise ValueError(
            f"normalizer group {name!r} at index {index}: {low[index]:g} to {high[index]:g} "
            "is no range"
        )
    return low, high
