"""Scripted demonstrations of robosuite's Lift, written as robomimic's multi-human data are."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from tasks.robomimic.client import RobosuiteClient
from tasks.robomimic.demonstrator import KEYS, OPERATORS, Habits, LiftOperator
from tasks.robomimic.hdf5 import Demonstration, RobomimicWriter

MAX_STEPS = 200
"""An operator gives up after 10 s."""
HOLD_STEPS = 10
"""Steps recorded with the task done, as robosuite's own recorder does."""
VALID_EVERY = 10
"""Every tenth demonstration is for validation."""


def record_demonstrations(
    path: Path, client: RobosuiteClient, count: int, *, seed: int = 0
) -> dict[str, tuple[int, int]]:
    """Make a file of demonstrations by operators of all grades in turn.

    Demonstration i depends on `seed` and i alone. Filter keys: train and valid, the operators'
    grades, and successful.

    Args:
        path: HDF5 file to make.
        client: Lift, telling at least `KEYS`.
        count: How many.
        seed: Of starts and operators.

    Returns:
        By grade: successes, and demonstrations.

    Raises:
        ValueError: If the environment is another one, the file exists, or `count` is below 1.
    """
    if (name := client.env_args["env_name"]) != "Lift":
        raise ValueError(f"the scripted operators can lift a cube, but not do '{name}'")
    if count < 1:
        raise ValueError(f"count ({count}) must be at least 1")
    tally: dict[str, tuple[int, int]] = {habits.grade: (0, 0) for habits in OPERATORS}
    with RobomimicWriter(path, client.env_args) as writer:
        for index in tqdm(range(count), desc="demonstrations"):
            habits = OPERATORS[index % len(OPERATORS)]
            shown = demonstrate(client, habits, np.random.default_rng([seed, index]))
            split = "valid" if index % VALID_EVERY == VALID_EVERY - 1 else "train"
            writer.add(shown, [split, habits.grade, *(["successful"] if shown.succeeded else [])])
            won, tried = tally[habits.grade]
            tally[habits.grade] = (won + shown.succeeded, tried + 1)
    return tally


def demonstrate(client: RobosuiteClient, habits: Habits, rng: np.random.Generator) -> Demonstration:
    """One demonstration, from a start drawn from `rng`, until the task was done for a while.

    Raises:
        ValueError: If the environment does not tell what operators look at.
    """
    now = client.reset(int(rng.integers(2**31)))
    if missing := [key for key in KEYS if key not in now.observation]:
        raise ValueError(f"operators look at {missing}, which the environment does not tell")
    operator, model = LiftOperator(habits, rng), client.model_xml()
    seen, states, actions, rewards, successes = [now.observation], [], [], [], []
    while len(actions) < MAX_STEPS and sum(successes) < HOLD_STEPS:
        action = operator(now.observation)
        states.append(now.state)
        now = client.step(action)
        seen.append(now.observation)
        actions.append(action)
        rewards.append(now.reward)
        successes.append(now.succeeded)
    return Demonstration(seen, states, actions, rewards, successes, model)
