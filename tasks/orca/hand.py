"""The hand both simulators load: the official MJCF of the `orca_sim` package, edited in memory.

What changes, and why:

* `ref` is removed and ranges are shifted by it. Isaac Lab's importer keeps the drawing pose as zero
  but reads limits as if `ref` were still there, so every limit and every target would be off.
* Limits are cut to what the real hand reaches (`joints.py`); gains come from the same table.
* The hand hangs palm down: root at the origin, the palm normal is -z, fingers are +y.
* The tower keeps its body and its picture but not its collision meshes: nothing can touch it.
* Collision meshes become fitted primitives, unless the original hulls are asked for.
"""

from pathlib import Path

import mujoco
import numpy as np
import orca_sim

from tasks.orca import collision
from tasks.orca.cache import cached_folder, content_hash
from tasks.orca.joints import (
    ARMATURE,
    FINGERTIP_BODIES,
    FRICTION_LOSS,
    JOINTS,
    PALM_BODY,
    ROOT_BODY,
    SIDE,
)

PACKAGE = Path(orca_sim.__file__).parent
OPTIONS_XML = PACKAGE / "assets/mjcf/options.xml"
HAND_XML = PACKAGE / f"models/mjcf/orcahand_{SIDE}.mjcf"
PALM_DOWN_WXYZ = (np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0)
"""Rotation of the root: -90 degrees about x turns the palm normal from +y to -z."""
VISUAL_GROUP = 2
# Segments buried in the palm touch each other at rest; they only need to feel the cube.
BASE_SEGMENTS = tuple(
    f"{SIDE}_{name}"
    for name in ("thumb_mp", "thumb_pp", "index_mp", "middle_mp", "ring_mp", "pinky_mp")
)
COLLISIONS = ("primitives", "hulls", "both")


def original_spec() -> mujoco.MjSpec:
    """The package's right hand, untouched.

    Raises:
        FileNotFoundError: If the installed `orca_sim` does not hold the v1 right hand.
    """
    for needed in (OPTIONS_XML, HAND_XML):
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed.name} is not in the orca_sim package; need version 0.1.0"
            )
    spec = mujoco.MjSpec.from_string(
        '<mujoco model="orca"><include file="options.xml"/><include file="hand.xml"/></mujoco>',
        include={"options.xml": OPTIONS_XML.read_bytes(), "hand.xml": HAND_XML.read_bytes()},
    )
    spec.meshdir = str(PACKAGE / "assets")
    return spec


def hand_spec(*, visual: bool = True, collisions: str = "primitives") -> mujoco.MjSpec:
    """The edited hand as a new `MjSpec`, root body at the origin and palm down.

    Args:
        visual: Keep the visual meshes; physics alone compiles five times faster without them.
        collisions: "primitives" (fitted capsules and a palm box), "hulls" (the package's meshes),
            or "both", of which one is to be switched off.
    """
    if collisions not in COLLISIONS:
        raise ValueError(f"collisions must be one of {COLLISIONS}, not '{collisions}'")
    spec = original_spec()
    fits = {} if collisions == "hulls" else _fit_primitives(spec.compile())
    _hang_palm_down(spec)
    _set_joints(spec)
    _drop_geoms(spec, visual=visual, hulls=collisions != "primitives")
    for body_name, shape in fits.items():
        _add_primitive(spec.body(body_name), shape)
    _exclude_inner_contacts(spec)
    return spec


def hand_mjcf(collisions: str = "primitives") -> Path:
    """Cached MJCF file of `hand_spec(visual=True)`; meshes stay in the package."""

    def build(folder: Path) -> None:
        spec = hand_spec(collisions=collisions)
        spec.compile()
        (folder / "hand.xml").write_text(spec.to_xml())

    return cached_folder("orca-mjcf", source_hash(collisions), build) / "hand.xml"


def source_hash(*parts: str | Path) -> str:
    """Hash over what shapes the hand: the package, the joint table, our edits, MuJoCo's version.

    Other code beside it does not count: an edit there must not make every user fit and convert the
    hand again.

    Args:
        parts: What else a derived file is made from; of paths, the contents count.
    """
    table = repr((ARMATURE, FINGERTIP_BODIES, FRICTION_LOSS, JOINTS, PALM_BODY, ROOT_BODY, SIDE))
    code = [Path(__file__), Path(collision.__file__), table]
    meshes = sorted((PACKAGE / "assets/mjcf" / SIDE).rglob("*.stl"))
    # Meshes by name and size: hashing 50 MB at every start would cost more than it protects.
    listing = "".join(f"{mesh.name}:{mesh.stat().st_size};" for mesh in meshes)
    place = str(PACKAGE)  # the MJCF holds absolute mesh paths
    return content_hash([OPTIONS_XML, HAND_XML, *code, listing, place, mujoco.__version__, *parts])


