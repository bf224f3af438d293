"""What rollouts came to, as a file per policy and as a table like the paper's Table II (App. A)."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tasks.manipulation.protocol import Trial, as_rows, share
from tasks.robomimic.client import RobosuiteClient


def report(trials: Sequence[Trial], world: RobosuiteClient, about: dict) -> dict:
    """Plain values for a file: success rate with a 95 % Wilson interval, and every trial.

    Args:
        trials: Of one policy.
        world: Where they took place.
        about: What else to say; `summary` groups by `stage`.
    """
    found = share([trial.succeeded for trial in trials])
    return {
        **about,
        "environment": world.env_args["env_name"],
        "versions": world.versions,
        "success": {**asdict(found), "value": found.value},
        "trials": as_rows(trials),
    }


def load_report(path: Path) -> dict:
    """What `report` made.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no report.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no report at {path}")
    try:
        found = json.loads(path.read_text())
        missing = {"success", "environment", "stage", "trials"} - set(found)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"{path} is no report of rollouts: {error}") from error
    if missing:
        raise ValueError(f"{path} is no report of rollouts: it lacks {sorted(missing)}")
    return found


def summary(reports: Sequence[dict]) -> str:
    """As the paper's Table II: mean and sample standard deviation over policies of several seeds.

    Beside them all rollouts pooled, with a 95 % Wilson interval, and how long successes took.
    """
    heads = ("environment", "stage", "policies", "mean ± std", "pooled", "time of successes [s]")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows: dict[tuple[str, str], list[dict]] = {}
    for one in reports:
        rows.setdefault((one["environment"], one["stage"]), []).append(one)
    for (environment, stage), group in rows.items():
        rates = [one["success"]["value"] for one in group]
        trials = [trial for one in group for trial in one["trials"]]
        pooled = share([trial["succeeded"] for trial in trials])
        times = [trial["time_s"] for trial in trials if trial["succeeded"]]
        mean = f"{np.mean(rates):.2f}"
        mean += f" ± {np.std(rates, ddof=1):.2f}" if len(rates) > 1 else ""
        took = f"{np.mean(times):.2f}" if times else "-"
        cells = (environment, stage, str(len(group)), mean, str(pooled), took)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
