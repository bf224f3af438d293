"""The hand both simulators load, in memory and as a cached MJCF file.

A hand's model is an official MJCF file, edited (`official.py`), built from the figures of its
description (`built.py`), or made from somebody's own file (`own_model.py`).
"""

from pathlib import Path

import mujoco

from tasks.orca import built, contacts, official, own_model
from tasks.orca.cache import cached_folder, content_hash
from tasks.orca.contacts import exclude_inner_contacts
from tasks.orca.description import Hand
from tasks.orca.joints import ARMATURE, FRICTION_LOSS

COLLISIONS = ("primitives", "hulls", "both")


def hand_spec(hand: Hand, *, visual: bool = True, collisions: str = "primitives") -> mujoco.MjSpec:
    """The hand as a new `MjSpec`, root body at the origin and palm down.

    Args:
        hand: Which one.
        visual: Keep the visual meshes; physics alone compiles five times faster without them.
        collisions: "primitives" (capsules and a palm box), "hulls" (of the meshes), or "both", of
            which one is to be switched off. An own hand has those of its file, whatever is asked.
    """
    if collisions not in COLLISIONS:
        raise ValueError(f"collisions must be one of {COLLISIONS}, not '{collisions}'")
    if hand.own:
        spec = own_model.own_spec(hand, visual=visual)
    else:
        build = built.built_spec if hand.bodies else official.edited_spec
        spec = build(hand, visual=visual, collisions=collisions)
    exclude_inner_contacts(spec, hand)
    if hand.own:
        own_model.exclude_overlaps(spec, hand)
    return spec


def hand_mjcf(hand: Hand, collisions: str = "primitives") -> Path:
    """Cached MJCF file of `hand_spec(visual=True)`; official meshes stay in their package."""

    def build(folder: Path) -> None:
        spec = hand_spec(hand, collisions=collisions)
        spec.compile()
        (folder / "hand.xml").write_text(spec.to_xml())

    return cached_folder("orca-mjcf", source_hash(hand, collisions), build) / "hand.xml"


def source_hash(hand: Hand, *parts: str | Path) -> str:
    """Hash over what shapes a hand: its figures or files, our edits, MuJoCo's version.

    Other code beside it does not count: an edit there must not make every user fit and convert the
    hand again.

    Args:
        hand: Which one.
        parts: What else a derived file is made from; of paths, the contents count.
    """
    names = hand.root_body, hand.palm_body, hand.base_segments, hand.fingertip_bodies
    table = repr((ARMATURE, FRICTION_LOSS, hand.joints, names, hand.palm_down_wxyz, hand.bodies))
    files = _source_files(hand)
    code = [Path(__file__), Path(contacts.__file__), table]
    return content_hash([*code, *files, mujoco.__version__, *parts])


def _source_files(hand: Hand) -> list[Path | str]:
    if hand.own:
        return own_model.source_files(hand)
    return built.source_files(hand) if hand.bodies else official.source_files(hand)
