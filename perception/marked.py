"""A marked object: where its six pictures and eight keypoints are on a cube, cylinder or sphere.

All shapes have the cube's faces and corners. A cylinder's band is the four upright faces bent round
its axis, its ends are the two others; a sphere is the cube blown up. Keypoints are the corners of
the pictures: on a cylinder's two rims, on a sphere at the corners of the cube inside it. So eight
keypoints in one order, and six pictures, serve every shape.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from perception.cube import (
    CUBE_SIZE_M,
    FACES,
    Face,
    corner_faces,
    cube_contract,
    cube_corners,
)

Array = np.ndarray
SHAPES = ("cube", "cylinder", "sphere")
SIZES_M = (0.01, 0.15)


@dataclass(frozen=True)
class MarkedObject:
    """What is printed on, in its own frame: origin at the centre, a cylinder's axis along z."""

    shape: str = "cube"
    size_m: float = CUBE_SIZE_M
    """Edge of a cube, diameter of the others."""
    height_m: float = 0.0
    """Of a cylinder; 0: as its diameter, and for the others."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"a marked object is one of {', '.join(SHAPES)}, not {self.shape!r}")
        least, most = SIZES_M
        sizes = (self.size_m, self.upright_m)
        if not all(least <= size <= most for size in sizes):
            raise ValueError(
                f"a marked {self.label} cannot be: {1000 * least:g} to {1000 * most:g} mm can"
            )

    @property
    def upright_m(self) -> float:
        """Its height where it stands."""
        return self.height_m or self.size_m

    @property
    def label(self) -> str:
        """Shape and size in words: "cube 45 mm", "cylinder 50 x 60 mm"."""
        upright = f" x {1000 * self.upright_m:g}" if self.shape == "cylinder" else ""
        return f"{self.shape} {1000 * self.size_m:g}{upright} mm"

    def keypoints(self) -> Array:
        """(8, 3) [m], in the order of a cube's corners."""
        if self.shape == "cube":
            return cube_corners(self.size_m)
        signs = 2.0 * cube_corners(1.0)
        if self.shape == "sphere":
            return signs * (self.size_m / 2) / np.sqrt(3.0)
        across = self.size_m / 2 / np.sqrt(2.0)
        return signs * (across, across, self.upright_m / 2)

    def surface(self, face: Face, right: Array, up: Array) -> tuple[Array, Array]:
        """Points (n, 3) [m] of a face's picture, and outward normals (n, 3).

        Args:
            face: One of `FACES`.
            right, up: Places (n,) on the picture, -1 to 1 from edge to edge.
        """
        half, ones = self.size_m / 2, np.ones_like(right)
        if self.shape == "cube":
            normals = np.stack([0 * ones, 0 * ones, ones], axis=1)
            points = half * np.stack([right, up, ones], axis=1)
        elif self.shape == "sphere":
            normals = np.stack([np.tan(right * np.pi / 4), np.tan(up * np.pi / 4), ones], axis=1)
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            points = half * normals
        elif face.normal in ("+z", "-z"):
            normals = np.stack([0 * ones, 0 * ones, ones], axis=1)
            x, y = disc_of_square(right, up)
            points = np.stack([half * x, half * y, self.upright_m / 2 * ones], axis=1)
        else:
            angle = right * np.pi / 4
            normals = np.stack([np.sin(angle), 0 * ones, np.cos(angle)], axis=1)
            points = half * normals
            points[:, 1] = self.upright_m / 2 * up
        return points @ face.axes.T, normals @ face.axes.T

    def faces_camera(self, T_camera_object: Array) -> Array:
        """(8,) bool: keypoints on at least one surface that is turned to the camera."""
        points = self.keypoints() @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
        normals = _corner_normals(self) @ T_camera_object[:3, :3].T
        return ((normals * points[:, None]).sum(axis=2) < 0.0).any(axis=1)

    def outline(self) -> Array:
        """Points (n, 3) [m] whose convex hull is the object."""
        return self.keypoints() if self.shape == "cube" else _outline(self)


CUBE = MarkedObject()
"""The paper's."""


def disc_of_square(x: Array, y: Array) -> tuple[Array, Array]:
    """Points of the square -1 to 1 on the disc of radius 1; its corners come to lie on the rim."""
    return x * np.sqrt(1.0 - y**2 / 2), y * np.sqrt(1.0 - x**2 / 2)


def square_of_disc(x: Array, y: Array) -> tuple[Array, Array]:
    """The inverse of `disc_of_square`."""
    apart, twice = x**2 - y**2, 2.0 * np.sqrt(2.0)

    def along(z: Array, sign: float) -> Array:
        ends = (np.sqrt(np.maximum(2.0 + sign * apart + s * twice * z, 0.0)) for s in (1.0, -1.0))
        return (next(ends) - next(ends)) / 2

    return along(x, 1.0), along(y, -1.0)


def object_contract(marked: MarkedObject = CUBE) -> dict[str, str | float]:
    """What data sets and detectors must agree on; stored in both."""
    contract = cube_contract(marked.size_m)
    if marked.shape == "cube":
        return contract
    return contract | {"shape": marked.shape, "height_m": marked.upright_m}


def object_of_contract(found: dict, where: str) -> MarkedObject:
    """The object of a stored contract, which must have this version's print and conventions.

    Raises:
        ValueError: If they differ; names every difference.
    """
    size_m, height_m = found.get("cube_size_m"), found.get("height_m", 0.0)
    sizes = all(isinstance(size, int | float) for size in (size_m, height_m))
    try:
        shape = str(found.get("shape", "cube"))
        known = MarkedObject(shape, float(size_m), float(height_m)) if sizes else CUBE  # type: ignore[arg-type]  # just looked at
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    expected = object_contract(known)
    names = sorted(set(expected) | set(found))
    wrong = [
        f"{name} is {found.get(name)!r}, expected {expected.get(name)!r}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
    if wrong:
        raise ValueError(f"{where} was made for another print or convention: {'; '.join(wrong)}")
    return known


def refuse_other_marks(marked: MarkedObject, other: MarkedObject, what: str, whose: str) -> None:
    """Nothing if two things are for the same object.

    Raises:
        ValueError: If they are not; names both.
    """
    if marked.label != other.label:
        raise ValueError(f"{what} is for the object {marked.label}, {whose} for {other.label}")


@cache
def _corner_normals(marked: MarkedObject) -> Array:
    """(8, k, 3) normals of the surfaces that meet at each keypoint."""
    if marked.shape == "cube":
        axes = np.stack([face.axes[:, 2] for face in FACES])
        return np.stack([axes[meet] for meet in corner_faces()])
    signs = 2.0 * cube_corners(1.0)
    if marked.shape == "sphere":
        return signs[:, None] / np.sqrt(3.0)
    band, end = signs * (1.0, 1.0, 0.0) / np.sqrt(2.0), signs * (0.0, 0.0, 1.0)
    return np.stack([band, end], axis=1)


@cache
def _outline(marked: MarkedObject) -> Array:
    along = np.linspace(-1.0, 1.0, 13)
    right, up = (grid.ravel() for grid in np.meshgrid(along, along))
    return np.concatenate([marked.surface(face, right, up)[0] for face in FACES])
