"""What stands on the duck's table: a duck that can be carried, a bowl that stays."""

import mujoco
import numpy as np

from tasks.table.scene import compiled, table_spec

DUCK, BOWL = "duck", "bowl"
DUCK_MASS_KG, DUCK_FRICTION = 0.06, 1.2
DUCK_REST_M = 0.022
"""Height of the duck's origin, the middle of its body, while it sits on the table."""
BOWL_RADIUS_M, BOWL_HEIGHT_M, BOWL_WALLS = 0.075, 0.045, 16


def scene_model(*, visual: bool = False) -> mujoco.MjModel:
    """The compiled scene; state: carrier (7), hand joints (17), duck (7).

    Args:
        visual: Add the hand's meshes, lights and a sky for pictures.
    """
    return compiled(table_spec("duck_bowl", _add_things, visual=visual), (DUCK,))


def _add_things(spec: mujoco.MjSpec) -> None:
    _add_duck(spec)
    _add_bowl(spec)


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
