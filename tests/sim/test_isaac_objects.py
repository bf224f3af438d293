"""A cylinder and a sphere in Isaac Lab: as large and as heavy as they should be, as in the twin."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env

pytestmark = pytest.mark.sim
NUM_ENVS = 4


@pytest.fixture(
    scope="module",
    params=[HeldObject("cylinder", 0.05), HeldObject("sphere", 0.05)],
    ids=lambda held: held.shape,
)
def env(request: pytest.FixtureRequest) -> Iterator[IsaacCubeSpin]:
    task = replace(tuned_task(), object=request.param)
    env = make_isaac_env(num_envs=NUM_ENVS, physics="wide", task=task)
    yield env
    env.close()


def test_mass_size_and_inertia_are_those_that_were_drawn(env: IsaacCubeSpin) -> None:
    held, drawn = env.tracker.task.object, env.tracker.drawn
    data = env.unwrapped.scene["cube"].data
    sizes, masses = drawn["cube_size_m"], drawn["cube_mass_kg"]
    assert (sizes >= 0.043 * held.ratio - 1e-6).all() and (sizes <= 0.048 * held.ratio + 1e-6).all()
    torch.testing.assert_close(data.body_mass.torch[:, 0], masses)
    inertia = data.body_inertia.torch[:, 0].reshape(NUM_ENVS, 3, 3).diagonal(dim1=1, dim2=2)
    for row, mass, size in zip(inertia, masses, sizes, strict=True):
        expected = torch.tensor(held.inertia(float(mass), float(size)))
        torch.testing.assert_close(row, expected, rtol=2e-3, atol=1e-9)


def test_the_solver_collides_with_the_size_that_was_drawn(env: IsaacCubeSpin) -> None:
    held, lab = env.tracker.task.object, env.unwrapped
    lab.scene.write_data_to_sim()
    lab.sim.step(render=False)  # changes reach the solver with the next physics step
    model = lab.sim.physics_manager._solver.mjw_model
    cube = int(model.geom_priority.numpy().argmax())
    found = torch.from_numpy(model.geom_size.numpy())[:, cube]
    for row, size in zip(found, env.tracker.drawn["cube_size_m"], strict=True):
        expected = torch.tensor(held.half_sizes_m(float(size)))
        used = expected > 0.0  # MuJoCo leaves the other numbers of a size alone
        torch.testing.assert_close(row[used], expected[used])
