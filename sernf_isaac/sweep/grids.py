"""What is varied in a sweep: the paper's ablations by name, or any setting."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import yaml

from sernf_isaac.sweep.sweep import Value

GRIDS: Mapping[str, tuple[str, Sequence[Value]]] = {
    "chunk": ("spec.horizon", (6, 8, 10, 12, 14)),
    "couplings": ("learner.policy.num_couplings", (8, 12, 16, 20, 24)),
    "lambda": ("learner.improvement.imitation_weight", (0.01, 0.03, 0.1, 0.3, 1.0)),
    "prefix": ("spec.prefix", (0, 1, 2, 3)),
    "ensemble": ("learner.critic.ensemble", (1, 2, 4, 8)),
    "bins": ("learner.critic.num_bins", (21, 51, 101, 201)),
    "candidates": ("learner.improvement.candidates", (1, 8, 24, 64)),
    "sigma": ("learner.improvement.sigma", (0.3, 0.5, 0.7, 0.85, 1.0)),
}
"""Settings, named alike in every script, and their values. The paper's are the first three (Figs.
10 to 12); the others are parts of the method whose values the paper does not vary."""


def axes_of(names: Sequence[str], varied: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Settings of the script and the values each of them takes.

    Args:
        names: Of `GRIDS`.
        varied: More axes as "key=[value, ...]", and other values for a grid as "name=[value, ...]".

    Raises:
        ValueError: If a name is unknown, with the nearest one, or an axis cannot be read.
    """
    axes: dict[str, tuple[Value, ...]] = {}
    for name in names:
        if name not in GRIDS:
            near = get_close_matches(name, GRIDS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"no grid '{name}'; there are {sorted(GRIDS)}{hint}")
        key, values = GRIDS[name]
        axes[key] = tuple(values)
    for item in varied:
        key, values = _axis(item)
        axes[GRIDS[key][0] if key in GRIDS else key] = values
    return axes


def _axis(item: str) -> tuple[str, tuple[Value, ...]]:
    key, equals, text = item.partition("=")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if key and equals and isinstance(values, list):
        plain = [value for value in values if isinstance(value, int | float | str)]
        if len(plain) == len(values):
            return key, tuple(plain)
    raise ValueError(f"'{item}' is no axis; write key=[value, value]")
