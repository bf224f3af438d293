"""One teacher for both directions: two networks, chosen by the sign of the command."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from tasks.cube_spin.config import CommandConfig, EpisodeConfig, TaskConfig, wide_task
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.runs import train_directions, train_teacher
from tasks.cube_spin.runs.train_directions import DIRECTIONS, one_way, train_both
from tasks.cube_spin.teacher.policy import (
    TeacherPolicy,
    joined,
    load_teacher,
    rsl_rl_weights,
    save_teacher,
    teacher_from_weights,
)
from tasks.cube_spin.teacher.ppo import STATE_FILE, PpoConfig
from tasks.cube_spin.twin.environment import CubeSpinTwin

SIZE = sum(observation_sizes(wide_task().observation).values())


def random_policy(seed: int, task: TaskConfig | None = None, hidden: int = 8) -> TeacherPolicy:
    task = task or wide_task()
    size = sum(observation_sizes(task.observation).values())
    policy = TeacherPolicy(task, torch.zeros(17), torch.ones(17), (hidden,), size)
    generator = torch.Generator().manual_seed(seed)
    for value in (*policy.parameters(), policy.observation_mean):
        value.data = torch.randn(value.shape, generator=generator)
    return policy.eval()


def observations(count: int = 12) -> TensorDict:
    seen = torch.randn((count, SIZE), generator=torch.Generator().manual_seed(9))
    return TensorDict({"teacher": seen}, batch_size=[count])


def tiny_run() -> train_teacher.TwinRun:
    episode = EpisodeConfig(length_s=0.5, support_s=(0.0, 0.1))
    return train_teacher.TwinRun(
        seed=5,
        num_envs=4,
        iterations=2,
        physics="wide",
        task=replace(wide_task(), episode=episode),
        ppo=PpoConfig(rollout_steps=4, hidden=(8,), epochs=1, minibatches=1),
        eval_every=0,
    )


def test_the_sign_of_the_command_chooses_the_network(
    make_twin: Callable[..., CubeSpinTwin],
) -> None:
    counterclockwise, clockwise = random_policy(1), random_policy(2)
    both = joined(counterclockwise, clockwise)
    twin = make_twin(3, wide_task())
    for command, expected in ((0.7, counterclockwise), (-0.7, clockwise)):
        twin.command_all(command)
        seen = twin._observe(torch.zeros(3, dtype=torch.bool))
        assert torch.equal(both(seen), expected(seen))
    assert both.task.command.both_directions
    assert both.towards(clockwise=False) is both
    assert torch.equal(both.towards(clockwise=True)(seen), clockwise(seen))


def test_a_joined_teacher_survives_its_file(tmp_path: Path) -> None:
    both = joined(random_policy(1), random_policy(2))
    save_teacher(tmp_path / "both.pt", both, notes={})
    assert torch.equal(load_teacher(tmp_path / "both.pt")(observations()), both(observations()))


def test_teachers_of_different_tasks_are_not_joined() -> None:
    seen = replace(wide_task().observation, world=False)
    with pytest.raises(ValueError, match="observations or actions"):
        joined(random_policy(1), random_policy(2, replace(wide_task(), observation=seen)))
    with pytest.raises(ValueError, match="different sizes"):
        joined(random_policy(1), random_policy(2, hidden=16))


def test_a_teacher_becomes_an_rsl_rl_actor_and_comes_back() -> None:
    policy = random_policy(3)
    weights = rsl_rl_weights(policy, eps=0.01, steps=100)
    again = teacher_from_weights(weights, 0.01, policy.task, policy.constants)
    torch.testing.assert_close(again(observations()), policy(observations()))


def test_one_direction_is_commanded_in_each_training(
    make_twin: Callable[..., CubeSpinTwin],
) -> None:
    for clockwise in DIRECTIONS.values():
        run = one_way(tiny_run(), clockwise=clockwise)
        twin = make_twin(50, run.task)
        assert ((twin.command < 0.0) == clockwise).all()
    assert isinstance(run.task.command, CommandConfig)


@pytest.mark.parametrize("threads", [1, 2])
def test_both_directions_are_trained_and_joined(tmp_path: Path, threads: int) -> None:
    both = load_teacher(train_both(tiny_run(), tmp_path, threads=threads))
    first, second = (load_teacher(tmp_path / name / "teacher.pt") for name in DIRECTIONS)
    seen = observations()
    negative = seen["teacher"][:, both._command_column] < 0.0
    expected = torch.where(negative[:, None], second(seen), first(seen))
    assert torch.equal(both(seen), expected) and 0 < negative.sum() < len(negative)


def test_a_resumed_training_does_what_is_missing(tmp_path: Path) -> None:
    whole = load_teacher(train_both(tiny_run(), tmp_path, threads=1))
    first, second = (tmp_path / name / STATE_FILE for name in DIRECTIONS)
    before = first.read_bytes()
    second.unlink()  # killed before its first resume point
    again = load_teacher(train_both(tiny_run(), tmp_path, threads=1, resume=True))
    assert torch.equal(again(observations()), whole(observations()))
    assert first.read_bytes() == before, "what is done is not done again"


def test_a_training_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    wrong = replace(tiny_run(), ppo=PpoConfig(schedule="sometimes"))
    with pytest.raises(RuntimeError, match=r"clockwise failed"):
        train_directions.train_both(wrong, tmp_path, threads=2)
    assert "schedule must be one of" in capfd.readouterr().err
