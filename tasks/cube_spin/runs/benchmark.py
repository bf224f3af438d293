"""Measures the environments: how long physics takes and how much everything else adds."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch
from tqdm import tqdm

from sernf_isaac.benchmarks.growth import (
    Curves,
    GrowthRequest,
    draw_growth,
    growth,
    growth_table,
)
from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.twin.environment import CubeSpinTwin

WARM_UP_STEPS = 20
ACTION_STD = 0.4
"""Noise as in training, so that contacts are as rich."""


def environment_speed(
    what: str,
    compared: bool,
    *,
    num_envs: int,
    steps: int,
    threads: int | None,
    isaac_envs: int,
    device: str,
) -> dict[str, float]:
    """Speed of "twin" or "isaac"; `compared` measures Isaac Lab too, with `isaac_envs`."""
    result = twin_speed(num_envs, steps, threads) if what == "twin" else {}
    if what == "isaac" or compared:
        count = num_envs if what == "isaac" else isaac_envs
        result |= isaac_speed(count, max(10, steps // 4), device)
    if "twin_steps_per_s" in result and "isaac_steps_per_s" in result:
        result["twin_over_isaac"] = result["twin_steps_per_s"] / result["isaac_steps_per_s"]
    return result


def growth_curves(figure: Path | None) -> Curves:
    """How cost grows, printed, and drawn if a file is given."""
    print(growth_table(curves := growth(GrowthRequest(), step_ms)))
    if figure:
        draw_growth(curves, figure)
    return curves


def step_ms(num_envs: int, steps: int = 5) -> float:
    """Time that this process computes for one step of so many twins, on one thread."""
    env = CubeSpinTwin(num_envs, tuned_task(), seed=0, threads=1)
    with closing(env):
        env.step(torch.zeros(num_envs, env.num_actions))
        started = time.process_time()
        for _ in range(steps):
            env.step(torch.zeros(num_envs, env.num_actions))
        return 1e3 * (time.process_time() - started) / steps


def twin_speed(num_envs: int, steps: int, threads: int | None) -> dict[str, float]:
    """Control steps per second of the twin, and its overhead relative to the physics alone."""
    env = CubeSpinTwin(num_envs, tuned_task(), seed=0, threads=threads)
    physics_s = 0.0
    step_physics = env.world.step

    def timed(*args: torch.Tensor) -> None:
        nonlocal physics_s
        started = time.perf_counter()
        step_physics(*args)
        physics_s += time.perf_counter() - started

    generator, shape = torch.Generator().manual_seed(1), (num_envs, env.num_actions)
    draw = lambda: ACTION_STD * torch.randn(shape, generator=generator)  # noqa: E731
    for _ in range(WARM_UP_STEPS):
        env.step(draw())
    env.world.step = timed  # type: ignore[method-assign]  # a stopwatch around the real one
    total_s = _timed(lambda: env.step(draw()), steps, "twin")
    return {
        "twin_envs": num_envs,
        "twin_steps_per_s": num_envs * steps / total_s,
        "twin_ms_per_step": 1e3 * total_s / steps,
        "twin_physics_ms_per_step": 1e3 * physics_s / steps,
        "twin_overhead_over_physics": (total_s - physics_s) / physics_s,
    }


def isaac_speed(num_envs: int, steps: int, device: str) -> dict[str, float]:
    """Control steps per second of the Isaac Lab environment with the same noise."""
    from tasks.cube_spin.isaac.environment import make_isaac_env

    with closing(make_isaac_env(num_envs=num_envs, device=device)) as env:
        generator = torch.Generator(device=device).manual_seed(1)

        def step() -> None:
            noise = torch.randn(num_envs, env.num_actions, generator=generator, device=device)
            env.step(ACTION_STD * noise)

        for _ in range(WARM_UP_STEPS):
            step()
        total_s = _timed(step, steps, "isaac")
    return {"isaac_envs": num_envs, "isaac_steps_per_s": num_envs * steps / total_s}


def _timed(step: Callable[[], object], steps: int, label: str) -> float:
    """Seconds for `steps` calls."""
    started = time.perf_counter()
    for _ in tqdm(range(steps), desc=label, unit="step", leave=False):
        step()
    return time.perf_counter() - started
