"""The grasp bank: stable palm-down grasps that episodes start from (made by `search_grasps.py`)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.assets import grasp_bank, remade
from tasks.cube_spin import terms
from tasks.cube_spin.config import TaskConfig
from tasks.cube_spin.held_object import HeldObject, refuse_other_object
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

    def save(self, path: Path, hand: Hand, held: HeldObject | None = None) -> None:
        """Write the bank as float32 arrays with joint names, and whose it is and of what."""
        arrays = {name: getattr(self, name).float().numpy() for name in self.__dataclass_fields__}
        if held is not None and not held.is_first:
            arrays["object"] = np.array(held.label)
        if hand.own:
            arrays["hand"] = np.array(hand.label)
        np.savez_compressed(path, joint_names=np.array(hand.joint_names), **arrays)


def bank_file(hand: Hand, held: HeldObject | None = None) -> Path:
    """Where a hand's grasps of an object are, or would be after a search from here."""
    wanted = _first_place(hand, held)
    return wanted if wanted.is_file() else bank_file_to_write(hand, held)


def bank_file_to_write(hand: Hand, held: HeldObject | None = None) -> Path:
    """Where a search puts them: with the shipped ones, or beside the file of an own hand."""
    place = _first_place(hand, held)
    return place if hand.own else remade(place)


def _first_place(hand: Hand, held: HeldObject | None) -> Path:
    what = "" if held is None or held.is_first else held.label
    if hand.own is None:
        return grasp_bank(hand.name, what)
    grasps = hand.own.grasps
    return grasps.with_stem("_".join([grasps.stem, *what.split()])) if what else grasps


def load_grasps(
    hand: Hand, path: Path | str | None = None, held: HeldObject | None = None
) -> GraspBank:
    """Read a bank.

    Args:
        hand: Whose grasps.
        path: The file; that of hand and object, or the mirror of its counterpart's, by default.
        held: The object; the paper's cube by default.

    Raises:
        FileNotFoundError: If there is none; says how to make one.
        ValueError: If it is incomplete, its joints are not the hand's in their order, it is of
            another object, or a value is not finite.
    """
    held = held or HeldObject()
    if path is None and hand.name in MIRRORS:
        return mirrored_grasps(load_grasps(load_hand(MIRRORS[hand.name]), held=held))
    path = Path(path or bank_file(hand, held))
    if not path.is_file():
        raise FileNotFoundError(
            f"no grasp bank for the object {held.label} at {path}; make one: "
            f"{held.search_command(hand.key)}"
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
        if hand.own and (whose := str(data.get("hand", "another hand"))) != hand.label:
            raise ValueError(
                f"{path} is for {whose}, not for the hand {hand.label}, whose description has "
                f"changed since or is another; make another: {held.search_command(hand.key)}"
            )
        meant = str(data["object"]) if "object" in data else ""
        remedy = f"make another: {held.search_command(hand.key)}"
        refuse_other_object(meant, held, path, remedy)
        arrays = {name: torch.from_numpy(data[name]) for name in GraspBank.__dataclass_fields__}
    for name, values in arrays.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"{path}: '{name}' holds a value that is not finite")
    return GraspBank(**arrays)


def task_constants(config: TaskConfig, bank: GraspBank | None = None) -> TaskConstants:
    """The vectors every term needs, for this action parametrisation.

    Args:
        config: The task.
        bank: The grasps that actions are centred on; by default those of the task's hand and
            object.
    """
    lower, upper = joint_limits(hand := load_hand(config.hand))
    bank, held = bank or load_grasps(hand, held=config.object), config.object
    wrist, target = torch.tensor(hand.is_wrist), bank.mean_target
    centre, scale = terms.action_centre_and_scale(config.action, lower, upper, target, wrist)
    origin = torch.tensor(hand.grasp_point_m)
    return TaskConstants(lower, upper, origin, centre, scale, held.shape, held.ratio)


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
