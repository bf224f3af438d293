"""To compare the student with: RSL-RL's own distillation of an MLP that decides every step.

It leaves no policy file and is only measured.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import torch
from rsl_rl.algorithms import Distillation
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import Tensor, nn
from tqdm import tqdm

from sernf_isaac.config import refuse_unused
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.distill.config import DistillConfig
from tasks.cube_spin.config import HISTORY, TaskConfig
from tasks.cube_spin.runs.distill import make_env
from tasks.cube_spin.student.environment import GROUPS, StudentObservationConfig
from tasks.cube_spin.student.labels import label_with
from tasks.cube_spin.student.policy import student_normalizer
from tasks.cube_spin.student.settings import StudentRun, task_of
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.orca.hands import load_hand

MLP_HIDDEN = (512, 256, 128)
MLP_EPOCHS = 8
MLP_STEPS_PER_GRADIENT = 1


class MlpStudent:
    """A network that sees what the student sees, except a prefix, and decides every step.

    Args:
        network: Scaled numbers (N, 131) to scaled joint targets (N, 17).
        task, observation: As for `Student`.
    """

    history = HISTORY

    def __init__(
        self, network: nn.Module, task: TaskConfig, observation: StudentObservationConfig
    ) -> None:
        self.network, self.task, self.observation = network, task, observation
        self._normalizer = student_normalizer(load_hand(task.hand)).to(
            next(network.parameters()).device
        )

    def __call__(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Joint targets (N, 17) [rad] before smoothing."""
        seen = flat_observation(observations, self._normalizer)
        flat = TensorDict({"student": seen}, batch_size=[len(seen)])
        with torch.no_grad():
            return self._normalizer.denormalize(ACTION, self.network(flat).clamp(-1.0, 1.0))


def refuse_unused_settings(run: StudentRun, default: StudentRun) -> None:
    """An error if a setting was changed that this student has no use for.

    Raises:
        ValueError: Naming it.
    """
    of_distill = {field.name for field in fields(DistillConfig)} - {"iterations", "rollout_steps"}
    names = ["kind", "batch_size", "max_minutes", "eval_every", "eval_episodes", "spec", "learner"]
    names += ["observation.camera"]
    names += [f"distill.{name}" for name in sorted(of_distill)]
    why = "RSL-RL's distillation of an MLP does not use it"
    refuse_unused(run, names, why, group="", default=default)


def distil_mlp(run: StudentRun, run_dir: Path, threads: int | None = None) -> MlpStudent:
    """RSL-RL's `Distillation` on the run's environments: the student acts, the teacher labels."""
    teacher = load_teacher(run.teacher)
    hand = load_hand(teacher.task.hand)
    normalizer, joints = student_normalizer(hand), hand.num_joints
    torch.manual_seed(run.seed)
    with closing(make_env(run, teacher, "twin", run_dir, run.seed, threads=threads)) as env:
        label = label_with(teacher)
        seen = _with_flat(env.get_observations(), normalizer)
        groups = {"student": ["student"], "teacher": ["teacher"]}
        student = MLPModel(seen, groups, "student", joints, list(MLP_HIDDEN), "elu")
        steps = run.distill.rollout_steps
        storage = RolloutStorage("distillation", run.num_envs, steps, seen, [joints], "cpu")
        algorithm = Distillation(
            student,
            _Labels(lambda groups: normalizer.normalize(ACTION, label(groups))),  # type: ignore[arg-type]  # called only
            storage,
            num_learning_epochs=MLP_EPOCHS,
            gradient_length=MLP_STEPS_PER_GRADIENT,
            max_grad_norm=1.0,
        )
        algorithm.train_mode()
        for _ in (bar := tqdm(range(run.distill.iterations), desc="mlp student", unit="it")):
            for _ in range(steps):
                action = normalizer.denormalize(ACTION, algorithm.act(seen).clamp(-1.0, 1.0))
                observations, rewards, dones, extras = env.step(action)
                seen = _with_flat(observations, normalizer)
                algorithm.process_env_step(seen, rewards, dones, extras)
            bar.set_postfix({name: f"{v:.3g}" for name, v in algorithm.update().items()})
        algorithm.eval_mode()
    return MlpStudent(student, task_of(run, teacher), run.observation)


def flat_observation(observations: Mapping[str, Tensor], normalizer: Normalizer) -> Tensor:
    """All of the student's numbers, scaled, as one vector (N, 131).

    Args:
        observations: Groups as in `student_features`.
        normalizer: Of the student, on the device of the observations.
    """
    parts = [normalizer.normalize(name, observations[name]).flatten(1) for name in GROUPS]
    return torch.cat(parts, dim=1)


def _with_flat(observations: TensorDict, normalizer: Normalizer) -> TensorDict:
    return observations.clone().set("student", flat_observation(observations, normalizer))


class _Labels(nn.Module):
    """The teacher with the interface of a model of RSL-RL."""

    def __init__(self, label: Callable[[Mapping[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self._label = label

    def forward(self, observations: TensorDict) -> Tensor:
        return self._label(observations)  # type: ignore[arg-type]  # indexed only

    def reset(self, *_: object, **__: object) -> None:
        """It has no memory."""

    def get_hidden_state(self) -> None:
        """It has none."""
