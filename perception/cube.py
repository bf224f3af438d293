"""First stop of everything about the cube: size, frame, corner order, faces, and their version.

The cube's frame has its origin at the centre and axes along the edges. A camera's frame is OpenCV's
optical one: x right, y down, z forward. Pixel coordinates are continuous: pixel (0, 0) covers
[0, 1) x [0, 1) and its centre is (0.5, 0.5).
"""

from dataclasses import dataclass

import numpy as np

CUBE_SIZE_M = 0.045
"""Edge of the cube (paper F.4)."""
NUM_CORNERS = 8
AXES = {
    "+x": (1, 0, 0),
    "-x": (-1, 0, 0),
    "+y": (0, 1, 0),
    "-y": (0, -1, 0),
    "+z": (0, 0, 1),
    "-z": (0, 0, -1),
}


@dataclass(frozen=True)
class Face:
    """One face as seen from outside: right x up = normal, all in the cube's frame."""

    normal: str
    """Also the face's name, one of `AXES`."""
    right: str
    up: str
    glyph: str
    """What is drawn on it (`cube_art.py`)."""
    colour: tuple[int, int, int]
    """RGB behind the glyph."""

    @property
    def axes(self) -> np.ndarray:
        """Columns right, up, normal (3, 3): face to cube, a proper rotation."""
        return np.array([AXES[self.right], AXES[self.up], AXES[self.normal]], dtype=float).T

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Corner indices: lower left, lower right, upper right, upper left, seen from outside."""
        around = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        signs = [self.axes @ (right, up, 1.0) for right, up in around]
        lower_left, lower_right, upper_right, upper_left = (corner_index(s) for s in signs)
        return lower_left, lower_right, upper_right, upper_left


def corner_index(signs: np.ndarray) -> int:
    """Index of the corner whose coordinates have these signs: bit 0 is +x, bit 1 +y, bit 2 +z."""
    return int(sum(1 << axis for axis in range(3) if signs[axis] > 0))


# No glyph looks like itself or another one after a turn: a single face in view tells its rotation.
FACES: tuple[Face, ...] = (
    Face("+x", right="+y", up="+z", glyph="R", colour=(226, 62, 52)),
    Face("-x", right="-y", up="+z", glyph="F", colour=(242, 140, 30)),
    Face("+y", right="-x", up="+z", glyph="G", colour=(52, 168, 83)),
    Face("-y", right="+x", up="+z", glyph="4", colour=(64, 120, 230)),
    Face("+z", right="+x", up="+y", glyph="J", colour=(247, 215, 48)),
    Face("-z", right="-x", up="+y", glyph="7", colour=(240, 240, 238)),
)
EDGES: tuple[tuple[int, int], ...] = tuple(
    (corner, corner | 1 << axis)
    for corner in range(NUM_CORNERS)
    for axis in range(3)
    if not corner >> axis & 1
)
"""Corner pairs of the twelve edges."""


def cube_corners(size_m: float = CUBE_SIZE_M) -> np.ndarray:
    """Corners (8, 3) [m] in the cube's frame; the order of every keypoint array."""
    bits = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(NUM_CORNERS)], dtype=float)
    return (bits - 0.5) * size_m


def corner_faces() -> np.ndarray:
    """(8, 6) bool: which of `FACES` meet at which corner; three each."""
    meets = np.zeros((NUM_CORNERS, len(FACES)), dtype=bool)
    for column, face in enumerate(FACES):
        meets[list(face.corners), column] = True
    return meets


def cube_contract(size_m: float = CUBE_SIZE_M) -> dict[str, str | float]:
    """What data sets and detectors of cubes must agree on; stored in both."""
    return {
        "cube": "glyphs-1",
        "corner_order": "bits-xyz-1",
        "cube_size_m": size_m,
        "camera_frame": "opencv",
        "pixels": "continuous",
    }
