"""The simulated table: the ORCA hand on a carrier, a duck, a bowl; z is up, the table is z = 0.

The carrier is an idealised arm: a mocap body says where the grip should be, a stiff weld pulls the
hand there. Poses of the hand are those of its *grip*: the point between thumb and fingers that an
object is held at, with the axes of the hand's root (fingers along +y, palm towards -z).
"""

import mujoco
import numpy as np

from tasks.orca.hand import hand_spec
from tasks.orca.hands import load_hand
from tasks.orca.names import FIRST_HAND
from tasks.stage import add_plain_stage

HAND = load_hand(FIRST_HAND)
"""The hand of this task."""
GRIP_OFFSET_M = np.array(HAND.grasp_point_m)
"""Of the grip in the frame of the hand's root: where the cube task holds its cube."""
PHYSICS_DT_S = 0.005
CARRIER, TARGET, DUCK, BOWL = "carrier", "carrier_target", "duck", "bowl"
DUCK_MASS_KG, DUCK_FRICTION = 0.06, 1.2
DUCK_REST_M = 0.022
"""Height of the duck's origin, the middle of its body, while it sits on the table."""
BOWL_RADIUS_M, BOWL_HEIGHT_M, BOWL_WALLS = 0.075, 0.045, 16
VIEWS = ("under_hand", "beside_hand", "front")
"""Cameras: two that ride on the hand and one on the table, as in the paper's set-up (E.1)."""


def scene_spec(*, visual: bool = False) -> mujoco.MjSpec:
    """The scene as an `MjSpec`; state: carrier (7), hand joints (17), duck (7).

    Args:
        visual: Add the hand's meshes, lights and a sky for pictures.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "duck_bowl"
    option = spec.option
    option.timestep = PHYSICS_DT_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0  # without it a held object creeps out of the grasp
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a NaN must be seen, not hidden
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.4, 0.4, 0.02],
        pos=[0, 0, -0.02],
        rgba=[0.62, 0.5, 0.38, 1],
    )
    _add_hand(spec, visual=visual)
    _add_duck(spec)
    _add_bowl(spec)
    spec.worldbody.add_camera(
        name=VIEWS[2], pos=[0.0, 0.72, 0.42], xyaxes=[-1, 0, 0, 0, -0.5, 0.87], fovy=45
    )
    if visual:
        _add_stage(spec)
    return spec


def scene_model(*, visual: bool = False) -> mujoco.MjModel:
    """Compiled `scene_spec`; checks that state vectors are ordered as documented."""
    model = scene_spec(visual=visual).compile()
    names = tuple(model.joint(i).name for i in range(model.njnt))
    expected = (CARRIER, *HAND.joint_names, DUCK)
    if names != expected:
        raise ValueError(f"the compiled model orders its joints {names}, expected {expected}")
    return model


def _add_hand(spec: mujoco.MjSpec, *, visual: bool) -> None:
    target = spec.worldbody.add_body(name=TARGET, mocap=True, pos=[0, 0, 0.2])
    carrier = spec.worldbody.add_body(name=CARRIER, pos=[0, 0, 0.2], gravcomp=1)
    carrier.add_freejoint(name=CARRIER)
    carrier.mass, carrier.inertia, carrier.explicitinertial = 2.0, [0.01] * 3, True
    frame = carrier.add_frame(pos=-GRIP_OFFSET_M)
    spec.attach(hand_spec(HAND, visual=visual), prefix="", frame=frame)
    for body in carrier.find_all("body"):
        body.gravcomp = 1  # the arm carries the hand; the wrist's servo need not
    weld = spec.add_equality(
        name="arm", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY
    )
    weld.name1, weld.name2 = target.name, carrier.name
    weld.solref = [0.02, 1.0]
    weld.data[:] = 0.0
    weld.data[6], weld.data[10] = 1.0, 1.0  # same pose (quaternion w), torque scale
    for name, pos, axes in (
        (VIEWS[0], [0.0, -0.14, -0.012], [1, 0, 0, 0, 0.2, 0.98]),
        (VIEWS[1], [-0.17, 0.0, 0.06], [0, -1, 0, 0.3, 0, 0.95]),
    ):
        carrier.add_camera(name=name, pos=pos, xyaxes=axes, fovy=60)


def _add_duck(spec: mujoco.MjSpec) -> None:
    """A body that sits on a flat base, a head with a beak, a tail."""
    body = spec.worldbody.add_body(name=DUCK, pos=[0, 0, DUCK_REST_M])
    body.add_freejoint(name=DUCK)
    ellipsoid, sphere = mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_SPHERE
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    yellow, orange = [0.96, 0.8, 0.2, 1], [0.93, 0.45, 0.1, 1]
    shapes = (
        ("body", ellipsoid, [0.028, 0.022, 0.022], [0, 0, 0], 0.6, yellow),
        ("base", cylinder, [0.014, 0.003, 0], [0, 0, 0.003 - DUCK_REST_M], 0.2, yellow),
        ("head", sphere, [0.013, 0, 0], [0.019, 0, 0.025], 0.12, yellow),
        ("beak", ellipsoid, [0.008, 0.006, 0.003], [0.034, 0, 0.024], 0.02, orange),
        ("tail", ellipsoid, [0.008, 0.006, 0.007], [-0.027, 0, 0.009], 0.06, yellow),
    )
    for name, kind, size, pos, share, colour in shapes:
        body.add_geom(
            name=f"{DUCK}_{name}",
            type=kind,
            size=size,
            pos=pos,
            mass=share * DUCK_MASS_KG,
            rgba=colour,
            condim=4,
            friction=[DUCK_FRICTION, 0.02, 0.0001],
            priority=1,
        )


def _add_bowl(spec: mujoco.MjSpec) -> None:
    """A ring of boards around a disc; it is put down once per episode and does not move."""
    body = spec.worldbody.add_body(name=BOWL, mocap=True, pos=[0.15, 0, 0])
    blue = [0.25, 0.45, 0.7, 1]
    body.add_geom(
        name="bowl_floor",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[BOWL_RADIUS_M, 0.002, 0],
        pos=[0, 0, 0.002],
        rgba=blue,
    )
    width = BOWL_RADIUS_M * np.tan(np.pi / BOWL_WALLS)
    for index in range(BOWL_WALLS):
        angle = 2 * np.pi * index / BOWL_WALLS
        outwards = np.array([np.cos(angle), np.sin(angle), 0.0])
        body.add_geom(
            name=f"bowl_wall_{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.003, 1.05 * width, BOWL_HEIGHT_M / 2],
            pos=BOWL_RADIUS_M * outwards + [0, 0, BOWL_HEIGHT_M / 2],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)],
            rgba=blue,
        )


def _add_stage(spec: mujoco.MjSpec) -> None:
    """Lights, a background, and an off-screen buffer that is large enough."""
    add_plain_stage(spec)
    spec.worldbody.add_light(
        pos=[0.3, 0.3, 0.8], dir=[-0.3, -0.3, -0.9], diffuse=[0.6] * 3, castshadow=False
    )
