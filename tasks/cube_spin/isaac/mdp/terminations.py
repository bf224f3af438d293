"""Termination term; the time limit is Isaac Lab's own."""

from isaaclab.envs import ManagerBasedRLEnv
from torch import Tensor

from tasks.cube_spin.isaac.mdp.state import tracker


def cube_lost(env: ManagerBasedRLEnv) -> Tensor:
    """(N,) bool: the cube has dropped or left, or the simulation has diverged."""
    return tracker(env).lost
