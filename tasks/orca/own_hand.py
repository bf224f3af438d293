"""Reads the YAML file of somebody's own hand; every mistake in it is named with its place.

See docs/how_to/own_hand.md for what each entry means.
"""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from sernf_isaac.yaml_file import read_yaml
from tasks.orca import own_model
from tasks.orca.description import Hand, OwnModel
from tasks.orca.hand import hand_spec
from tasks.orca.joints import Joint
from tasks.orca.names import HANDS, hand_file, hand_key
from tasks.orca.own_entries import Entries
from tasks.orca.own_joints import clipped, joint_table
from tasks.orca.own_reader import Reader

NEEDED = {
    "model": "the MJCF or URDF file: a path, or package:PACKAGE/path in it",
    "root_body": "the body of the file that everything of the hand hangs on",
    "palm": "body, and the directions `normal` and `fingers` in its frame",
    "grasp_point_m": "where the cube is held: from the palm body, hand palm down, x y z",
    "fingertips": "body: {centre_m: [x, y, z], radius_m: r}, the thumb first",
    "joints": "joint: {search_from: angle, ...}",
}
MAY_HAVE = ("name", "side", "prefix", "servo", "welded", "fitted", "base_segments", "grasps")
MAY_HAVE += ("camera_from_grasp_m", "source")
CAMERA_FROM_GRASP_M = (0.02, -0.04, -0.27)


def own_hand(key: str) -> Hand:
    """The hand that a YAML file describes.

    Args:
        key: The file, or its place in this project.

    Raises:
        FileNotFoundError: If it, or the model that it names, is not there.
        ValueError: If an entry is missing, unknown or impossible; names file, entry and remedy.
    """
    path = hand_file(key)
    if not path.is_file():
        raise FileNotFoundError(
            f"no hand at {key}: a setting or a policy names this file; put it back or give another "
            "path"
        )
    entries = Entries(read_yaml(path), str(path)).checked(NEEDED, MAY_HAVE)
    file, prefix = _model_file(entries, path), entries.text("prefix", "")
    model = own_model.read_model(file)
    reader = Reader(entries, model, file, prefix)
    root = reader.body_in_file(entries.text("root_body"), "root_body")
    bodies = own_model.bodies_of(model, root)
    names = [own_model.plain_name(model.body(b).name or f"body{b}", prefix) for b in bodies]
    reader.refuse_doubled(names)
    reader.bodies = names
    joints, rows = joint_table(reader, bodies)
    hand = _hand(entries, path, reader, joints, rows)
    down, palm_m = reader.palm_down(root, hand.palm_body)
    grasp = np.round(palm_m + entries.vector("grasp_point_m"), 6)
    hand = replace(hand, palm_down_wxyz=down, grasp_point_m=tuple(grasp.tolist()))
    own = OwnModel(
        key=hand_key(str(path)),
        file=file,
        prefix=prefix,
        root=root,
        grasps=path.parent / entries.text("grasps", f"{path.stem}_grasps.npz"),
        fitted=reader.listed_bodies("fitted"),
        welded=tuple(entries.texts("welded")),
    )
    hand = replace(hand, own=own)
    try:
        compiled = hand_spec(hand, visual=False).compile()
    except ValueError as error:
        raise ValueError(f"{path}: no hand can be made of {file}: {error}") from error
    reader.refuse_untouchable(compiled, hand)
    return replace(hand, own=replace(own, digest=own_model.digest_of(compiled, hand)))


def _hand(
    entries: Entries, path: Path, reader: Reader, joints: list[Joint], rows: list[Entries]
) -> Hand:
    """The hand before its place in the world is known."""
    name, side = entries.text("name", path.stem), entries.text("side", "right")
    if not re.fullmatch(r"\w+", name) or name in HANDS:
        raise ValueError(
            f"{path}: name {name!r} must be of letters, digits and underscores, and not that of a "
            "hand which is there already"
        )
    if side not in ("right", "left"):
        raise ValueError(f"{path}: side must be right or left, not {side!r}")
    palm = entries.group("palm").checked(("body", "normal", "fingers"), ())
    palm_body = reader.body(palm.text("body"), palm.place("body"))
    typical = [row.angle("typical", row.angle("search_from")) for row in rows]
    return Hand(
        name=name,
        version=name,
        side=side,
        source=entries.text("source", entries.text("model")),
        joints=tuple(joints),
        root_body=own_model.plain_name(entries.text("root_body"), reader.prefix),
        palm_body=palm_body,
        base_segments=(*reader.listed_bodies("base_segments"), *reader.below(palm_body)),
        fingertips=reader.fingertips(),
        palm_down_wxyz=(1.0, 0.0, 0.0, 0.0),
        grasp_point_m=(0.0, 0.0, 0.0),
        camera_from_grasp_m=entries.vector("camera_from_grasp_m", CAMERA_FROM_GRASP_M),
        search_from_rad=tuple(row.angle("search_from") for row in rows),
        typical_rad=tuple(typical),
        rest_rad=tuple(
            clipped(row.angle("rest", 0.0), joint.limits_rad)
            for joint, row in zip(joints, rows, strict=True)
        ),
    )


def _model_file(entries: Entries, path: Path) -> Path:
    """The file that `model` names.

    Raises:
        FileNotFoundError: If there is none.
    """
    said = entries.text("model")
    if said.startswith("package:"):
        package, _, inside = said.removeprefix("package:").partition("/")
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise FileNotFoundError(
                f"{path}: model {said!r}: the package {package} is not installed; "
                f"pip install {package.replace('_', '-')}"
            )
        file = Path(found.submodule_search_locations[0]) / inside
    else:
        file = path.parent / Path(said).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"{path}: model {said!r}: there is no file {file}; give its path from here, an "
            "absolute one, or package:PACKAGE/path"
        )
    return file.resolve()
