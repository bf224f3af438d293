"""Statistics of a data set as LeRobot keeps them: per episode, and merged over all."""

import numpy as np

from sernf_isaac.data.episode import Array

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
IMAGES = 100
"""Frames of an episode that its statistics look at."""

Statistics = dict[str, Array]
"""min, max, mean, std, count, q01 .. q99; (D,) each, of images (3, 1, 1) in 0..1, count (1,)."""


def statistics_of(values: Array) -> Statistics:
    """Of the steps of an episode: (T, D) numbers, or (T, 3, h, w) uint8 images."""
    count = len(values)
    is_image = values.ndim == 4
    if is_image:
        chosen = values[np.linspace(0, count - 1, min(count, IMAGES)).round().astype(int)]
        columns = np.moveaxis(chosen, 1, -1).reshape(-1, 3) / 255.0
    else:
        columns = values.astype(np.float64)
    found = {
        "min": columns.min(axis=0),
        "max": columns.max(axis=0),
        "mean": columns.mean(axis=0),
        "std": columns.std(axis=0),
    }
    found |= dict(
        zip(QUANTILES, np.quantile(columns, list(QUANTILES.values()), axis=0), strict=True)
    )
    if is_image:
        found = {name: value[:, None, None] for name, value in found.items()}
    return found | {"count": np.array([count])}


def merge_statistics(parts: list[Statistics]) -> Statistics:
    """Of all episodes together; quantiles are the episodes' averages, as LeRobot merges them."""
    counts = np.array([part["count"][0] for part in parts])
    weight = counts / counts.sum()

    def average(of: list[Array]) -> Array:
        return np.tensordot(weight, np.stack(of), axes=1)

    mean = average([part["mean"] for part in parts])
    spread = average([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    merged = {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(spread),
        "count": np.array([counts.sum()]),
    }
    return merged | {name: average([part[name] for part in parts]) for name in QUANTILES}
