"""A hand built from the figures of its description: bodies, hinges, primitives and servos."""

from pathlib import Path

import mujoco
import numpy as np

from tasks.orca import shapes
from tasks.orca.contacts import MODEL_NAME, add_primitive, collision_options
from tasks.orca.description import Body, Hand
from tasks.orca.joints import ARMATURE, FRICTION_LOSS, Joint
from tasks.orca.meshes import add_meshes, mesh_files
from tasks.orca.servos import first_set
from tasks.orca.shapes import hull_of, inertia_of

VISUAL_GROUP = 2
LIMIT_MARGIN_RAD = 0.01
"""A joint's stop is felt this far before its limit, as in the official files."""
BONE_RGBA, SKIN_RGBA = (0.25, 0.25, 0.25, 1.0), (0.92, 0.92, 0.90, 1.0)


def built_spec(hand: Hand, *, visual: bool, collisions: str) -> mujoco.MjSpec:
    """The hand; arguments as for `hand_spec`.

    Without meshes primitives are seen, and hulls are shapes of the meshes' extent
    (`shapes.hull_of`).
    """
    spec = mujoco.MjSpec()
    spec.modelname = MODEL_NAME
    spec.compiler.degree = False
    by_name = {"": spec.worldbody}
    for body in hand.bodies:
        by_name[body.name] = _add_body(by_name[body.parent], body)
        if visual:
            _add_picture(spec, by_name[body.name], body, hand)
        if body.parent and collisions != "primitives":
            _add_hulls(spec, by_name[body.name], body, hand)
        if body.parent and collisions != "hulls":
            options = collision_options(body.name)
            for shape in body.shapes:
                add_primitive(by_name[body.name], shape, **options)
    spec.body(hand.root_body).quat = np.array(hand.palm_down_wxyz)
    for joint in hand.joints:
        add_servo(spec, joint)
    return spec


def source_files(hand: Hand) -> list[Path | str]:
    """What a built hand is made from, besides its description; of meshes size and place count."""
    listing = "".join(f"{path}:{path.stat().st_size};" for path in mesh_files(hand))
    return [Path(__file__), Path(shapes.__file__), f"{listing}{hand.mesh_mirror}"]


def _add_body(parent: mujoco.MjsBody, body: Body) -> mujoco.MjsBody:
    added = parent.add_body(name=body.name, pos=body.pos_m, quat=body.quat_wxyz)
    centre, inertia = inertia_of(body.shapes[0], body.mass_kg)
    added.mass, added.ipos, added.explicitinertial = body.mass_kg, centre, True
    added.fullinertia = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    if body.hinge:
        added.add_joint(
            name=body.hinge.joint,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            pos=body.hinge.anchor_m,
            axis=body.hinge.axis,
            margin=LIMIT_MARGIN_RAD,
            armature=ARMATURE,
            frictionloss=FRICTION_LOSS,
        )
    return added


def _add_picture(spec: mujoco.MjSpec, added: mujoco.MjsBody, body: Body, hand: Hand) -> None:
    """Meshes to look at, or primitives: dark joints, light fingers."""
    seen = {"group": VISUAL_GROUP, "mass": 0.0, "contype": 0, "conaffinity": 0}
    if hand.mesh_folder is not None and body.meshes:
        for mesh in add_meshes(spec, body, hand):
            rgba = SKIN_RGBA if "Skin" in mesh else BONE_RGBA
            added.add_geom(
                type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh, rgba=np.array(rgba), **seen
            )
        return
    dark = not body.parent or body.name in (hand.palm_body, *hand.base_segments)
    for shape in body.shapes:
        add_primitive(added, shape, rgba=np.array(BONE_RGBA if dark else SKIN_RGBA), **seen)


def _add_hulls(spec: mujoco.MjSpec, added: mujoco.MjsBody, body: Body, hand: Hand) -> None:
    kind = {"type": mujoco.mjtGeom.mjGEOM_MESH}
    if hand.mesh_folder is not None and body.meshes:
        for mesh in add_meshes(spec, body, hand):
            names = {"name": f"{body.name}_{mesh}", "meshname": mesh}
            added.add_geom(**collision_options(body.name) | names | kind)
        return
    if body.hull_bounds_m is None:
        raise ValueError(f"{body.name} has no extent of its hull in the description")
    corners = hull_of(body.shapes[0], body.hull_bounds_m)
    spec.add_mesh(name=f"{body.name}_hull", uservert=corners.astype(np.float32).flatten())
    names = {"name": f"{body.name}_hull", "meshname": f"{body.name}_hull"}
    added.add_geom(**collision_options(body.name) | names | kind)


def add_servo(spec: mujoco.MjSpec, row: Joint) -> None:
    """Limits, damping and position servo of a joint that is there."""
    joint = spec.joint(row.name)
    joint.range = np.array(row.limits_rad)
    joint.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    joint.damping = first_set(joint.damping, row.damping)
    actuator = spec.add_actuator(
        name=f"{row.name}_actuator",
        target=row.name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        ctrllimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        ctrlrange=row.limits_rad,
        forcerange=(-row.effort_limit, row.effort_limit),
    )
    actuator.set_to_position(kp=row.stiffness)
