"""The twin's MuJoCo model: hand, cube and platform; the hand's root is the origin."""

import mujoco
import numpy as np

from tasks.cube_spin.config import (
    PHYSICS_DT_S,
    PLATFORM_HALF_SIZE_M,
    platform_height_m,
)
from tasks.cube_spin.held_object import HeldObject
from tasks.orca.collision import COLLISION_GROUP
from tasks.orca.description import Hand
from tasks.orca.hand import hand_spec
from tasks.stage import add_plain_stage

PLATFORM_BIT = 4  # contact bit shared by platform and cube only: fingers pass through the platform
PALM_CAMERA, SIDE_CAMERA = "below", "side"
FACE_COLOURS = (
    (214, 60, 60),
    (240, 150, 40),
    (70, 160, 80),
    (60, 110, 200),
    (235, 225, 80),
    (240, 240, 240),
)
"""Of the object's sides +x, -x, +y, -y, +z, -z."""
GEOMS = {
    "cube": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}


def twin_spec(
    hand: Hand,
    held: HeldObject | None = None,
    *,
    visual: bool = False,
    collisions: str = "primitives",
    off_centre: bool = False,
) -> mujoco.MjSpec:
    """The scene as an `MjSpec`; joints come first in the state, then the cube's free joint.

    Args:
        hand: Which hand.
        held: What it holds, named "cube" whatever it is; the paper's cube by default.
        visual: Add the hand's meshes, lights, cameras and a background for pictures.
        collisions: As in `hand_spec`.
        off_centre: Make room for a cube whose centre of mass moves: a centred one is stored in a
            shorter form.
    """
    held = held or HeldObject()
    spec = hand_spec(hand, visual=visual, collisions=collisions)
    spec.modelname = "cube_spin"
    option = spec.option
    option.timestep = PHYSICS_DT_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.impratio = 10.0  # without it a held cube creeps out of the grasp
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a NaN must be seen, not hidden
    _add_object(spec, hand, held, visual=visual, off_centre=off_centre)
    _add_platform(spec, hand, held)
    if visual:
        _add_stage(spec, hand)
    return spec


def twin_model(hand: Hand, held: HeldObject | None = None, **options: bool | str) -> mujoco.MjModel:
    """Compiled `twin_spec`; checks that joints are where the state vectors expect them."""
    model = twin_spec(hand, held, **options).compile()  # type: ignore[arg-type]  # keywords pass through
    wanted = hand.joint_names
    names = tuple(model.joint(i).name for i in range(len(wanted)))
    if names != wanted:
        raise ValueError(f"the compiled model orders its joints {names}, expected {wanted}")
    return model


def set_cone(model: mujoco.MjModel, *, elliptic: bool) -> None:
    """Pyramidal friction, or friction as a second solver has it.

    Elliptic cones hardly creep, and resist turning on the spot.
    """
    cone = mujoco.mjtCone.mjCONE_ELLIPTIC if elliptic else mujoco.mjtCone.mjCONE_PYRAMIDAL
    model.opt.cone = cone
    model.geom_condim[model.geom("cube").id] = 4 if elliptic else 3


def use_collisions(model: mujoco.MjModel, *, hulls: bool) -> None:
    """Leave hulls or primitives to a hand that has both; the others pass through everything."""
    for geom in np.flatnonzero(model.geom_group == COLLISION_GROUP):
        used = (model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH) == hulls
        model.geom_contype[geom] = model.geom_conaffinity[geom] = int(used)


def _add_object(
    spec: mujoco.MjSpec, hand: Hand, held: HeldObject, *, visual: bool, off_centre: bool
) -> None:
    body = spec.worldbody.add_body(name="cube", pos=hand.grasp_point_m)
    body.add_freejoint(name="cube")
    if off_centre:
        body.mass, body.ipos = held.mass_kg, [1e-6, 0.0, 0.0]
        body.inertia = held.inertia(held.mass_kg, held.size_m)
        body.explicitinertial = True
    geom = body.add_geom(
        name="cube",
        type=GEOMS[held.shape],
        size=held.half_sizes_m(),
        mass=held.mass_kg,
        condim=3,
        contype=1 | PLATFORM_BIT,
        conaffinity=1,
        priority=1,  # its friction is the mean of hand and cube, set per environment
    )
    if visual:
        geom.material = _cube_material(spec)


def _cube_material(spec: mujoco.MjSpec) -> str:
    """Six plain colours, one per face, so that a turn can be seen."""
    size = 64
    faces = np.zeros((6, size, size, 3), dtype=np.uint8)
    faces[:] = np.array(FACE_COLOURS, dtype=np.uint8)[:, None, None]
    border = 5
    for edge in (slice(None, border), slice(-border, None)):
        faces[:, edge] = 25
        faces[:, :, edge] = 25
    texture = spec.add_texture(
        name="cube", type=mujoco.mjtTexture.mjTEXTURE_CUBE, width=size, height=size * 6, nchannel=3
    )
    texture.data = faces.tobytes()
    material = spec.add_material(name="cube", specular=0.2, shininess=0.3)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "cube"
    return "cube"


def _add_platform(spec: mujoco.MjSpec, hand: Hand, held: HeldObject) -> None:
    body = spec.worldbody.add_body(name="platform", mocap=True)
    body.pos = [*hand.grasp_point_m[:2], platform_height_m(hand, held)]
    body.add_geom(
        name="platform",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=PLATFORM_HALF_SIZE_M,
        contype=0,
        conaffinity=PLATFORM_BIT,
        rgba=[0.35, 0.4, 0.45, 1.0],
    )


def _add_stage(spec: mujoco.MjSpec, hand: Hand) -> None:
    """Lights, cameras and a plain background."""
    add_plain_stage(spec)
    spec.worldbody.add_light(
        pos=[0.3, -0.1, 0.6], dir=[-0.4, 0.4, -0.9], diffuse=[0.6] * 3, castshadow=False
    )
    spec.worldbody.add_light(
        pos=[-0.2, 0.5, -0.5], dir=[0.35, -0.45, 0.7], diffuse=[0.35] * 3, castshadow=False
    )
    target = np.array(hand.grasp_point_m)
    little_finger = 1.0 if hand.side == "right" else -1.0
    eyes = {
        PALM_CAMERA: hand.camera_from_grasp_m,
        SIDE_CAMERA: (0.24 * little_finger, 0.16, -0.02),
    }
    for name, offset in eyes.items():
        spec.worldbody.add_camera(
            name=name, pos=target + offset, xyaxes=_look_axes(-np.array(offset)), fovy=38.0
        )


def _look_axes(forward: np.ndarray) -> np.ndarray:
    """x and y axes (6,) of a MuJoCo camera that looks along `forward`, world z upwards."""
    z_axis = -forward / np.linalg.norm(forward)
    x_axis = np.cross([0.0, 0.0, 1.0], z_axis)
    x_axis /= np.linalg.norm(x_axis)
    return np.concatenate([x_axis, np.cross(z_axis, x_axis)])
