"""A task with an arm on a machine that does not wait: what policies see, and which may drive it."""

from collections.abc import Mapping

import numpy as np

from sernf_isaac.data.bags.resample import canonical_xyzw
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.protocols import Array, HandDescription, PoseReading
from sernf_isaac.policy import KIND, ChunkPolicy
from sernf_isaac.spec import Contract
from tasks.manipulation.actions import ACTION_NAMES, CARRIED, HAND_GROUP, JOINTS, POSE, POSE_GROUP
from tasks.manipulation.definition import TOOL_DOWN_XYZW
from tasks.manipulation.settings import CONTROL_RATE_HZ

SLACK_RAD = 0.2
"""How far the joints of a policy's data may lie outside the hand's range."""


class ArmTask:
    """What is observed of an arm with a hand, the same as `ManipulationTask.bag_layout` imports."""

    features: Mapping[str, int] = {POSE_GROUP: POSE.stop, HAND_GROUP: len(CARRIED.joints)}

    def observe(
        self, joint_pos: Array, sent: Array, previous_action: Array, pose: PoseReading, goal: float
    ) -> dict[str, Array]:
        """Groups of one step, float32: the measured pose and joints; the rest is not observed."""
        turn = canonical_xyzw(joint_pos[None, 3 : POSE.stop], TOOL_DOWN_XYZW)[0]
        groups = {
            POSE_GROUP: np.concatenate([joint_pos[:3], turn]),
            HAND_GROUP: joint_pos[JOINTS],
        }
        return {name: value.astype(np.float32) for name, value in groups.items()}

    def lost(self, pose: PoseReading) -> bool:
        """Never: nobody measures the object, a person ends the episode."""
        return False


def machine(limits: ArmLimits) -> HandDescription:
    """Arm and hand as 24 "joints": what an action may be, (x y z, xyzw, joints)."""
    return HandDescription(
        joint_names=ACTION_NAMES,
        lower_rad=(*map(float, limits.lower_m), *[-1.0] * 4, *CARRIED.driver.lower_rad),
        upper_rad=(*map(float, limits.upper_m), *[1.0] * 4, *CARRIED.driver.upper_rad),
        driver_names=ACTION_NAMES,
        signs=(1,) * len(ACTION_NAMES),
    )


def check_arm_policy(policy: ChunkPolicy, contract: Contract, *, task: str) -> None:
    """Nothing if the policy may drive the arm and the hand of a task.

    Raises:
        ValueError: If task, actions, rate or observations differ, if it needs cameras, or if its
            joints lie far outside the hand's range; names each.
    """
    if cameras := sorted(policy.layout.architecture.vision.cameras):
        raise ValueError(
            f"the policy sees the cameras {cameras}, which sessions neither show nor record yet; "
            f"train one with --keys {' '.join(ArmTask.features)}"
        )
    expected = {
        "kind": KIND,
        "task": task,
        "joint_names": ACTION_NAMES,
        "control_rate_hz": CONTROL_RATE_HZ,
        "quaternion_order": "xyzw",
        "observations": dict(sorted(ArmTask.features.items())),
        "pose_frame": POSE_GROUP,
    }
    found = {name: getattr(contract, name) for name in expected if hasattr(contract, name)}
    found["observations"] = dict(sorted(contract.observations.items()))
    found["pose_frame"] = contract.action.get("pose_frame")
    differences = [
        f"{name} is {found[name]}, expected {value}"
        for name, value in expected.items()
        if found[name] != value
    ]
    differences = differences or _joints_outside(contract)
    if differences:
        raise ValueError(f"the policy does not fit this arm: {'; '.join(differences)}")


def _joints_outside(contract: Contract) -> list[str]:
    rows = zip(
        CARRIED.joint_names,
        contract.joint_lower_rad[JOINTS],
        contract.joint_upper_rad[JOINTS],
        CARRIED.driver.lower_rad,
        CARRIED.driver.upper_rad,
        strict=True,
    )
    return [
        f"{name} went from {low:.2f} to {high:.2f} in its data, the hand from {lower:.2f} to "
        f"{upper:.2f} rad (were the bags in degrees?)"
        for name, low, high, lower, upper in rows
        if low < lower - SLACK_RAD or high > upper + SLACK_RAD
    ]
