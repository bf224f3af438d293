"""Isaac Lab manager terms of the cube-spin task: thin callers of `terms.py`."""

from tasks.cube_spin.isaac.mdp.actions import JointTargetActionCfg
from tasks.cube_spin.isaac.mdp.commands import SpinCommandCfg, SupportCommandCfg
from tasks.cube_spin.isaac.mdp.contacts import (
    randomize_contact_law,
    randomize_cube_friction,
    randomize_link_friction,
)
from tasks.cube_spin.isaac.mdp.events import (
    RandomizeGravity,
    randomize_cube,
    randomize_gains,
    randomize_joint_limits,
    randomize_link_mass,
    randomize_motors,
    reset_to_grasp,
)
from tasks.cube_spin.isaac.mdp.observations import student_current, student_history, teacher
from tasks.cube_spin.isaac.mdp.rewards import fall, reward_terms
from tasks.cube_spin.isaac.mdp.terminations import cube_lost

__all__ = [
    "JointTargetActionCfg",
    "RandomizeGravity",
    "SpinCommandCfg",
    "SupportCommandCfg",
    "cube_lost",
    "fall",
    "randomize_contact_law",
    "randomize_cube",
    "randomize_cube_friction",
    "randomize_gains",
    "randomize_joint_limits",
    "randomize_link_friction",
    "randomize_link_mass",
    "randomize_motors",
    "reset_to_grasp",
    "reward_terms",
    "student_current",
    "student_history",
    "teacher",
]
