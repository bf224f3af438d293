"""Collision primitives fitted to the hand's meshes: capsules for segments, a box for the palm.

Primitives make contacts twice as fast as convex hulls on a CPU and keep contact normals smooth
while a finger rolls over a cube edge. They are fitted here, never shipped: the mesh package
carries no licence.
"""

import mujoco
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import ConvexHull

from tasks.orca.shapes import Box, Capsule

COLLISION_GROUP = 1
"""Geom group of the package's collision meshes."""


def body_surface(model: mujoco.MjModel, body_name: str, count: int = 1500) -> np.ndarray:
    """Points (count, 3) [m] spread evenly over the convex hull of a body's collision meshes."""
    body = model.body(body_name).id
    clouds = []
    for geom in np.flatnonzero(model.geom_bodyid == body):
        is_mesh = int(model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_MESH)
        if model.geom_group[geom] != COLLISION_GROUP or not is_mesh:
            continue
        mesh = model.geom_dataid[geom]
        first, number = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        vertices = model.mesh_vert[first : first + number]
        clouds.append(vertices @ rotation.reshape(3, 3).T + model.geom_pos[geom])
    if not clouds:
        raise ValueError(f"body '{body_name}' has no collision mesh to fit a primitive to")
    hull = ConvexHull(np.concatenate(clouds))
    corners = hull.points[hull.simplices]  # (F, 3, 3)
    sides = corners[:, 1:] - corners[:, :1]
    area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    rng = np.random.default_rng(0)
    face = rng.choice(len(area), count, p=area / area.sum())
    weight = rng.dirichlet(np.ones(3), count)  # uniform over a triangle
    return np.einsum("nk,nkd->nd", weight, corners[face])


def distance_to_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance (N,) of points (N, 3) from the segment start-end."""
    axis = end - start
    along = np.clip((points - start) @ axis / max(axis @ axis, 1e-12), 0.0, 1.0)
    return np.linalg.norm(points - start - along[:, None] * axis, axis=1)


def fit_capsule(points: np.ndarray) -> tuple[Capsule, float]:
    """Least-squares capsule of surface points (N, 3); returns it and its rms error [m]."""
    centre = points.mean(0)
    direction = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    direction *= 1.0 if direction @ centre >= 0.0 else -1.0  # from the joint outwards
    reach = (points - centre) @ direction
    across = points - centre - reach[:, None] * direction
    radius = np.linalg.norm(across, axis=1).mean()
    half = max(np.abs(reach).max() - radius, 1e-3)
    guess = np.concatenate([centre - half * direction, centre + half * direction, [radius]])

    def error(x: np.ndarray) -> np.ndarray:
        return distance_to_segment(points, x[:3], x[3:6]) - x[6]

    solution = least_squares(error, guess, x_scale=1e-2, ftol=1e-10, xtol=1e-10)
    x = np.round(solution.x, 4)  # 0.1 mm: the same capsule on every machine
    capsule = Capsule(tuple(x[:3].tolist()), tuple(x[3:6].tolist()), float(x[6]))
    return capsule, float(np.sqrt(np.mean(error(x) ** 2)))


def fit_box(points: np.ndarray, trim: float = 0.05) -> Box:
    """Axis-aligned box of surface points (N, 3) without the outer `trim` share on each side."""
    low, high = np.quantile(points, [trim, 1.0 - trim], axis=0)
    centre, half_size = np.round((low + high) / 2, 4), np.round((high - low) / 2, 4)
    return Box(tuple(centre.tolist()), tuple(half_size.tolist()))
