"""The grasp bank: stable palm-down grasps that episodes start from (made by `search_grasps.py`)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.assets import DEFAULT_BANK
from tasks.cube_spin import terms
from tasks.cube_spin.config import CUBE_ORIGIN_M, TaskConfig
from tasks.cube_spin.terms import TaskConstants
from tasks.orca.joints import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER


@dataclass(frozen=True)
class GraspBank:
    """M settled grasps; frames as in `terms.py`."""

    joint_pos: Tensor  # (M, 17) [rad]
    joint_target: Tensor  # (M, 17) [rad]
    cube_pos: Tensor  # (M, 3) [m]
    cube_quat: Tensor  # (M, 4)

    @property
    def mean_target(self) -> Tensor:
        """Mean joint target (17,): the centre of grasp-centred actions."""
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

    def save(self, path: Path) -> None:
        """Write the bank as float32 arrays with the joint names they are in."""
        arrays = {name: getattr(self, name).float().numpy() for name in self.__dataclass_fields__}
        np.savez_compressed(path, joint_names=np.array(JOINT_NAMES), **arrays)


def load_grasps(path: Path | str = DEFAULT_BANK) -> GraspBank:
    """Read a bank.

    Raises:
        FileNotFoundError: If there is none; says how to make one.
        ValueError: If it is incomplete, its joints are not ours in our order, or a value is not
            finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no grasp bank at {path}; make one: python scripts/search_grasps.py"
        )
    with np.load(path) as data:
        wanted = ("joint_names", *GraspBank.__dataclass_fields__)
        if missing := [name for name in wanted if name not in data]:
            raise ValueError(f"{path} is no grasp bank: {', '.join(missing)} missing")
        names = tuple(data["joint_names"].tolist())
        if names != JOINT_NAMES:
            raise ValueError(f"{path}: joint order {names} differs from {JOINT_NAMES}")
        arrays = {name: torch.from_numpy(data[name]) for name in GraspBank.__dataclass_fields__}
    for name, values in arrays.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"{path}: '{name}' holds a value that is not finite")
    return GraspBank(**arrays)


def task_constants(config: TaskConfig, bank: GraspBank) -> TaskConstants:
    """The vectors every term needs, for this action parametrisation."""
    lower, upper = torch.from_numpy(JOINT_LOWER).float(), torch.from_numpy(JOINT_UPPER).float()
    centre, scale = terms.action_centre_and_scale(config.action, lower, upper, bank.mean_target)
    return TaskConstants(lower, upper, torch.tensor(CUBE_ORIGIN_M), centre, scale)
