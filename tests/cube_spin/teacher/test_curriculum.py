"""The curriculum: a run begins easier, never leaves its task, and ends at the whole of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tasks.cube_spin.config import CommandConfig, training_task
from tasks.cube_spin.physics import NOMINAL, RANDOMIZED, STARTUP_PARAMETERS, WIDE
from tasks.cube_spin.teacher.curriculum import Curriculum
from tasks.cube_spin.twin.environment import CubeSpinTwin

COMMANDS = CommandConfig(speed_rad_s=(0.3, 3.0), log_uniform=True)
PHYSICS = replace(RANDOMIZED, action_delay_steps=(0.0, 2.0))
SHARES = [share / 50 for share in range(51)]


def test_commands_and_latency_grow_to_the_whole_task() -> None:
    curriculum = Curriculum(begin=0.2, end=0.8)
    commands = [curriculum.commands(COMMANDS, done) for done in SHARES]
    latencies = [curriculum.physics(PHYSICS, done).action_delay_steps[1] for done in SHARES]
    fastest = [command.speed_rad_s[1] for command in commands]
    assert fastest == sorted(fastest) and latencies == sorted(latencies)
    assert fastest[0] == fastest[10] == curriculum.fastest_at_first_rad_s < fastest[11]
    assert set(latencies) == {0.0, 1.0, 2.0}
    assert commands[40:] == [COMMANDS] * 11 and commands[39] != COMMANDS
    assert curriculum.physics(PHYSICS, 0.8) == PHYSICS


def test_worlds_are_nominal_first_then_the_papers_then_the_whole() -> None:
    curriculum = Curriculum(randomised=(0.1, 0.3), begin=0.4, end=0.6)
    now = {done: curriculum.physics(WIDE, done) for done in (0.0, 0.2, 0.3, 0.4, 0.6)}
    once = {name: getattr(WIDE, name) for name in STARTUP_PARAMETERS}
    deviations = {"joint_limit_offset_rad", "gravity_m_s2", "cube_centre_offset_m"}
    for name in ("stiffness_scale", "cube_friction", "cube_mass_kg", "impratio", "joint_play_rad"):
        assert getattr(now[0.0], name) == getattr(NOMINAL, name)
    for name in deviations:
        assert getattr(now[0.0], name)[1] == 0.0
    assert now[0.0] == replace(now[0.0], **once) and now[0.0].elliptic_cone == 0.0
    assert now[0.2].stiffness_scale == pytest.approx((0.8, 1.3))
    assert now[0.2].impratio == NOMINAL.impratio
    assert now[0.3] == now[0.4] == WIDE.grown(0.0) and now[0.6] == WIDE


def test_without_a_curriculum_the_task_is_whole_from_the_start() -> None:
    none = Curriculum(begin=0.0, end=0.0)
    assert none.commands(COMMANDS, 0.0) == COMMANDS and none.physics(PHYSICS, 0.0) == PHYSICS


def test_a_task_slower_than_the_first_commands_stays_as_it_is() -> None:
    for speeds in ((0.5, 1.0), (2.0, 2.5)):
        slow, fast = Curriculum().commands(CommandConfig(speed_rad_s=speeds), 0.0).speed_rad_s
        assert speeds[0] == slow <= fast <= speeds[1]


@pytest.mark.parametrize(("begin", "end"), [(0.5, 0.2), (-0.1, 0.2), (0.2, 1.1)])
def test_shares_out_of_order_are_refused(begin: float, end: float) -> None:
    with pytest.raises(ValueError, match="0 <= begin <= end <= 1"):
        Curriculum(begin=begin, end=end)


def test_the_papers_worlds_may_not_end_before_they_begin() -> None:
    with pytest.raises(ValueError, match=r"randomised\[0\] <= randomised\[1\] <= 1, not 0.3"):
        Curriculum(randomised=(0.3, 0.1))


def test_the_twin_draws_from_the_new_ranges_and_goes_on(
    make_twin: Callable[..., CubeSpinTwin],
) -> None:
    twin = make_twin(64, training_task(), PHYSICS)
    before = twin.state.cube_pos.clone()
    fixed = replace(PHYSICS, action_delay_steps=(0.0, 0.0), cube_mass_kg=(0.05, 0.05))
    twin.draw_from(CommandConfig.fixed(0.7), fixed)
    assert torch.equal(twin.state.cube_pos, before)
    assert len(set(twin.world.drawn["cube_mass_kg"])) == 64
    twin.reset()
    assert (twin.command == torch.tensor(0.7)).all()
    assert set(twin.world.drawn["cube_mass_kg"]) == {float(torch.tensor(0.05))}


def test_the_twin_refuses_more_latency_than_it_remembers(
    make_twin: Callable[..., CubeSpinTwin],
) -> None:
    twin = make_twin(1, training_task(), replace(PHYSICS, action_delay_steps=(0.0, 1.0)))
    with pytest.raises(ValueError, match="built for less of: action_delay_steps"):
        twin.draw_from(COMMANDS, PHYSICS)
