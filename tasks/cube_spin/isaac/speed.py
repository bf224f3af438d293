"""How fast Isaac Lab simulates and trains on this device: parts of `scripts/gpu_report.py`."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch
from isaaclab_rl.rsl_rl import create_rsl_rl_runner
from rsl_rl.runners import OnPolicyRunner

from sernf_isaac.benchmarks.gpu import now_s
from sernf_isaac.benchmarks.parts import Tell
from tasks.cube_spin.episodes import EpisodeRecords
from tasks.cube_spin.isaac.environment import (
    IsaacCubeSpin,
    isaac_configs,
    open_isaac_env,
    trained_policy,
)
from tasks.cube_spin.teacher.policy import POLICY_FILE, save_teacher

ACTION_STD = 0.4
"""Noise as in training, so that contacts are as rich."""
SAVE_S = 6.0
"""Kept free at the end of a training to write the policy."""


def collection(device: str, *, num_envs: int, steps: int, iterations: int, tell: Tell) -> None:
    """Environment steps per second: collecting alone, and with PPO's learning.

    Args:
        device: Of simulation and learning.
        num_envs: Environments side by side.
        steps: Timed control steps of all of them, with noise for actions.
        iterations: Timed iterations of PPO.
        tell: Hears the rates, what a start takes, and memory.
    """
    started = time.monotonic()
    env_cfg, agent_cfg = isaac_configs(num_envs=num_envs, device=device)
    with closing(open_isaac_env(env_cfg)) as env:
        tell({"num_envs": num_envs, "start_s": time.monotonic() - started})
        draw = torch.Generator(device).manual_seed(1)

        def step() -> None:
            noise = torch.randn(num_envs, env.num_actions, generator=draw, device=device)
            env.step(ACTION_STD * noise)

        spent_s = _seconds(step, device, steps)
        tell({"collection_steps_per_s": num_envs * steps / spent_s} | _memory(device))
        runner = create_rsl_rl_runner(env, agent_cfg, log_dir=None)
        spent_s = _seconds(lambda: runner.learn(1), device, iterations)
        taken = num_envs * agent_cfg.num_steps_per_env * iterations
        tell({"training_steps_per_s": taken / spent_s} | _memory(device))


def teacher(
    device: str, *, num_envs: int, seconds: float, out: str, seed: int = 0, tell: Tell
) -> None:
    """Train a teacher for so long, and keep its curve and its policy.

    Args:
        device: Of simulation and learning.
        num_envs: Environments side by side.
        seconds: From now until it has to be written.
        out: Folder of the policy.
        seed: Of everything.
        tell: Hears the curve after every iteration: a row for each, with its time.
    """
    started = time.monotonic()
    env_cfg, agent_cfg = isaac_configs(num_envs=num_envs, seed=seed, device=device)
    with closing(open_isaac_env(env_cfg)) as env:
        ended = _Ended(env)
        runner = create_rsl_rl_runner(env, agent_cfg, log_dir=None)
        rows: list[dict[str, float]] = []
        while (spent_s := time.monotonic() - started) < seconds - SAVE_S - _longest(rows):
            runner.learn(1)
            row = {"time_s": time.monotonic() - started} | ended.means()
            row["iteration_s"] = row["time_s"] - spent_s
            rows.append(row)
            taken = len(rows) * num_envs * agent_cfg.num_steps_per_env
            tell({"iterations": len(rows), "env_steps": taken, "curve": rows} | _memory(device))
        _save(runner, env, Path(out) / POLICY_FILE, len(rows))


class _Ended:
    """Means over the episodes that ended since they were last asked for."""

    def __init__(self, env: IsaacCubeSpin) -> None:
        self._episodes: list[EpisodeRecords] = []
        step = env.step

        def and_remember(actions: torch.Tensor) -> tuple:
            result = step(actions)
            if env.finished is not None:
                self._episodes.append(env.finished)
            return result

        env.step = and_remember  # type: ignore[method-assign]  # what the runner calls

    def means(self) -> dict[str, float]:
        """Turns per minute in the hand, seconds in the hand, share of drops; nothing without."""
        if not self._episodes:
            return {}
        records, self._episodes = EpisodeRecords.joined(self._episodes), []
        return {name.removeprefix("Episode/"): float(v) for name, v in records.log().items()}


def _longest(rows: list[dict[str, float]]) -> float:
    """What another iteration may take [s]."""
    return 2.0 * max((row["iteration_s"] for row in rows[-5:]), default=0.0)


def _save(runner: OnPolicyRunner, env: IsaacCubeSpin, path: Path, iterations: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_teacher(path, trained_policy(runner, env), {"iteration": iterations})


def _seconds(call: Callable[[], object], device: str, count: int) -> float:
    """For so many calls: the median of them times their number, after one to warm up."""
    call()
    spent = []
    for _ in range(count):
        started = now_s(device)
        call()
        spent.append(now_s(device) - started)
    return count * statistics.median(spent)


def _memory(device: str) -> dict[str, float]:
    """What is taken of the GPU's memory, by simulator and learner alike [GiB]."""
    if torch.device(device).type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"gpu_gib": (total - free) / 2**30}
