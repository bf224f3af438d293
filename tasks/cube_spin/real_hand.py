"""The cube-spin task on a machine that does not wait: the hand as the robot side sees it."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import mujoco
import numpy as np
import roma
import torch

from sernf_isaac.deploy.protocols import Array, HandDescription, PoseReading
from sernf_isaac.policy import ChunkPolicy
from sernf_isaac.spec import Contract
from tasks.cube_spin.config import CONTROL_DT_S, CUBE_ORIGIN_M, ActionConfig, EpisodeConfig
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.physics import Physics
from tasks.cube_spin.rotations import random_symmetry, reduced_rotation
from tasks.cube_spin.student import student_contract
from tasks.cube_spin.student_env import FEATURES
from tasks.cube_spin.twin_hand import TwinHand, TwinHandSettings
from tasks.cube_spin.twin_physics import TwinPhysics
from tasks.orca.joints import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, JOINTS

HAND = HandDescription(
    joint_names=JOINT_NAMES,
    lower_rad=tuple(JOINT_LOWER.tolist()),
    upper_rad=tuple(JOINT_UPPER.tolist()),
    driver_names=tuple(joint.orca_name for joint in JOINTS),
    signs=tuple(joint.sign for joint in JOINTS),
)
"""The ORCA right hand, v1."""
OPEN_POSE = np.zeros(len(JOINTS))
"""Fingers straight [rad]: lets go of whatever it held."""


class CubeSpin:
    """The task on a real hand: what the student sees there, the same as in `StudentEnv`.

    Args:
        symmetric_rotation: Whether the policy was distilled with the rotation reduced by the
            cube's symmetries; its contract says so.
    """

    features: Mapping[str, int] = FEATURES

    def __init__(self, *, symmetric_rotation: bool = True) -> None:
        self.symmetric_rotation = symmetric_rotation
        self._origin = np.array(CUBE_ORIGIN_M)
        self._limits = EpisodeConfig()

    def observe(
        self, joint_pos: Array, sent: Array, previous_action: Array, pose: PoseReading, goal: float
    ) -> dict[str, Array]:
        """Groups of one step, float32."""
        quat = pose.quaternion
        if self.symmetric_rotation:
            quat = reduced_rotation(torch.from_numpy(quat)[None])[0].numpy()
        quat = -quat if quat[3] < 0.0 else quat
        groups = {
            "history": np.concatenate([joint_pos, pose.position_m - self._origin, quat]),
            "command": np.concatenate([previous_action, sent]),
            "goal": np.array([goal]),
        }
        return {name: value.astype(np.float32) for name, value in groups.items()}

    def lost(self, pose: PoseReading) -> bool:
        """As in the simulations: far under its origin or beside it."""
        offset = pose.position_m - self._origin
        beside = np.hypot(offset[0], offset[1]) >= self._limits.lost_beside_m
        return bool(offset[2] <= -self._limits.lost_below_m or beside)


def sees_symmetric(contract: Contract) -> bool:
    """Whether a student's rotation is reduced by the cube's symmetries."""
    return "history.cube_rotation_of_24" in contract.observations


def check_student(
    policy: ChunkPolicy, contract: Contract, *, symmetric_rotation: bool, smoothing: float
) -> None:
    """Nothing if the policy may drive this hand.

    Raises:
        ValueError: If joints, limits, rate, observations or the meaning of actions differ.
    """
    expected = student_contract(
        policy.layout.spec,
        ActionConfig(smoothing=smoothing),
        symmetric_rotation=symmetric_rotation,
    )
    if differences := contract.differences(expected):
        raise ValueError(f"the policy does not fit this hand: {'; '.join(differences)}")


def grasp_pose(bank: GraspBank | None = None) -> Array:
    """(17,) targets [rad] that close the hand around a cube: the mean of the grasp bank."""
    return (bank or load_grasps()).mean_target.double().numpy()


def twin_settings(
    physics: Physics,
    *,
    seed: int,
    support_s: float = 6.0,
    backlash_rad: float = 0.0,
    rate_hz: float = 40.0,
    bank: GraspBank | None = None,
) -> TwinHandSettings:
    """A simulated hand with parameters drawn once from `physics`.

    Args:
        physics: What is drawn; latency and sensor noise of the joints are taken from here too.
        seed: Of these draws and of all later noise.
        support_s: How long the platform supports a placed cube.
        backlash_rad: Play between servo and joint, which training never has.
        rate_hz: Ticks per second.
        bank: Grasps to start from; the shipped ones by default.
    """
    generator = torch.Generator().manual_seed(seed)
    world = TwinPhysics(1, physics, generator, threads=1)
    world.randomize(np.zeros(1, np.int64))
    delay_s = CONTROL_DT_S * float(physics.sample("action_delay_steps", (1,), generator))
    drawn = {
        name: float(physics.sample(name, (1,), generator))
        for name in ("joint_noise_rad", "joint_velocity_noise_rad_s", "joint_bias_rad")
    }
    settings = TwinHandSettings(
        model=_compiled(world.models[0]),
        start_qpos=_starts(bank or load_grasps(), generator),
        seed=seed,
        delay_ticks=round(delay_s * rate_hz),
        backlash_rad=backlash_rad,
        support_s=support_s,
        rate_hz=rate_hz,
        **drawn,
    )
    world.close()
    return settings


def twin_driver(settings: TwinHandSettings) -> partial[TwinHand]:
    """What makes the driver in the hand's process."""
    return partial(TwinHand, settings)


def _compiled(model: mujoco.MjModel) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hand.mjb"
        mujoco.mj_saveModel(model, str(path), None)
        return path.read_bytes()


def _starts(bank: GraspBank, generator: torch.Generator) -> Array:
    """(M, 24) states: every grasp of the bank, each with the cube on a random face."""
    turned = random_symmetry(len(bank), generator)
    quat_wxyz = roma.quat_product(bank.cube_quat, turned)[:, [3, 0, 1, 2]]
    joints = bank.joint_pos.double().clamp(torch.tensor(JOINT_LOWER), torch.tensor(JOINT_UPPER))
    return torch.cat([joints, bank.cube_pos.double(), quat_wxyz.double()], dim=1).numpy()
