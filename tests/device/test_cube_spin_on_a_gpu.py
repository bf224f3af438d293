"""The cube's teacher, student and their environments on a GPU that is pretended."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from first_hand import V1
from pretend_gpu import pretend_gpu
from rsl_rl.models import MLPModel
from tensordict import TensorDict
from torch import Tensor

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.build import build_actor
from sernf_isaac.policy import ChunkPolicy
from tasks.cube_spin import rotations, terms
from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.grasps import load_grasps, task_constants
from tasks.cube_spin.observations import (
    observation_sizes,
    student_observations,
    teacher_observations,
)
from tasks.cube_spin.runs.distill_mlp import MlpStudent, flat_observation
from tasks.cube_spin.student.environment import GROUPS, StudentEnv, StudentObservationConfig
from tasks.cube_spin.student.labels import label_with
from tasks.cube_spin.student.policy import Student, student_layout, student_normalizer
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.cube_spin.terms import TaskState

N = 5
WAITS_OF_ENVIRONMENTS = {
    # Masks that write the first history of new episodes.
    "tasks/cube_spin/student/environment.py:StudentEnv._observe",
    # Whose camera begins anew: the number of environments depends on the step.
    "tasks/cube_spin/student/environment.py:StudentEnv._row",
    # Masks that write the first poses of new episodes.
    "tasks/cube_spin/student/pose_noise.py:PoseNoise.see",
}


@pytest.fixture(autouse=True)
def own_symmetries() -> Iterator[None]:
    """What is remembered for each device must not be fake afterwards."""
    yield
    rotations._cube_symmetries.cache_clear()


def simulator(teacher_sees: int) -> SimpleNamespace:
    """What a simulator on the GPU shows."""

    def seen() -> TensorDict:
        groups = {
            "student_history": torch.zeros(N, 4, 24, device="cuda"),
            "student_current": torch.zeros(N, 35, device="cuda"),
            "teacher": torch.zeros(N, teacher_sees, device="cuda"),
        }
        return TensorDict(groups, batch_size=[N])

    def step(actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        assert actions.device.type == "cuda" and actions.shape == (N, 17)
        return seen(), actions.sum(dim=1), actions.sum(dim=1) > 0, {}

    return SimpleNamespace(num_envs=N, get_observations=seen, step=step)


def test_the_teacher_labels_what_the_students_environments_show() -> None:
    teacher = load_teacher()
    size = sum(observation_sizes(teacher.task.observation, V1).values())
    with pretend_gpu() as gpu:
        label = label_with(gpu.moved(teacher))
        env = StudentEnv(simulator(size), StudentObservationConfig(), device="cuda")
        gpu.forget()
        wanted = label(env.get_observations())
        assert wanted.device.type == "cuda" and wanted.shape == (N, 17)
        assert not gpu.waits
        seen, *_ = env.step(wanted)
        assert {value.device.type for value in seen.values()} == {"cuda"}
        assert set(gpu.waits) == WAITS_OF_ENVIRONMENTS


def test_the_student_acts_there() -> None:
    policy = PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
    layout = student_layout(V1, ChunkSpec(), policy, CriticConfig(), 0)
    scale = student_normalizer(V1)
    actor, observation = build_actor(layout), StudentObservationConfig()
    with pretend_gpu() as gpu:
        there = ChunkPolicy(layout, gpu.moved(actor), None, scale.to("cuda"))
        student = Student(there, tuned_task(), observation, candidates=4)
        env = StudentEnv(simulator(83), observation, device="cuda")
        for _ in range(2):
            env.step(student(env.get_observations()))


def test_the_network_of_single_steps_acts_there_without_waiting() -> None:
    shown = {"history": torch.zeros(N, 4, 24), "command": torch.zeros(N, 34)}
    shown["goal"] = torch.zeros(N, 1)
    scale = student_normalizer(V1)
    seen = TensorDict({"student": flat_observation(shown, scale)}, batch_size=[N])
    network = MLPModel(seen, {"student": ["student"]}, "student", 17, [16], "elu")
    student = MlpStudent(network, tuned_task(), StudentObservationConfig())
    with pretend_gpu() as gpu:
        student.network, student._normalizer = gpu.moved(network), gpu.moved(student._normalizer)
        there = {name: value.to("cuda") for name, value in shown.items()}
        gpu.forget()
        assert student(there).device.type == "cuda" and not gpu.waits
    assert set(shown) == set(GROUPS)


def test_observations_rewards_and_endings_wait_for_nothing() -> None:
    task = tuned_task()
    constants = task_constants(task, load_grasps(V1))
    with pretend_gpu() as gpu:
        there = constants.to("cuda")
        state = state_there()
        rotations.reduced_rotation(state.cube_quat)  # gets the symmetries there, once
        gpu.forget()
        seen = teacher_observations(state, there, task.observation)
        history, current = student_observations(state, there)
        lost = terms.cube_lost(state.cube_pos, there, task.episode)
        reward, _ = terms.rewards(state, there, task.reward, lost)
        target = terms.joint_targets(state.action, state.joint_target, there, 0.5)
        made = [*seen.values(), history, current, lost, reward, target]
        assert {value.device.type for value in made} == {"cuda"} and not gpu.waits


def state_there() -> TaskState:
    """All of a state on the GPU, by the names and sizes of its fields."""
    sizes = {name: (N, 17) for name in ("joint_pos", "joint_vel", "joint_target", "action")}
    sizes |= {name: (N, 17) for name in ("previous_action", "joint_acc")}
    sizes |= {name: (N, 3) for name in ("cube_pos", "cube_lin_vel", "cube_ang_vel")}
    sizes |= {name: (N, 3) for name in ("spin", "previous_spin")}
    sizes |= {"cube_quat": (N, 4), "tip_pos": (N, 5, 3), "earlier_targets": (N, 2, 17)}
    sizes |= {name: (N,) for name in ("mean_spin", "command", "support_left_s")}
    names = TaskState.__dataclass_fields__
    return TaskState(**{n: torch.zeros(sizes.get(n, (N, 1)), device="cuda") for n in names})
