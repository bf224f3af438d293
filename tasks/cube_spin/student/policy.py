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
from sernf_isaac.chunk_queue import ChunkActor
from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import KIND, ChunkPolicy, load_policy
from sernf_isaac.spec import Contract
from tasks.assets import DEFAULT_STUDENT
from tasks.cube_spin.config import CONTROL_DT_S, HISTORY, ActionConfig, TaskConfig
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.student.environment import StudentObservationConfig, student_features
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand, with_hand

POSITION_RANGE_M = 0.02
"""Cube positions this far from the origin are scaled to ±1."""
SPIN_RANGE_RAD_S = 1.5
"""The same for commanded spins (paper F.4b)."""
JOINT_RANGES_RAD = (0.25, 0.5, 0.35)
"""Measured angles, last actions and smoothed targets this far from the hand's typical angles are
scaled to ±1."""
SYMMETRIC_ROTATION = (0.0, 0.0, 0.0, 0.95), (0.15, 0.15, 0.45, 0.05)
"""Centre and range (xyzw) of the smallest of the 24 rotations that look alike."""


def student_normalizer(
    hand: Hand, *, symmetric_rotation: bool = True, camera: bool = True
) -> Normalizer:
    """Scaling of the student's groups and actions; from known ranges, so that no data are needed.

    Observations are scaled by about two standard deviations of a spinning hand: within its joint
    limits it uses a few tenths of the range. Actions are scaled by the joints' nominal limits.

    Args:
        hand: Which hand.
        symmetric_rotation: Of the 24 rotations that look alike the smallest is observed.
        camera: Whether the history holds the object's pose.
    """
    joints = np.array(hand.typical_rad)
    rotation = SYMMETRIC_ROTATION if symmetric_rotation else (0.0, 1.0)
    turned, turn = (np.broadcast_to(value, 4) for value in rotation)
    centre = np.concatenate([joints, np.zeros(3), turned])
    measured, told, smoothed = (np.full(hand.num_joints, spread) for spread in JOINT_RANGES_RAD)
    spread = np.concatenate([measured, np.full(3, POSITION_RANGE_M), turn])
    seen = student_features(hand, camera=camera)["history"]
    centre, spread = centre[:seen], spread[:seen]
    commands, spin = np.concatenate([told, smoothed]), np.full(1, SPIN_RANGE_RAD_S)
    return Normalizer(
        {
            "history": (centre - spread, centre + spread),
            "command": (np.tile(joints, 2) - commands, np.tile(joints, 2) + commands),
            "goal": (-spin, spin),
            ACTION: (hand.lower_rad.copy(), hand.upper_rad.copy()),
        },
        min_range=0.0,
    )


def student_layout(
    hand: Hand,
    spec: ChunkSpec,
    policy: PolicyConfig,
    critic: CriticConfig,
    seed: int,
    kind: str = "flow",
    *,
    camera: bool = True,
) -> PolicyLayout:
    """Sizes of a student for a hand.

    Raises:
        ValueError: If the history is not the environments'.
    """
    steps = spec.history, tuple(spec.history_keys)
    if steps != (HISTORY if camera else spec.history, ("history",)):
        raise ValueError(
            f"the student's history is {HISTORY} steps of 'history', not {steps}; a student "
            "without a camera (observation.camera=false) may have more steps"
        )
    architecture = Architecture(kind)
    features, joints = student_features(hand, camera=camera), hand.num_joints
    return PolicyLayout(features, joints, spec, policy, critic, seed, architecture)


SYMMETRIC_ROTATIONS = {
    "cube": "cube_rotation_of_24",
    "cylinder": "cylinder_tilt",
    "sphere": "sphere_no_rotation",
}
"""Names of the rotation that is reduced by the object's symmetries."""


def student_contract(
    hand: Hand,
    spec: ChunkSpec,
    action: ActionConfig,
    *,
    symmetric_rotation: bool,
    held: HeldObject | None = None,
    camera: bool = True,
) -> Contract:
    """What a student's file promises and a hand must offer."""
    held = held or HeldObject()
    rotation = SYMMETRIC_ROTATIONS[held.shape] if symmetric_rotation else "cube_rotation"
    pose = {"history.cube_pos": 3, f"history.{rotation}": 4} if camera else {}
    return Contract(
        kind=KIND,
        task="cube_spin",
        joint_names=hand.joint_names,
        joint_lower_rad=hand.driver.lower_rad,
        joint_upper_rad=hand.driver.upper_rad,
        control_rate_hz=1.0 / CONTROL_DT_S,
        quaternion_order="xyzw",
        observations={
            "history.joint_pos": hand.num_joints,
            **pose,
            "command.previous_action": hand.num_joints,
            "command.joint_target": hand.num_joints,
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
        hand=hand.label,
        object="" if held.is_first else held.label,
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
        generator = torch.Generator(policy.device).manual_seed(seed)
        decide = partial(policy.decide, candidates=candidates, rank=rank, generator=generator)
        self._act = ChunkActor(decide, policy.layout.spec, policy.correct)

    @property
    def history(self) -> int:
        """O, steps of the history it sees."""
        return self.policy.layout.spec.history

    def __call__(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Joint targets (N, A) [rad] before smoothing."""
        seen = {name: observations[name] for name in self.policy.layout.features}
        return self._act(seen, observations["hold"], observations["fresh"])

    def planned(self, env: int) -> Tensor:
        """(Q, A) what is still queued in one environment, the next target first [rad]."""
        return self._act.planned(env)


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
    contract = _contract_of(policy, task, observation)
    kept = {"task": asdict(task), "observation": asdict(observation)}
    policy.save(path, contract, notes | kept)


def load_student(
    path: Path | str = DEFAULT_STUDENT, device: torch.device | str = "cpu", **acting: object
) -> Student:
    """Read a student's file and hold it against this task; `acting` goes to `Student`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no student's file, or joints, limits, rate or observations differ; the
            message names each difference.
    """
    policy, contract = load_policy(path, device)
    notes = load_checkpoint(path).config["notes"]
    if missing := {"task", "observation"} - set(notes):
        raise ValueError(f"{path} is no student of the cube spin: its notes lack {sorted(missing)}")
    task = _merged(path, TaskConfig, notes["task"])
    observation = _merged(path, StudentObservationConfig, notes["observation"])
    expected = _contract_of(policy, task, observation)
    if differences := with_hand(contract).differences(expected):
        raise ValueError(f"{path} does not fit this task: {'; '.join(differences)}")
    return Student(policy, task, observation, **acting)  # type: ignore[arg-type]  # keywords as given


def _contract_of(
    policy: ChunkPolicy, task: TaskConfig, observation: StudentObservationConfig
) -> Contract:
    symmetric = observation.symmetric_rotation
    hand, spec = load_hand(task.hand), policy.layout.spec
    return student_contract(
        hand,
        spec,
        task.action,
        symmetric_rotation=symmetric,
        held=task.object,
        camera=observation.camera,
    )


def _merged[Config](path: Path | str, kind: type[Config], values: dict) -> Config:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), values)
    except OmegaConfBaseException as error:
        raise ValueError(f"{path} holds settings this version does not know: {error}") from error
    return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely by OmegaConf
