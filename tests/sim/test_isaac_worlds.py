"""Wide worlds in Isaac Lab: what Newton can vary per environment arrives in its solver."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from first_hand import JOINTS
from torch import Tensor

from tasks.cube_spin.config import training_task
from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.cube_spin.physics import WIDE
from tasks.cube_spin.world_terms import world_terms

pytestmark = pytest.mark.sim
COUNT = 32


@pytest.fixture(scope="module")
def env() -> Iterator[IsaacCubeSpin]:
    task = training_task()
    seen = replace(task.observation, world=True, earlier_targets=True)
    env = make_isaac_env(
        num_envs=COUNT, seed=3, physics="wide", task=replace(task, observation=seen)
    )
    env.step(torch.zeros(COUNT, 17))  # changes reach the solver with the next physics step
    yield env
    env.close()


def model_of(env: IsaacCubeSpin):  # MuJoCo Warp's model has no public type
    return env.unwrapped.sim.physics_manager._solver.mjw_model


def of_cube(env: IsaacCubeSpin, name: str) -> Tensor:
    """One of the solver's arrays (N, ...) of the cube's geometry."""
    cube = int(model_of(env).geom_priority.numpy().argmax())
    return torch.from_numpy(getattr(model_of(env), name).numpy())[:, cube]


def test_contacts_are_as_soft_as_drawn(env: IsaacCubeSpin) -> None:
    drawn, softness = env.tracker.drawn, of_cube(env, "geom_solref")
    torch.testing.assert_close(softness[:, 0], drawn["contact_time_constant_s"], rtol=1e-4, atol=0)
    torch.testing.assert_close(softness[:, 1], drawn["contact_damping_ratio"], rtol=1e-4, atol=0)
    low, high = WIDE.contact_time_constant_s
    assert low <= softness[:, 0].min() < softness[:, 0].max() <= high
    torsion = of_cube(env, "geom_friction")[:, 1]
    torch.testing.assert_close(torsion, drawn["torsional_friction_m"], rtol=1e-4, atol=0)


def test_every_cube_has_its_size_and_the_inertia_of_it(env: IsaacCubeSpin) -> None:
    size, cube = env.tracker.drawn["cube_size_m"], env.unwrapped.scene["cube"].data
    half = of_cube(env, "geom_size")
    torch.testing.assert_close(half, (size / 2)[:, None].expand(-1, 3), rtol=1e-5, atol=0.0)
    assert size.std() > 1e-4
    inertia = cube.body_mass.torch[:, 0] * size**2 / 6.0
    torch.testing.assert_close(cube.body_inertia.torch[:, 0, 0], inertia, rtol=1e-3, atol=0.0)


def test_the_centre_of_mass_is_where_it_was_drawn(env: IsaacCubeSpin) -> None:
    centre = env.unwrapped.scene["cube"].data.body_com_pos_b.torch[:, 0]
    torch.testing.assert_close(centre, env.tracker.drawn["cube_centre_offset_m"])
    assert 0.0005 < centre.std() < 0.003


def test_servos_are_as_strong_and_stiff_as_drawn(env: IsaacCubeSpin) -> None:
    drawn, hand, ids = env.tracker.drawn, env.unwrapped.scene["robot"].data, env.tracker.joint_ids
    nominal = torch.tensor([row.effort_limit for row in JOINTS])
    strength = nominal * drawn["motor_strength_scale"][:, None]
    limits = hand.joint_effort_limits.torch[:, ids]
    torch.testing.assert_close(limits, strength, rtol=1e-4, atol=0.0)
    loss = torch.from_numpy(model_of(env).dof_frictionloss.numpy())[:, ids]
    torch.testing.assert_close(loss, drawn["joint_friction_nm"], rtol=1e-4, atol=0.0)


def test_one_solver_serves_all_and_the_teacher_is_told(env: IsaacCubeSpin) -> None:
    drawn = env.tracker.drawn
    assert drawn["impratio"].tolist() == pytest.approx([math.sqrt(1.0 * 100.0)] * COUNT)
    assert not drawn["elliptic_cone"].any() and not drawn["hull_collisions"].any()
    told = world_terms(drawn | env.tracker.actuation.drawn, COUNT)
    torch.testing.assert_close(env.get_observations()["teacher"][:, -told.shape[1] :], told)
    assert (told.std(dim=0) > 0.05).sum() >= 15, "what varies is told"


def test_targets_reach_the_joints_late_and_with_play(env: IsaacCubeSpin) -> None:
    env.reset()
    rest = env.tracker.joint_target.clone()
    late = env.tracker.actuation.drawn["action_delay_steps"] >= 2
    action = 0.3 * torch.randn(COUNT, 17, generator=torch.Generator().manual_seed(0))
    env.step(action)
    sent = env.unwrapped.scene["robot"].data.joint_pos_target.torch[:, env.tracker.joint_ids]
    torch.testing.assert_close(sent[late], rest[late], atol=1e-6, rtol=0.0)
    assert late.any() and not late.all()
    play = env.tracker.actuation.drawn["joint_play_rad"]
    assert ((sent - env.tracker.joint_target).abs() <= play / 2 + 1e-6)[~late].any()
