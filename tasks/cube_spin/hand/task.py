"""The cube-spin task on a machine that does not wait: the hand as the robot side sees it."""

from collections.abc import Mapping

import numpy as np
import torch

from sernf_isaac.deploy.protocols import Array, PoseReading
from sernf_isaac.policy import ChunkPolicy
from sernf_isaac.spec import Contract
from tasks.cube_spin.config import ActionConfig, EpisodeConfig
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.held_object import HeldObject, refuse_other_object
from tasks.cube_spin.rotations import reduced_rotation
from tasks.cube_spin.student.environment import student_features
from tasks.cube_spin.student.policy import SYMMETRIC_ROTATIONS, student_contract
from tasks.orca.description import Hand
from tasks.orca.hands import refuse_other_hand, with_hand


class CubeSpin:
    """The task on a real hand: what the student sees there, the same as in `StudentEnv`.

    Args:
        hand: Which hand.
        symmetric_rotation: Whether the policy was distilled with the rotation reduced by the
            object's symmetries; its contract says so.
        held: The object; the paper's cube by default.
        camera: Whether the policy sees the object's pose; its contract says so.
    """

    def __init__(
        self,
        hand: Hand,
        *,
        symmetric_rotation: bool = True,
        held: HeldObject | None = None,
        camera: bool = True,
    ) -> None:
        self.features: Mapping[str, int] = student_features(hand, camera=camera)
        self.symmetric_rotation, self._held = symmetric_rotation, held or HeldObject()
        self._origin = np.array(hand.grasp_point_m)
        self._limits = EpisodeConfig()

    def observe(
        self, joint_pos: Array, sent: Array, previous_action: Array, pose: PoseReading, goal: float
    ) -> dict[str, Array]:
        """Groups of one step, float32."""
        quat = pose.quaternion
        if self.symmetric_rotation:
            quat = reduced_rotation(torch.from_numpy(quat)[None], self._held.shape)[0].numpy()
        quat = -quat if quat[3] < 0.0 else quat
        groups = {
            "history": np.concatenate([joint_pos, pose.position_m - self._origin, quat])[
                : self.features["history"]
            ],
            "command": np.concatenate([previous_action, sent]),
            "goal": np.array([goal]),
        }
        return {name: value.astype(np.float32) for name, value in groups.items()}

    def lost(self, pose: PoseReading) -> bool:
        """As in the simulations: far under its origin or beside it."""
        offset = pose.position_m - self._origin
        below_m, beside_m = (
            self._held.ratio * limit_m
            for limit_m in (self._limits.lost_below_m, self._limits.lost_beside_m)
        )
        beside = np.hypot(offset[0], offset[1]) >= beside_m
        return bool(offset[2] <= -below_m or beside)


def sees_symmetric(contract: Contract) -> bool:
    """Whether a student's rotation is reduced by the object's symmetries."""
    return any(f"history.{name}" in contract.observations for name in SYMMETRIC_ROTATIONS.values())


def sees_camera(contract: Contract) -> bool:
    """Whether a student sees the object's pose."""
    return "history.cube_pos" in contract.observations


def check_student(
    policy: ChunkPolicy,
    contract: Contract,
    *,
    hand: Hand,
    symmetric_rotation: bool,
    smoothing: float,
    held: HeldObject | None = None,
    camera: bool = True,
) -> None:
    """Nothing if the policy may drive this hand.

    Raises:
        ValueError: If it is for another hand or object, or joints, limits, rate, observations or
            the meaning of actions differ.
    """
    held = held or HeldObject()
    refuse_other_hand(contract, hand.label, "the policy")
    remedy = (
        "give the object that is there, as object.shape=cylinder object.size_m=0.05, or its policy"
    )
    refuse_other_object(contract.object, held, "the policy", remedy)
    expected = student_contract(
        hand,
        policy.layout.spec,
        ActionConfig(smoothing=smoothing),
        symmetric_rotation=symmetric_rotation,
        held=held,
        camera=camera,
    )
    if differences := with_hand(contract).differences(expected):
        raise ValueError(f"the policy does not fit this hand: {'; '.join(differences)}")


def grasp_pose(hand: Hand, bank: GraspBank | None = None, held: HeldObject | None = None) -> Array:
    """(A,) targets [rad] that close the hand around an object: the mean of the grasp bank."""
    return (bank or load_grasps(hand, held=held)).mean_target.double().numpy()
