"""A hand from somebody's own MJCF or URDF: its bodies, hinges and shapes, and nothing else of it.

The file is compiled and the hand is built anew from the result, so that it does not matter how the
file is written. Its hand hangs palm down with the root at the origin. Joints get the limits and
servos of the hand's description. What stays behind: all bodies outside the root's, actuators,
tendons, equalities, sensors, sites, cameras, lights, defaults, options.
"""

import re
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np

from tasks.orca import collision
from tasks.orca.built import LIMIT_MARGIN_RAD, VISUAL_GROUP, add_servo
from tasks.orca.cache import content_hash
from tasks.orca.collision import COLLISION_GROUP
from tasks.orca.contacts import MODEL_NAME, add_primitive, collision_options
from tasks.orca.description import Hand
from tasks.orca.joints import ARMATURE, FRICTION_LOSS

OVERLAP_M = 0.0005
"""Shapes that reach this far into each other while the hand is straight never meet."""
_GEOM = mujoco.mjtGeom
_SHAPES = (
    *(_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_ELLIPSOID),
    *(_GEOM.mjGEOM_CYLINDER, _GEOM.mjGEOM_BOX, _GEOM.mjGEOM_MESH),
)


def read_model(file: Path) -> mujoco.MjModel:
    """What is in an MJCF or URDF file.

    Raises:
        ValueError: If MuJoCo cannot read or compile it; says why.
    """
    return _compiled(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _compiled(file: Path, _changed: int) -> mujoco.MjModel:
    try:
        spec = mujoco.MjSpec.from_file(str(file))
        spec.compiler.fusestatic = False  # a URDF's palm and fingertips stay bodies
        spec.compiler.discardvisual = False
        return spec.compile()
    except ValueError as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"MuJoCo cannot read {file}: {said}; a URDF may need "
            '<mujoco><compiler meshdir="..."/></mujoco> below <robot>'
        ) from error


def plain_name(name: str, prefix: str) -> str:
    """A name of the file as it is here: without the prefix, in letters, digits and underscores."""
    return re.sub(r"\W", "_", name.removeprefix(prefix))


def bodies_of(model: mujoco.MjModel, root: str) -> list[int]:
    """The root body and all that hang on it, parents first."""
    found = [model.body(root).id]
    for body in range(found[0] + 1, model.nbody):
        if model.body_parentid[body] in found:
            found.append(body)
    return found


def joints_of(model: mujoco.MjModel, bodies: list[int]) -> list[int]:
    """All joints of bodies but a free one at the root, in the file's order."""
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    on = set(bodies)
    return [j for j in range(model.njnt) if model.jnt_bodyid[j] in on and model.jnt_type[j] != free]


def own_spec(hand: Hand, *, visual: bool) -> mujoco.MjSpec:
    """The hand, palm down, as a new `MjSpec`."""
    assert hand.own is not None, "asked for before"
    model, prefix = read_model(hand.own.file), hand.own.prefix
    spec = mujoco.MjSpec()
    spec.modelname, spec.compiler.degree = MODEL_NAME, False
    added: dict[int, mujoco.MjsBody] = {0: spec.worldbody}
    for number, body in enumerate(bodies := bodies_of(model, hand.own.root)):
        parent = added[model.body_parentid[body]] if number else spec.worldbody
        added[body] = parent.add_body(**_body(model, body, prefix))
        for joint in range(model.body_jntadr[body], _end_of_joints(model, body)):
            if (name := plain_name(model.joint(joint).name, prefix)) in hand.joint_names:
                added[body].add_joint(**_hinge(model, joint, name))
    root = added[bodies[0]]
    root.pos, root.quat = np.zeros(3), np.array(hand.palm_down_wxyz)
    paired = set(model.pair_geom1[: model.npair]) | set(model.pair_geom2[: model.npair])
    for body in bodies:
        _add_geoms(spec, added[body], model, body, paired, visual=visual)
    _keep_excludes(spec, model, bodies, prefix)
    if hand.own.fitted:
        _fit(spec, hand)
    for joint in hand.joints:
        add_servo(spec, joint)
    return spec


def exclude_overlaps(spec: mujoco.MjSpec, hand: Hand) -> None:
    """Bodies that reach into each other while the hand is drawn or rests never meet."""
    model = spec.compile()
    data = mujoco.MjData(model)
    for pose in (np.zeros(hand.num_joints), np.array(hand.rest_rad)):
        data.qpos[: hand.num_joints] = np.clip(pose, hand.lower_rad, hand.upper_rad)
        mujoco.mj_forward(model, data)
        pairs = {
            tuple(sorted(model.geom_bodyid[list(contact.geom)].tolist()))
            for contact in data.contact
            if contact.dist < -OVERLAP_M
        }
        existing = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in spec.excludes}
        for first, second in sorted(pairs):
            names = model.body(first).name, model.body(second).name
            if frozenset(names) not in existing:
                spec.add_exclude(bodyname1=names[0], bodyname2=names[1])


def digest_of(model: mujoco.MjModel, hand: Hand) -> str:
    """Hash over what a policy relies on: shapes, masses, joints, servos, fingertips, cube's place.

    Comments, pictures and where the files are do not count, nor do changes below 10 um.
    """
    arrays = ("body_parentid", "body_pos", "body_quat", "body_mass", "body_inertia", "body_ipos")
    arrays += ("jnt_bodyid", "jnt_axis", "jnt_pos", "jnt_range", "dof_damping", "geom_bodyid")
    arrays += ("geom_type", "geom_size", "geom_pos", "actuator_gainprm", "actuator_forcerange")
    parts = [f"{name}{_rounded(getattr(model, name))}" for name in arrays]
    tips = [(tip.body, tip.centre_m, tip.radius_m) for tip in hand.fingertips]
    return content_hash([*parts, _rounded(model.mesh_vert), repr((hand.joint_names, tips))])


