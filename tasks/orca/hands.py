"""The hands by name: read from their files in `descriptions/`, the left ones by a mirror."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf
from pathlib import Path

from sernf_isaac.data.run_info import ACTION, info_of_run
from sernf_isaac.data.store.files import read_json
from sernf_isaac.deploy.hand.orca_model import detect_hand
from sernf_isaac.deploy.protocols import HandDescription
from sernf_isaac.flags import HAND_DESCRIPTION
from sernf_isaac.spec import Contract
from sernf_isaac.yaml_file import read_yaml
from tasks.orca.description import Body, Fingertip, Hand, Hinge
from tasks.orca.joints import Joint
from tasks.orca.meshes import with_meshes
from tasks.orca.mirror import mirrored
from tasks.orca.names import FIRST_HAND, HANDS, MIRRORS, hand_file, hand_key
from tasks.orca.own_hand import own_hand
from tasks.orca.shapes import Box, Capsule, Shape

FOLDER = Path(__file__).parent / "descriptions"


def load_hand(name: str = FIRST_HAND) -> Hand:
    """A hand's description, with official meshes where the environment names their folder.

    Args:
        name: One of `HANDS`, or the path of an own hand's YAML file.

    Raises:
        ValueError: If there is no such hand, or its file is wrong; says what and where.
        FileNotFoundError: If there is no such file, or a folder lacks a mesh.
    """
    if name not in HANDS and (key := hand_key(name)):
        path = hand_file(key)
        return _own(key, path.stat().st_mtime_ns if path.is_file() else 0)
    return _loaded(name, os.environ.get(HAND_DESCRIPTION, ""))


@lru_cache
def _loaded(name: str, description: str) -> Hand:
    if name in MIRRORS:
        return mirrored(_loaded(MIRRORS[name], description), name)
    hand = read_hand(FOLDER / f"{name}.yaml")
    return with_meshes(hand, Path(description)) if description and hand.bodies else hand


@lru_cache
def _own(key: str, _changed: int) -> Hand:
    return own_hand(key)


def hand_of_config(path: Path | str) -> Hand:
    """The hand that orca_core's `config.yaml` is of.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of no hand that is described here; names what was found.
    """
    model = detect_hand(path)
    for hand in map(load_hand, HANDS):
        if (hand.version, hand.side) == (model.version, model.side):
            return hand
    raise ValueError(
        f"{path} is of the {model} hand, which has no description; there are {', '.join(HANDS)}"
    )


def driven_hand(path: Path) -> HandDescription:
    """`hand_of_config` as the robot side knows it."""
    return hand_of_config(path).driver


def hand_with_joints(names: Sequence[str]) -> Hand:
    """The hand whose joints have these names, in this order.

    Raises:
        ValueError: If none has.
    """
    for hand in map(load_hand, HANDS):
        if hand.joint_names == tuple(names):
            return hand
    raise ValueError(f"no hand has the joints {', '.join(names)}")


def hand_of_run(run: Path) -> Hand:
    """The hand that recorded a run's episodes.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If its joints are no hand's, as those of an arm.
    """
    if own := read_json(run / "run.json").get("hand_file"):
        return load_hand(str(own))
    return hand_with_joints(info_of_run(run).columns.get(ACTION, ()))


def with_hand(contract: Contract) -> Contract:
    """A policy's contract with the name of its hand, which old files lack."""
    return replace(contract, hand=contract.hand or FIRST_HAND)


def refuse_other_hand(contract: Contract, hand: str, policy: object) -> None:
    """Nothing if a policy is for a hand.

    Args:
        contract: What the policy promises.
        hand: The name of the hand that is there.
        policy: What to call the policy in the message, as its file.

    Raises:
        ValueError: If it is for another hand; names both.
    """
    if (meant := with_hand(contract).hand) != hand:
        raise ValueError(f"{policy} is for the hand {meant}, not for {hand}; give a policy for it")


def read_hand(path: Path) -> Hand:
    """A hand's description from a file; names in it are without the side.

    Raises:
        ValueError: If an entry is missing, unknown or of the wrong form; names file and entry.
    """
    content = read_yaml(path)
    try:
        return _hand(path.stem, dict(content))  # type: ignore[call-overload]  # caught if it is none
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no hand's description: {error!r}") from error


def _hand(name: str, content: dict) -> Hand:
    side = content["side"]
    joints, bodies = content.pop("joints"), content.pop("bodies", {})
    vectors = "palm_down_wxyz", "grasp_point_m", "camera_from_grasp_m"
    given: dict[str, object] = {key: _tuple(content.pop(key)) for key in vectors}
    for key in ("root_body", "palm_body"):
        given[key] = f"{side}_{content.pop(key)}"
    segments = tuple(f"{side}_{body}" for body in content.pop("base_segments"))
    tips = content.pop("fingertips").items()
    return Hand(
        name=name,
        joints=tuple(_joint(side, key, row) for key, row in joints.items()),
        search_from_rad=tuple(float(row["search_from"]) for row in joints.values()),
        typical_rad=tuple(float(row["typical"]) for row in joints.values()),
        rest_rad=tuple(float(row.get("rest", 0.0)) for row in joints.values()),
        bodies=tuple(_body(side, key, row) for key, row in bodies.items()),
        base_segments=segments,
        fingertips=tuple(
            Fingertip(f"{side}_{body}", _tuple(tip["centre_m"]), tip["radius_m"])
            for body, tip in tips
        ),
        **given,  # type: ignore[arg-type]  # the file's entries by name
        **content,
    )


def _joint(side: str, driver_name: str, row: dict) -> Joint:
    row = {key: row[key] for key in row if key not in ("search_from", "typical", "rest")}
    stops = row.pop("lower_stop_rad", -inf), row.pop("upper_stop_rad", inf)
    rom = tuple(row.pop("rom_deg"))
    return Joint(f"{side}_{driver_name}", driver_name, rom, stops_rad=stops, **row)


def _body(side: str, name: str, row: dict) -> Body:
    hinge, bounds = row.pop("hinge", None), row.pop("hull_bounds_m", None)
    parent = row.pop("parent", "")
    return Body(
        name=f"{side}_{name}",
        parent=f"{side}_{parent}" if parent else "",
        pos_m=_tuple(row.pop("pos_m")),
        quat_wxyz=_tuple(row.pop("quat_wxyz")),
        shapes=tuple(_shape(shape) for shape in row.pop("shapes")),
        hinge=hinge
        and Hinge(f"{side}_{hinge['joint']}", _tuple(hinge["anchor_m"]), _tuple(hinge["axis"])),
        hull_bounds_m=bounds and (_tuple(bounds[0]), _tuple(bounds[1])),
        meshes=tuple(row.pop("meshes", ())),
        **row,
    )


def _shape(row: dict) -> Shape:
    ((kind, entries),) = row.items()
    if kind == "box":
        return Box(_tuple(entries["centre_m"]), _tuple(entries["half_size_m"]))
    if kind == "capsule":
        ends = _tuple(entries["start_m"]), _tuple(entries["end_m"])
        return Capsule(*ends, entries["radius_m"])
    raise ValueError(f"no shape '{kind}'; there are capsule and box")


def _tuple(values: list) -> tuple:
    return tuple(float(value) for value in values)
