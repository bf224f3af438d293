"""Flags and overrides of Isaac Lab's settings: `env.seed=3` wins over what a flag or default says.

This module imports nothing of Isaac Lab.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any


def fill(configs: dict[str, Any], values: dict[str, object], overrides: Sequence[str]) -> None:
    """Write values into settings, except where an override has said otherwise.

    Args:
        configs: Settings by the first part of their names: "env", "agent".
        values: By dotted name, such as "env.sim.device"; None leaves the setting alone.
        overrides: What was given as `key=value`, and is in `configs` already.
    """
    said = {item.partition("=")[0].lstrip("+") for item in overrides}
    for name, value in values.items():
        if value is None or name in said:
            continue
        group, *path, last = name.split(".")
        setattr(reduce(getattr, path, configs[group]), last, value)