def _fit_primitives(model: mujoco.MjModel) -> dict[str, collision.Capsule | collision.Box]:
    """One capsule for every segment with a collision mesh, one box for the palm."""
    fits: dict[str, collision.Capsule | collision.Box] = {}
    for body in range(1, model.nbody):
        name = model.body(body).name
        if name == ROOT_BODY:
            continue
        surface = collision.body_surface(model, name)
        fits[name] = (
            collision.fit_box(surface) if name == PALM_BODY else collision.fit_capsule(surface)[0]
        )
    return fits


def _hang_palm_down(spec: mujoco.MjSpec) -> None:
    root = spec.body(ROOT_BODY)
    root.pos = np.zeros(3)
    root.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT  # else the file's euler wins over quat
    root.quat = np.array(PALM_DOWN_WXYZ)


def _set_joints(spec: mujoco.MjSpec) -> None:
    """Limits, passive terms and servo gains from the joint table; `ref` removed."""
    for row in JOINTS:
        joint, actuator = spec.joint(row.name), spec.actuator(f"{row.name}_actuator")
        shifted = np.array(joint.range) - joint.ref
        lower, upper = row.limits_rad
        if lower < shifted[0] - 1e-3 or upper > shifted[1] + 1e-3:
            raise ValueError(f"{row.name}: limits {row.limits_rad} exceed the MJCF's {shifted} rad")
        joint.ref = 0.0
        joint.range = np.array(row.limits_rad)
        joint.armature, joint.frictionloss = ARMATURE, FRICTION_LOSS
        joint.damping = _first_set(joint.damping, row.damping)
        actuator.ctrlrange = np.array(row.limits_rad)
        actuator.forcerange = np.array([-row.effort_limit, row.effort_limit])
        actuator.set_to_position(kp=row.stiffness)


def _first_set(like: float | np.ndarray, value: float) -> float | np.ndarray:
    """`value` in the shape MjSpec stores damping (a scalar, or polynomial coefficients)."""
    if np.ndim(like) == 0:
        return value
    coefficients = np.zeros_like(like)
    coefficients[0] = value
    return coefficients


def _drop_geoms(spec: mujoco.MjSpec, *, visual: bool, hulls: bool) -> None:
    kept_meshes = set()
    for geom in list(spec.geoms):
        is_hull = geom.group == collision.COLLISION_GROUP
        keep = (hulls and geom.parent.name != ROOT_BODY) if is_hull else visual
        if keep:
            kept_meshes.add(geom.meshname)
        else:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        if mesh.name not in kept_meshes:
            spec.delete(mesh)


def _add_primitive(body: mujoco.MjsBody, shape: collision.Capsule | collision.Box) -> None:
    common = {"name": f"{body.name}_collision", "group": collision.COLLISION_GROUP, "mass": 0.0}
    common |= {"rgba": [0.8, 0.5, 0.2, 0.4], "contype": 1, "conaffinity": 1, "condim": 3}
    if isinstance(shape, collision.Box):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=shape.centre, size=shape.half_size, **common
        )
        return
    fromto = [*shape.start, *shape.end]
    size = [shape.radius, 0.0, 0.0]
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=fromto, size=size, **common)


def _exclude_inner_contacts(spec: mujoco.MjSpec) -> None:
    """Base segments meet no other segment; the palm meets only fingertips (and the cube)."""
    existing = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in spec.excludes}
    segments = [body.name for body in spec.bodies if body.name not in ("world", ROOT_BODY)]
    tips = set(FINGERTIP_BODIES)
    for i, first in enumerate(segments):
        for second in segments[i + 1 :]:
            inner = first in BASE_SEGMENTS or second in BASE_SEGMENTS
            palm = PALM_BODY in (first, second) and not {first, second} & tips
            if (inner or palm) and frozenset((first, second)) not in existing:
                spec.add_exclude(bodyname1=first, bodyname2=second)
