"""Demonstrations of a simulated task, recorded step by step as real ones are."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.steps import Step, StepLayout
from sernf_isaac.data.store.writer import RunWriter, create_run
from tasks.manipulation.actions import ACTION_DIM, ACTION_NAMES
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.table.task import TableTask

ACTOR = "operator"
GIVE_UP_STEPS = 5
"""The operator stops the recording so long after the last thing to do."""


def record_demonstrations(task: TableTask, run: Path, count: int, *, seed: int = 0) -> Path:
    """Fill a run with demonstrations until it holds `count`; one that was interrupted goes on.

    Demonstration i is the same whenever it is recorded: it depends on `seed` and i alone.

    Args:
        task: What is shown.
        run: Folder of the episode store.
        count: How many demonstrations it is to hold.
        seed: Of configurations, operators and their hands.

    Raises:
        ValueError: If the folder holds another run.
    """
    info = {
        "task": task.name,
        "control_rate_hz": CONTROL_RATE_HZ,
        "action_names": list(ACTION_NAMES),
        "seed": seed,
    }
    create_run(run, info)
    with RunWriter(run, ACTOR) as writer:
        writer.recover()
        done = sum(commit.outcome != "recovered" for commit in RunReader(run).commits())
        for index in tqdm(range(done, count), initial=done, total=count, desc="demonstrations"):
            _record(task, writer, np.random.default_rng([seed, index]))
    return run


def _record(task: TableTask, writer: RunWriter, rng: np.random.Generator) -> str:
    """One demonstration; returns its id."""
    env = task.tables(1, starts=lambda _: [task.draw(rng)], threads=1)
    operator = task.operator(rng)
    layout = StepLayout(dict(task.features), ACTION_DIM, policy=operator.name, is_offline=True)
    episode = writer.begin(layout)
    observation, idle, step = _first(env.reset()), 0, 0
    terminated = truncated = False
    while not (terminated or truncated):
        action = torch.from_numpy(operator(observation)).float()
        seen, *outcome = env.step(action[None])
        reward, terminated, truncated = (value[0].item() for value in outcome)
        idle += operator.done
        given_up = idle >= GIVE_UP_STEPS and not terminated
        truncated = bool(truncated or given_up)
        logged = Step(
            observation, action.numpy(), reward, terminated=bool(terminated), truncated=truncated
        )
        episode.append(logged, step / CONTROL_RATE_HZ)
        observation, step = _first(seen), step + 1
    won = bool(env.succeeded[0])
    return episode.finish("success" if won else "failure", final_observation=observation)


def _first(observation: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value[0].numpy() for name, value in observation.items()}
