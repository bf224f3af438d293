"""The grasp bank: stable palm-down grasps that episodes start from (made by `search_grasps.py`)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.assets import grasp_bank
from tasks.cube_spin import terms
from tasks.cube_spin.config import TaskConfig
from tasks.cube_spin.terms import TaskConstants
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand
from tasks.orca.names import MIRRORS


@dataclass(frozen=True)
class GraspBank:
    """M settled grasps; frames as in `terms.py`."""

    joint_pos: Tensor  # (M, A) [rad]
    joint_target: Tensor  # (M, A) [rad]
    cube_pos: Tensor  # (M, 3) [m]
    cube_quat: Tensor  # (M, 4)

    @property
    def mean_target(self) -> Tensor:
        """Mean joint target (A,): the centre of grasp-centred actions."""
        return self.joint_target.mean(dim=0)

    def __len__(self) -> int:
        return len(self.joint_pos)

    @classmethod
    def joined(cls, banks: list["GraspBank"]) -> "GraspBank":
        """One bank out of several."""
        names = cls.__dataclass_fields__
        return cls(*(torch.cat([getattr(bank, name) for bank in banks]) for name in names))

    def first(self, count: int) -> "GraspBank":
        """The first `count` grasps."""
        return GraspBank(*(getattr(self, name)[:count] for name in self.__dataclass_fields__))

    def save(self, path: Path, hand: Hand) -> None:
        """Write the bank as float32 arrays with the joint names they are in."""
        arrays = {name: getattr(self, name).float().numpy() for name in self.__dataclass_fields__}
        np.savez_compressed(path, joint_names=np.array(hand.joint_names), **arrays)


def load_grasps(hand: Hand, path: Path | str | None = None) -> GraspBank:
    """Read a bank.

    Args:
        hand: Whose grasps.
        path: The file; the shipped one of the hand, or the mirror of its counterpart's, by default.

    Raises:
        FileNotFoundError: If there is none; says how to make one.
        ValueError: If it is incomplete, its joints are not the hand's in their order, or a value is
            not finite.
    """
    if path is None and hand.name in MIRRORS:
        return mirrored_grasps(load_grasps(load_hand(MIRRORS[hand.name])))
    path = Path(path or grasp_bank(hand.name))
    if not path.is_file():
        raise FileNotFoundError(
            f"no grasp bank at {path}; make one: python scripts/search_grasps.py --hand {hand.name}"
        )
    with np.load(path) as data:
        wanted = ("joint_names", *GraspBank.__dataclass_fields__)
        if missing := [name for name in wanted if name not in data]:
            raise ValueError(f"{path} is no grasp bank: {', '.join(missing)} missing")
        names = tuple(data["joint_names"].tolist())
        if names != hand.joint_names:
            raise ValueError(
                f"{path} is not for the hand {hand.name}: joint order {names} differs from "
                f"{hand.joint_names}"
            )
        arrays = {name: torch.from_numpy(data[name]) for name in GraspBank.__dataclass_fields__}
    for name, values in arrays.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"{path}: '{name}' holds a value that is not finite")
    return GraspBank(**arrays)


def task_constants(config: TaskConfig, bank: GraspBank | None = None) -> TaskConstants:
    """The vectors every term needs, for this action parametrisation.

    Args:
        config: The task.
        bank: The grasps that actions are centred on; by default those of the task's hand.
    """
    lower, upper = joint_limits(hand := load_hand(config.hand))
    bank = bank or load_grasps(hand)
    wrist, target = torch.tensor(hand.is_wrist), bank.mean_target
    centre, scale = terms.action_centre_and_scale(config.action, lower, upper, target, wrist)
    return TaskConstants(lower, upper, torch.tensor(hand.grasp_point_m), centre, scale)


def joint_limits(hand: Hand) -> tuple[Tensor, Tensor]:
    """A hand's lower and upper joint limits (A,) [rad], float32."""
    lower, upper = hand.lower_rad, hand.upper_rad
    return torch.tensor(lower).float(), torch.tensor(upper).float()


def mirrored_grasps(bank: GraspBank) -> GraspBank:
    """The same grasps of the other hand of a pair: joint angles count alike on both."""
    position, rotation = torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([1.0, -1.0, -1.0, 1.0])
    return GraspBank(
        bank.joint_pos, bank.joint_target, bank.cube_pos * position, bank.cube_quat * rotation
    )
