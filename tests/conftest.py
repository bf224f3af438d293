"""What all tests share: fixed seeds, one physics thread, one compilation, small twins."""

import copy
import functools
import gc
import os
from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest
import torch
from first_hand import V1

from sernf_isaac.flags import HAND_DESCRIPTION
from tasks.cube_spin.config import TaskConfig, tuned_task
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import RANDOMIZED, Physics
from tasks.cube_spin.twin import worlds as twin_physics
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.scene import twin_model
from tasks.orca.description import Hand

MakeTwin = Callable[..., CubeSpinTwin]


def pytest_collection_finish() -> None:
    """What is imported stays: looking for garbage among it would take one second in twenty."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seeds() -> Iterator[None]:
    """Every test starts from the same random numbers and leaves torch's thread count alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # for libraries that still use it
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def no_description_left() -> Iterator[None]:
    """The hand's description that a script puts into the environment ends with its test."""
    before = os.environ.get(HAND_DESCRIPTION)
    yield
    os.environ.pop(HAND_DESCRIPTION, None)
    if before is not None:
        os.environ[HAND_DESCRIPTION] = before


@functools.cache
def _compiled(hand: Hand, held: HeldObject, **options: bool | str) -> mujoco.MjModel:
    return twin_model(hand, held, **options)


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins get copies of one compiled model: compiling takes longer than most tests."""
    monkeypatch.setattr(
        twin_physics,
        "twin_model",
        lambda hand, held, **options: copy.copy(_compiled(hand, held, **options)),
    )


@pytest.fixture(scope="session")
def tiny_bank() -> GraspBank:
    """Six of the shipped grasps."""
    return load_grasps(V1).first(6)


@pytest.fixture
def make_twin(tiny_bank: GraspBank) -> MakeTwin:
    """Builds small twins on one thread from the tiny bank; keywords as for `CubeSpinTwin`."""

    def make(
        num_envs: int = 4,
        task: TaskConfig | None = None,
        physics: Physics = RANDOMIZED,
        **options: object,
    ) -> CubeSpinTwin:
        settings = {"threads": 1, "bank": tiny_bank} | options
        return CubeSpinTwin(num_envs, task or tuned_task(), physics, **settings)

    return make
