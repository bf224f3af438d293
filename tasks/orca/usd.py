"""The hand as USD for Isaac Lab, converted from the same edited MJCF that the twin loads."""

import math
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from scipy.spatial import ConvexHull

from tasks.orca.cache import cached_folder
from tasks.orca.contacts import MODEL_NAME
from tasks.orca.description import Hand
from tasks.orca.hand import hand_spec, source_hash

USD_NAME = f"{MODEL_NAME}.usdc"


def hand_usd(hand: Hand, collisions: str = "primitives") -> Path:
    """Cached USD file of the hand, root unrotated; the root pose in Isaac Lab turns it palm down.

    Args:
        hand: Which one.
        collisions: As in `hand_spec`.

    Raises:
        ModuleNotFoundError: If `mujoco_usd_converter` (extra "isaac") is not installed.
    """

    def build(folder: Path) -> None:
        spec = hand_spec(hand, collisions=collisions)
        # Isaac Lab sets the root's whole pose, so a rotation here would apply twice.
        spec.body(hand.root_body).quat = np.array([1.0, 0.0, 0.0, 0.0])
        for pair in list(spec.excludes):
            if not hand.own and hand.root_body in (pair.bodyname1, pair.bodyname2):
                spec.delete(pair)  # nothing to exclude: the ORCA's root collides with nothing
        _convert(spec, folder)
        _author_drives(folder / USD_NAME, hand)

    key = source_hash(hand, Path(__file__), "usd", collisions)
    return cached_folder("orca-usd", key, build) / USD_NAME


def _convert(spec: mujoco.MjSpec, folder: Path) -> None:
    """Write `spec` as one USD file into `folder`."""
    from mujoco_usd_converter import Converter

    spec.compile()
    mjcf = folder / "hand.xml"
    mjcf.write_text(_with_mesh_files(spec.to_xml(), folder))
    Converter(layer_structure=False, scene=False).convert(str(mjcf), str(folder))
    if not (folder / USD_NAME).is_file():
        raise RuntimeError(f"mujoco_usd_converter wrote no {USD_NAME} into {folder}")


def _with_mesh_files(xml: str, folder: Path) -> str:
    """The MJCF with meshes that are given by their corners as files: others are not read."""
    root = ElementTree.fromstring(xml)
    for mesh in root.iter("mesh"):
        if corners := mesh.attrib.pop("vertex", None):
            file = folder / f"{mesh.get('name')}.obj"
            file.write_text(_obj(np.array(corners.split(), float).reshape(-1, 3)))
            mesh.set("file", str(file))
    return ElementTree.tostring(root, encoding="unicode")


def _obj(corners: np.ndarray) -> str:
    """The convex hull of points (K, 3) as an OBJ file, faces turned outwards."""
    hull = ConvexHull(corners)
    faces = [
        face if _faces_out(corners[face], plane) else face[::-1]
        for face, plane in zip(hull.simplices, hull.equations, strict=True)
    ]
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in corners]
    lines += ["f " + " ".join(str(i + 1) for i in face) for face in faces]
    return "\n".join(lines) + "\n"


def _faces_out(corners: np.ndarray, plane: np.ndarray) -> bool:
    """Whether a triangle (3, 3) turns the same way as its plane's outward normal."""
    return float(np.cross(corners[1] - corners[0], corners[2] - corners[0]) @ plane[:3]) > 0.0


def _author_drives(path: Path, hand: Hand) -> None:
    """Add the position drives PhysX needs; the converter writes MuJoCo actuators only."""
    from pxr import Usd, UsdPhysics

    stage = Usd.Stage.Open(str(path))
    rows = {row.name: row for row in hand.joints}
    for prim in stage.Traverse():
        row = rows.pop(prim.GetName(), None) if prim.IsA(UsdPhysics.RevoluteJoint) else None
        if row is None:
            continue
        drive = UsdPhysics.DriveAPI.Apply(prim, "angular")
        drive.CreateTypeAttr("force")
        drive.CreateStiffnessAttr(math.radians(row.stiffness))  # USD counts in degrees
        drive.CreateDampingAttr(math.radians(row.damping))
        drive.CreateMaxForceAttr(row.effort_limit)
    if rows:
        raise RuntimeError(f"{path} lacks the joints {sorted(rows)}")
    stage.Save()
