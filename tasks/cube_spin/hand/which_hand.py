"""Which hand a session drives: what its configuration says, else what its policy is for."""

from dataclasses import replace
from pathlib import Path

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.store.channel import first_checkpoint
from sernf_isaac.data.store.files import read_json
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.held_object import HeldObject, object_named
from tasks.orca.description import Hand
from tasks.orca.hands import hand_of_config, load_hand, refuse_other_hand, with_hand
from tasks.orca.names import HANDS


def with_model(run: HandRun, folder: Path, policy: Path | None = None) -> HandRun:
    """The run with the name of its hand in `model`.

    Args:
        run: Settings.
        folder: Of the run; its first policy counts if none is given.
        policy: The policy that it is to begin with.

    Raises:
        FileNotFoundError: If policy or `hand_config` do not exist.
        ValueError: If the configuration is of another hand than `model`, or the policy is for
            another one than there is; names both.
    """
    model = _described(run)
    if policy is None:
        begun = (folder / "run.json").is_file()
        if not begun or (first := first_checkpoint(folder)) is None:
            raise ValueError(f"{folder} has no policy yet; give one with --policy")
        policy = first.file.check(folder)
    hand = load_hand(model) if model else hand_of_policy(policy)
    refuse_other_hand(load_checkpoint(policy).contract, hand.label, policy)
    return replace(run, model=hand.key)


def hand_of_policy(policy: Path) -> Hand:
    """The hand that a policy file is for.

    Raises:
        FileNotFoundError: If there is no such policy, or the file of its own hand is gone.
        ValueError: If it says no hand that is known.
    """
    content = load_checkpoint(policy)
    meant = with_hand(content.contract).hand
    if meant in HANDS:
        return load_hand(meant)
    task = content.config.get("task") or content.config.get("notes", {}).get("task") or {}
    return load_hand(str(task.get("hand", meant)))


def object_of_run(run: Path) -> HeldObject:
    """What the hand of a run held; runs that do not say it had the paper's cube.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If it says something else than an object.
    """
    label = read_json(run / "run.json").get("object")
    return HeldObject() if label is None else object_named(str(label))


def _described(run: HandRun) -> str:
    """The hand that settings name, or that the configuration of a real one describes."""
    if not run.hand_config:
        return run.model
    found = hand_of_config(run.hand_config).name
    if run.model and run.model != found:
        raise ValueError(f"{run.hand_config} is of the hand {found}, but model says {run.model}")
    return found