def source_files(hand: Hand) -> list[Path | str]:
    """What an own hand's derived files are made from."""
    assert hand.own is not None, "asked for before"
    return [hand.own.digest, hand.own.file, str(hand.own.file), Path(__file__)]


def _rounded(values: np.ndarray) -> str:
    return repr((np.round(values.astype(np.float64), 5) + 0.0).ravel().tolist())


def _end_of_joints(model: mujoco.MjModel, body: int) -> int:
    return int(model.body_jntadr[body] + model.body_jntnum[body])


def _body(model: mujoco.MjModel, body: int, prefix: str) -> dict[str, object]:
    """A body without what hangs on it."""
    options: dict[str, object] = {
        "name": plain_name(model.body(body).name or f"body{body}", prefix),
        "pos": model.body_pos[body],
        "quat": model.body_quat[body],
    }
    if model.body_mass[body] > 0.0:
        options |= {"mass": model.body_mass[body], "inertia": model.body_inertia[body]}
        options |= {"ipos": model.body_ipos[body], "iquat": model.body_iquat[body]}
        options |= {"explicitinertial": True}
    return options


def _hinge(model: mujoco.MjModel, joint: int, name: str) -> dict[str, object]:
    """A hinge that is at zero where the file draws it."""
    return {
        "name": name,
        "type": mujoco.mjtJoint.mjJNT_HINGE,
        "pos": model.jnt_pos[joint],
        "axis": model.jnt_axis[joint],
        "margin": LIMIT_MARGIN_RAD,
        "armature": ARMATURE,
        "frictionloss": FRICTION_LOSS,
    }


def _add_geoms(
    spec: mujoco.MjSpec,
    added: mujoco.MjsBody,
    model: mujoco.MjModel,
    body: int,
    paired: set[int],
    *,
    visual: bool,
) -> None:
    """The body's shapes: those that touch in the file touch, the others are seen."""
    first = model.body_geomadr[body]
    geoms = range(first, first + model.body_geomnum[body])
    touching = [
        g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g] or g in paired
    ]
    for number, geom in enumerate(touching):
        options = collision_options(added.name)
        if number:
            options["name"] = f"{added.name}_collision{number + 1}"
        _add_geom(spec, added, model, geom, options)
    if not visual:
        return
    for geom in [g for g in geoms if g not in touching] or touching:
        material = model.geom_matid[geom]
        rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
        unseen = {"mass": 0.0, "contype": 0, "conaffinity": 0, "group": VISUAL_GROUP}
        _add_geom(spec, added, model, geom, unseen | {"rgba": rgba})


def _add_geom(
    spec: mujoco.MjSpec,
    added: mujoco.MjsBody,
    model: mujoco.MjModel,
    geom: int,
    options: dict[str, object],
) -> None:
    kind = _GEOM(int(model.geom_type[geom]))
    if kind not in _SHAPES:
        name = kind.name.removeprefix("mjGEOM_").lower()
        raise ValueError(f"{added.name} has a {name} among its shapes, which no hand can have here")
    if kind == _GEOM.mjGEOM_MESH:
        options = options | {"meshname": _mesh(spec, model, model.geom_dataid[geom])}
    else:
        options = options | {"size": model.geom_size[geom]}
    added.add_geom(type=kind, pos=model.geom_pos[geom], quat=model.geom_quat[geom], **options)


def _mesh(spec: mujoco.MjSpec, model: mujoco.MjModel, number: int) -> str:
    """The name of a mesh of the file, which is added if it is not there yet."""
    name = plain_name(model.mesh(number).name or f"mesh{number}", "")
    if spec.mesh(name) is None:
        corner, face = model.mesh_vertadr[number], model.mesh_faceadr[number]
        corners = model.mesh_vert[corner : corner + model.mesh_vertnum[number]]
        faces = model.mesh_face[face : face + model.mesh_facenum[number]]
        mesh = spec.add_mesh(name=name, uservert=corners.flatten(), userface=faces.flatten())
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # unused, but must not fail
    return name


def _keep_excludes(
    spec: mujoco.MjSpec, model: mujoco.MjModel, bodies: list[int], prefix: str
) -> None:
    """Pairs of bodies that never meet in the file."""
    for signature in model.exclude_signature:
        pair = int(signature) >> 16, int(signature) & 0xFFFF
        if set(pair) <= set(bodies):
            names = (plain_name(model.body(body).name, prefix) for body in pair)
            spec.add_exclude(**dict(zip(("bodyname1", "bodyname2"), names, strict=True)))


def _fit(spec: mujoco.MjSpec, hand: Hand) -> None:
    """One capsule instead of a body's collision meshes; a box for the palm."""
    assert hand.own is not None, "asked for before"
    model = spec.compile()
    for name in hand.own.fitted:
        surface = collision.body_surface(model, name)
        is_palm = name == hand.palm_body
        shape = collision.fit_box(surface) if is_palm else collision.fit_capsule(surface)[0]
        for geom in list(spec.body(name).geoms):
            if geom.group == COLLISION_GROUP:
                spec.delete(geom)
        add_primitive(spec.body(name), shape, **collision_options(name))
