"""Isaac Lab manager terms of the cube-spin task: thin callers of `terms.py`."""

from tasks.cube_spin.mdp.actions import JointTargetActionCfg
from tasks.cube_spin.mdp.commands import SpinCommandCfg, SupportCommandCfg
from tasks.cube_spin.mdp.events import (
    RandomizeGravity,
    randomize_cube_mass,
    randomize_gains,
    randomize_joint_limits,
    randomize_link_mass,
    reset_to_grasp,
)
from tasks.cube_spin.mdp.friction import randomize_cube_friction, randomize_link_friction
from tasks.cube_spin.mdp.observations import student_current, student_history, teacher
from tasks.cube_spin.mdp.rewards import fall, reward_terms
from tasks.cube_spin.mdp.terminations import cube_lost

__all__ = [
    "JointTargetActionCfg",
    "RandomizeGravity",
    "SpinCommandCfg",
    "SupportCommandCfg",
    "cube_lost",
    "fall",
    "randomize_cube_friction",
    "randomize_cube_mass",
    "randomize_gains",
    "randomize_joint_limits",
    "randomize_link_friction",
    "randomize_link_mass",
    "reset_to_grasp",
    "reward_terms",
    "student_current",
    "student_history",
    "teacher",
]
