"""The student as a file, and at work: what it promises, how its numbers are scaled, how it acts."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.deploy.chunk_queue import ChunkActor
from sernf_isaac.policy import KIND, ChunkPolicy, PolicyLayout, load_policy
from sernf_isaac.spec import Contract
from tasks.cube_spin.config import CONTROL_DT_S, ActionConfig, TaskConfig
from tasks.cube_spin.student_env import FEATURES, StudentObservationConfig
from tasks.cube_spin.twin import NUM_JOINTS
from tasks.orca.joints import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER

DEFAULT_STUDENT = Path(__file__).resolve().parents[2] / "assets" / "student.pt"
POSITION_RANGE_M = 0.02
"""Cube positions this far from the origin are scaled to ±1."""
SPIN_RANGE_RAD_S = 1.5
"""The same for commanded spins (paper F.4b)."""


def student_normalizer() -> Normalizer:
    """Scaling of the student's groups and actions; from known ranges, so that no data are needed.

    Joints are scaled by their nominal limits, actions among them.
    """
    lower, upper = JOINT_LOWER.astype(float), JOINT_UPPER.astype(float)
    near, unit = np.full(3, POSITION_RANGE_M), np.ones(4)
    spin = np.full(1, SPIN_RANGE_RAD_S)
    return Normalizer(
        {
            "history": (
                np.concatenate([lower, -near, -unit]),
                np.concatenate([upper, near, unit]),
            ),
            "command": (np.tile(lower, 2), np.tile(upper, 2)),
            "goal": (-spin, spin),
            ACTION: (lower, upper),
        },
        min_range=0.0,
    )


def student_layout(
    spec: ChunkSpec, policy: PolicyConfig, critic: CriticConfig, seed: int
) -> PolicyLayout:
    """Sizes of a student.

    Raises:
        ValueError: If the history is not the environments'.
    """
    steps = spec.history, tuple(spec.history_keys)
    if steps != (4, ("history",)):
        raise ValueError(f"the student's history is 4 steps of 'history', not {steps}")
    return PolicyLayout(dict(FEATURES), NUM_JOINTS, spec, policy, critic, seed)


def student_contract(
    spec: ChunkSpec, action: ActionConfig, *, symmetric_rotation: bool
) -> Contract:
    """What a student's file promises and a hand must offer."""
    rotation = "cube_rotation_of_24" if symmetric_rotation else "cube_rotation"
    return Contract(
        kind=KIND,
        task="cube_spin",
        joint_names=JOINT_NAMES,
        joint_lower_rad=tuple(JOINT_LOWER.tolist()),
        joint_upper_rad=tuple(JOINT_UPPER.tolist()),
        control_rate_hz=1.0 / CONTROL_DT_S,
        quaternion_order="xyzw",
        observations={
            "history.joint_pos": NUM_JOINTS,
            "history.cube_pos": 3,
            f"history.{rotation}": 4,
            "command.previous_action": NUM_JOINTS,
            "command.joint_target": NUM_JOINTS,
            "goal.spin": 1,
        },
        action={
            "mode": "joint_target",
            "smoothing": action.smoothing,
            "history": spec.history,
            "history_keys": list(spec.history_keys),
            "prefix": spec.prefix,
            "horizon": spec.horizon,
        },
    )


def is_student(path: Path | str) -> bool:
    """Whether a policy file holds a chunk policy rather than a teacher.

    Raises:
        FileNotFoundError, ValueError: As `load_checkpoint`.
    """
    return load_checkpoint(path).contract.kind == KIND


class Student:
    """A student that acts in a `StudentEnv`: one call per step, decisions where they are due.

    Args:
        policy: Its networks.
        task: The task it was distilled for; says how actions are smoothed.
        observation: How its observations are made.
        candidates: K chunks drawn per decision (paper G: 128 in simulation, 64 on the hand).
        rank: "likelihood", or "value" for a policy with critics.
        seed: Seed of the candidates.
    """

    def __init__(
        self,
        policy: ChunkPolicy,
        task: TaskConfig,
        observation: StudentObservationConfig,
        *,
        candidates: int = 1,
        rank: str = "likelihood",
        seed: int = 0,
    ) -> None:
        self.policy, self.task, self.observation = policy, task, observation
        generator = torch.Generator(next(policy.actor.parameters()).device).manual_seed(seed)
        decide = partial(policy.decide, candidates=candidates, rank=rank, generator=generator)
        self._act = ChunkActor(decide, policy.layout.spec)

    def __call__(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Joint targets (N, 17) [rad] before smoothing."""
        seen = {name: observations[name] for name in self.policy.layout.features}
        return self._act(seen, observations["hold"], observations["fresh"])


def save_student(
    path: Path,
    policy: ChunkPolicy,
    task: TaskConfig,
    observation: StudentObservationConfig,
    notes: dict[str, object],
) -> None:
    """Write a student's file; `notes` say where it came from.

    Raises:
        ValueError: If a weight is not finite.
    """
    contract = student_contract(
        policy.layout.spec, task.action, symmetric_rotation=observation.symmetric_rotation
    )
    kept = {"task": asdict(task), "observation": asdict(observation)}
    policy.save(path, contract, notes | kept)


def load_student(path: Path | str = DEFAULT_STUDENT, **acting: object) -> Student:
    """Read a student's file and hold it against this task; `acting` goes to `Student`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no student's file, or joints, limits, rate or observations differ; the
            message names each difference.
    """
    policy, contract = load_policy(path)
    notes = load_checkpoint(path).config["notes"]
    if missing := {"task", "observation"} - set(notes):
        raise ValueError(f"{path} is no student of the cube spin: its notes lack {sorted(missing)}")
    task = _merged(path, TaskConfig, notes["task"])
    observation = _merged(path, StudentObservationConfig, notes["observation"])
    expected = student_contract(
        policy.layout.spec, task.action, symmetric_rotation=observation.symmetric_rotation
    )
    if differences := contract.differences(expected):
        raise ValueError(f"{path} does not fit this task: {'; '.join(differences)}")
    return Student(policy, task, observation, **acting)  # type: ignore[arg-type]  # keywords as given


def _merged[Config](path: Path | str, kind: type[Config], values: dict) -> Config:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), values)
    except OmegaConfBaseException as error:
        raise ValueError(f"{path} holds settings this version does not know: {error}") from error
    return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely by OmegaConf
