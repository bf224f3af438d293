"""Collision primitives of a hand's bodies, in their body's frame [m]."""

from dataclasses import dataclass

import numpy as np

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Capsule:
    """A segment thickened by a radius."""

    start: Vector
    end: Vector
    radius: float


@dataclass(frozen=True)
class Box:
    """An axis-aligned box."""

    centre: Vector
    half_size: Vector


Shape = Capsule | Box


def inertia_of(shape: Shape, mass_kg: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass (3,) [m] and inertia about it (3, 3) [kg m^2] of an evenly filled shape."""
    if isinstance(shape, Box):
        square = np.square(shape.half_size)
        return np.array(shape.centre), np.diag(mass_kg / 3.0 * (square.sum() - square))
    start, end, radius = np.array(shape.start), np.array(shape.end), shape.radius
    length = float(np.linalg.norm(end - start))
    tube = length / (length + 4.0 / 3.0 * radius)  # its share of the volume; the caps are the rest
    along = (tube / 2.0 + (1.0 - tube) * 2.0 / 5.0) * radius**2
    across = tube * (radius**2 / 4.0 + length**2 / 12.0)
    across += (1.0 - tube) * (2.0 / 5.0 * radius**2 + length**2 / 4.0 + 3.0 / 8.0 * length * radius)
    axis = (end - start) / length
    inertia = across * np.eye(3) + (along - across) * np.outer(axis, axis)
    return (start + end) / 2.0, mass_kg * inertia


def hull_of(shape: Shape, bounds: tuple[Vector, Vector], around: int = 12) -> np.ndarray:
    """Corners (K, 3) of a convex body like `shape`, stretched to reach from bound to bound.

    Stands in for the convex hull of meshes of which only the extent is known.

    Args:
        shape: What it resembles.
        bounds: Least and largest corner (3,) of the hull.
        around: Corners on a ring around a capsule.
    """
    if isinstance(shape, Box):
        corners = np.stack(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    else:
        corners = _capsule_corners(shape, around)
    low, high = corners.min(axis=0), corners.max(axis=0)
    least, largest = np.array(bounds)
    return least + (corners - low) / (high - low) * (largest - least)


def _capsule_corners(shape: Capsule, around: int) -> np.ndarray:
    start, end = np.array(shape.start), np.array(shape.end)
    axis = (end - start) / np.linalg.norm(end - start)
    side = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    side /= np.linalg.norm(side)
    turn = 2.0 * np.pi * np.arange(around) / around
    ring = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * np.cross(axis, side)
    points = []
    for centre, outwards in ((start, -axis), (end, axis)):
        for tilt in np.radians((0.0, 30.0, 60.0)):
            points.append(centre + shape.radius * (np.cos(tilt) * ring + np.sin(tilt) * outwards))
        points.append((centre + shape.radius * outwards)[None])
    return np.concatenate(points)
