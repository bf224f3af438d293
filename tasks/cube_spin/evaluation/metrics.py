"""Whole episodes from the platform, and their metrics with 95 % intervals.

Metrics follow the paper (C.4) and add what it leaves out: its rotations per minute count time in
the hand only; per wall-clock minute is reported beside it.
"""

import json
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import torch
from scipy.stats import binomtest
from tensordict import TensorDict
from torch import Tensor
from tqdm import tqdm

from tasks.cube_spin.episodes import EpisodeEnv, EpisodeRecords

Metric = Callable[[dict[str, np.ndarray]], np.ndarray]
_TURN = 2.0 * np.pi
_MINUTE = 60.0
BOOTSTRAP_DRAWS = 2000


@torch.inference_mode()
def run_episodes(
    env: EpisodeEnv,
    policy: Callable[[TensorDict], Tensor],
    episodes: int,
    label: str = "evaluating",
) -> EpisodeRecords:
    """Play whole episodes and return the records of exactly `episodes` of them.

    Every environment contributes its first k episodes, where k is the same for all but for the
    remainder: counting whatever ends first would favour short ones.
    """
    quota = torch.full((env.num_envs,), episodes // env.num_envs)
    quota[: episodes % env.num_envs] += 1
    counted = torch.zeros(env.num_envs, dtype=torch.long)
    kept: list[EpisodeRecords] = []
    observations = env.get_observations()
    with tqdm(total=episodes, desc=label, unit="episode", leave=False) as bar:
        while (counted < quota).any():
            observations, _, dones, _ = env.step(policy(observations))
            ended = dones.nonzero()[:, 0].cpu()
            if len(ended) == 0 or env.finished is None:
                continue
            wanted = counted[ended] < quota[ended]
            counted[ended] += 1
            kept.append(_selected(env.finished, wanted))
            bar.update(int(wanted.sum()))
    return EpisodeRecords.joined(kept)


def _selected(records: EpisodeRecords, which: Tensor) -> EpisodeRecords:
    return EpisodeRecords(*(getattr(records, f.name).cpu()[which] for f in fields(EpisodeRecords)))


# A metric of a sample of episodes; arrays are (..., M) so that all bootstrap draws go at once.
METRICS: dict[str, Metric] = {
    "rpm_in_hand": lambda e: _ratio(_sum(e, "turned_rad") / _TURN, _sum(e, "airborne_s") / _MINUTE),
    "rpm_wall": lambda e: _ratio(_sum(e, "turned_rad") / _TURN, _sum(e, "length_s") / _MINUTE),
    "turns_per_run": lambda e: e["turned_rad"].mean(-1) / _TURN,
    "spin_ratio": lambda e: _ratio(_sum(e, "turned_rad"), _sum(e, "commanded_rad")),
    "spin_rad_s": lambda e: _ratio(_sum(e, "turned_rad"), _sum(e, "airborne_s")),
    "command_rad_s": lambda e: _ratio(_sum(e, "commanded_rad"), _sum(e, "airborne_s")),
    "drops_per_minute": lambda e: _ratio(_sum(e, "dropped"), _sum(e, "airborne_s") / _MINUTE),
    "hold_median_s": lambda e: np.median(e["airborne_s"], axis=-1),
    "hold_mean_s": lambda e: e["airborne_s"].mean(-1),
    "tilt_deg": lambda e: np.degrees(_ratio(_sum(e, "tilt_rad_s"), _sum(e, "airborne_s"))),
}


def summarise(records: EpisodeRecords, seed: int = 0) -> dict[str, float | list[float]]:
    """Every metric, and its 95 % interval under `<name>_ci95`.

    Intervals are bootstrapped over episodes; the share of dropped episodes has a Wilson interval,
    which is right at zero drops too.
    """
    table = {f.name: getattr(records, f.name).double().numpy() for f in fields(EpisodeRecords)}
    count = len(records)
    draws = np.random.default_rng(seed).integers(count, size=(BOOTSTRAP_DRAWS, count))
    resampled = {name: values[draws] for name, values in table.items()}
    summary: dict[str, float | list[float]] = {"episodes": count}
    for name, metric in METRICS.items():
        summary[name] = float(metric(table))
        spread = metric(resampled)
        spread = spread[np.isfinite(spread)]
        ends = np.quantile(spread, [0.025, 0.975]) if len(spread) else np.full(2, np.nan)
        summary[f"{name}_ci95"] = ends.tolist()
    dropped = int(table["dropped"].sum())
    interval = binomtest(dropped, count).proportion_ci(method="wilson")
    summary["drop_fraction"] = dropped / count
    summary["drop_fraction_ci95"] = [float(interval.low), float(interval.high)]
    return summary


def _sum(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    return table[name].sum(-1)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom, and nan where nothing was ever in the air."""
    return np.divide(
        top, bottom, out=np.full_like(np.asarray(top, float), np.nan), where=bottom > 0
    )


def to_json(result: dict | list) -> str:
    """The numbers as strict JSON; what cannot be told (nothing was ever in the air) is null."""
    known = json.loads(json.dumps(result), parse_constant=lambda _: None)
    return json.dumps(known, indent=2, allow_nan=False) + "\n"


def report_table(result: dict) -> str:
    """The numbers as aligned text: the task's commands first, then one column per fixed spin."""
    columns = {"task": result} | {
        f"{speed} rad/s": row for speed, row in result["by_speed"].items()
    }
    names = [name for name in result if f"{name}_ci95" in result]
    lines = [f"{'':18s}" + "".join(f"{title:>26s}" for title in columns)]
    for name in names:
        cells = (
            f"{c[name]:8.3g} [{c[f'{name}_ci95'][0]:.3g}, {c[f'{name}_ci95'][1]:.3g}]"
            for c in columns.values()
        )
        lines.append(f"{name:18s}" + "".join(f"{cell:>26s}" for cell in cells))
    return "\n".join(lines)
