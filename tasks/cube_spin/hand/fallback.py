"""The policy that drives while the eyes have lost the object: which may, and how it is loaded."""

from functools import partial
from pathlib import Path

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.store.files import sha256_of
from sernf_isaac.deploy.actor.driving import Drives
from sernf_isaac.deploy.policy.local import Check, PolicyLink
from sernf_isaac.deploy.policy.reflex import load_reflex
from sernf_isaac.deploy.protocols import Array
from sernf_isaac.policy import ChunkPolicy
from sernf_isaac.spec import Contract
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student, sees_camera
from tasks.orca.hands import load_hand, refuse_other_hand


def fallback_check(run: HandRun) -> Check:
    """Whether a policy may be the fallback of this hand."""
    return partial(_check, run=run)


def refuse_fallback(run: HandRun, driving: Contract) -> None:
    """Nothing if the run's fallback may take over.

    Args:
        run: Settings with a fallback; the hand is known.
        driving: Of the policy that drives while there are poses.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is for another hand or sees the camera, or the driving policy does not.
    """
    _refuse(load_checkpoint(run.fallback).contract, run)
    if not sees_camera(driving):
        raise ValueError(
            f"fallback={run.fallback} would have no effect: the policy that drives has no camera"
        )


def load_fallback(run: HandRun, link: PolicyLink) -> tuple[Drives, str]:
    """The run's fallback, tested and ready, and a sentence about it.

    Raises:
        ValueError: If it does not pass its tests.
    """
    path, joints = Path(run.fallback), load_hand(run.model).num_joints
    report = link.load(path)
    rule = run.runner.fallback
    said = (
        f"fallback {path.name} ({sha256_of(path)[:12]}) drives without poses from "
        f"{rule.after_s:g} s up to {rule.longest_s:g} s"
    )
    return Drives(link, report.spec, load_reflex(path), partial(_without_pose, joints)), said


def _without_pose(joints: int, groups: dict[str, Array]) -> dict[str, Array]:
    """A student's groups, with the joints alone in the history."""
    return groups | {"history": groups["history"][..., :joints]}


def _check(policy: ChunkPolicy, contract: Contract, *, run: HandRun) -> None:
    _refuse(contract, run)
    check_student(
        policy,
        contract,
        hand=load_hand(run.model),
        symmetric_rotation=True,
        smoothing=run.guard.smoothing,
        held=run.object,
        camera=False,
    )


def _refuse(contract: Contract, run: HandRun) -> None:
    refuse_other_hand(contract, load_hand(run.model).label, f"the fallback {run.fallback}")
    if sees_camera(contract):
        raise ValueError(
            f"the fallback {run.fallback} sees the object's pose, so it would be as blind as the "
            "policy; give a student without a camera (distill.py --preset blind)"
        )
