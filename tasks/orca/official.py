"""A hand from the official MJCF of the `orca_sim` package, edited in memory.

What changes, and why:

* `ref` is removed and ranges are shifted by it. Isaac Lab's importer keeps the drawing pose as zero
  but reads limits as if `ref` were still there, so every limit and every target would be off.
* Limits are cut to what the real hand reaches; gains come from the hand's description.
* The hand hangs palm down: root at the origin, the palm normal is -z, fingers are +y.
* The tower keeps its body and its picture but not its collision meshes: nothing can touch it.
* Collision meshes become fitted primitives, unless the original hulls are asked for.
"""

from pathlib import Path

import mujoco
import numpy as np
import orca_sim

from tasks.orca import collision
from tasks.orca.contacts import MODEL_NAME, add_primitive, collision_options
from tasks.orca.description import Hand
from tasks.orca.joints import ARMATURE, FRICTION_LOSS
from tasks.orca.servos import first_set
from tasks.orca.shapes import Shape

PACKAGE = Path(orca_sim.__file__).parent
OPTIONS_XML = PACKAGE / "assets/mjcf/options.xml"


def hand_xml(hand: Hand) -> Path:
    """The package's file of a hand."""
    return PACKAGE / f"models/mjcf/orcahand_{hand.side}.mjcf"


def original_spec(hand: Hand) -> mujoco.MjSpec:
    """The package's hand, untouched.

    Raises:
        FileNotFoundError: If the installed `orca_sim` does not hold it.
    """
    for needed in (OPTIONS_XML, hand_xml(hand)):
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed.name} is not in the orca_sim package; need version 0.1.0"
            )
    spec = mujoco.MjSpec.from_string(
        f'<mujoco model="{MODEL_NAME}">'
        '<include file="options.xml"/><include file="hand.xml"/></mujoco>',
        include={"options.xml": OPTIONS_XML.read_bytes(), "hand.xml": hand_xml(hand).read_bytes()},
    )
    spec.meshdir = str(PACKAGE / "assets")
    return spec


def edited_spec(hand: Hand, *, visual: bool, collisions: str) -> mujoco.MjSpec:
    """The edited hand; arguments as for `hand_spec`."""
    spec = original_spec(hand)
    fits = {} if collisions == "hulls" else _fit_primitives(spec.compile(), hand)
    _hang_palm_down(spec, hand)
    _set_joints(spec, hand)
    _drop_geoms(spec, hand, visual=visual, hulls=collisions != "primitives")
    for body_name, shape in fits.items():
        add_primitive(spec.body(body_name), shape, **collision_options(body_name))
    return spec


def source_files(hand: Hand) -> list[Path | str]:
    """What the edited hand is made from: files, of which the contents count, and texts."""
    meshes = sorted((PACKAGE / "assets/mjcf" / hand.side).rglob("*.stl"))
    # Meshes by name and size: hashing 50 MB at every start would cost more than it protects.
    listing = "".join(f"{mesh.name}:{mesh.stat().st_size};" for mesh in meshes)
    place = str(PACKAGE)  # the MJCF holds absolute mesh paths
    return [OPTIONS_XML, hand_xml(hand), Path(__file__), Path(collision.__file__), listing, place]


def _fit_primitives(model: mujoco.MjModel, hand: Hand) -> dict[str, Shape]:
    """One capsule for every segment with a collision mesh, one box for the palm."""
    fits: dict[str, Shape] = {}
    for body in range(1, model.nbody):
        name = model.body(body).name
        if name == hand.root_body:
            continue
        surface = collision.body_surface(model, name)
        is_palm = name == hand.palm_body
        fits[name] = collision.fit_box(surface) if is_palm else collision.fit_capsule(surface)[0]
    return fits


def _hang_palm_down(spec: mujoco.MjSpec, hand: Hand) -> None:
    root = spec.body(hand.root_body)
    root.pos = np.zeros(3)
    root.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT  # else the file's euler wins over quat
    root.quat = np.array(hand.palm_down_wxyz)


def _set_joints(spec: mujoco.MjSpec, hand: Hand) -> None:
    """Limits, passive terms and servo gains from the joint table; `ref` removed."""
    for row in hand.joints:
        joint, actuator = spec.joint(row.name), spec.actuator(f"{row.name}_actuator")
        shifted = np.array(joint.range) - joint.ref
        lower, upper = row.limits_rad
        if lower < shifted[0] - 1e-3 or upper > shifted[1] + 1e-3:
            raise ValueError(f"{row.name}: limits {row.limits_rad} exceed the MJCF's {shifted} rad")
        joint.ref = 0.0
        joint.range = np.array(row.limits_rad)
        joint.armature, joint.frictionloss = ARMATURE, FRICTION_LOSS
        joint.damping = first_set(joint.damping, row.damping)
        actuator.ctrlrange = np.array(row.limits_rad)
        actuator.forcerange = np.array([-row.effort_limit, row.effort_limit])
        actuator.set_to_position(kp=row.stiffness)


def _drop_geoms(spec: mujoco.MjSpec, hand: Hand, *, visual: bool, hulls: bool) -> None:
    kept_meshes = set()
    for geom in list(spec.geoms):
        is_hull = geom.group == collision.COLLISION_GROUP
        keep = (hulls and geom.parent.name != hand.root_body) if is_hull else visual
        if keep:
            kept_meshes.add(geom.meshname)
        else:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        if mesh.name not in kept_meshes:
            spec.delete(mesh)
