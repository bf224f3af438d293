"""A marked object as triangles with texture coordinates, for every renderer."""

from dataclasses import dataclass

import numpy as np

from perception.cube import FACES
from perception.cube_art import texture_coordinates
from perception.marked import MarkedObject

CELLS = 12
"""Of a curved face, along each edge."""


@dataclass(frozen=True)
class MarkedMesh:
    """V vertices, F triangles, counter-clockwise from outside."""

    vertices: np.ndarray
    """(V, 3) [m] in the object's frame; those at a seam are there once per picture."""
    normals: np.ndarray
    """(V, 3) outward."""
    uv: np.ndarray
    """(V, 2) over the atlas: u to the right, v up."""
    triangles: np.ndarray
    """(F, 3)."""


def marked_mesh(marked: MarkedObject, cells: int = CELLS) -> MarkedMesh:
    """Six pictures of `cells` x `cells` squares; a cube needs one each."""
    cells = 1 if marked.shape == "cube" else cells
    along = np.linspace(-1.0, 1.0, cells + 1)
    up, right = (grid.ravel() for grid in np.meshgrid(along, along, indexing="ij"))
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    corners = first, first + 1, first + cells + 2, first + cells + 1  # counter-clockwise
    square = np.concatenate(
        [np.stack([corners[0], corners[i], corners[i + 1]], axis=1) for i in (1, 2)]
    )
    parts, count = [], (cells + 1) ** 2
    for number, (face, tile) in enumerate(zip(FACES, texture_coordinates(), strict=True)):
        points, normals = marked.surface(face, right, up)
        share = np.stack([right + 1.0, up + 1.0], axis=1) / 2
        uv = tile[0] + share * (tile[2] - tile[0])
        parts.append((points, normals, uv, square + number * count))
    return MarkedMesh(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def mesh_obj_text(marked: MarkedObject, material: str) -> str:
    """Wavefront OBJ [m] of a marked object.

    Args:
        marked: What is drawn.
        material: File of its material.
    """
    mesh = marked_mesh(marked)
    lines = [f"mtllib {material}", f"o {marked.shape}"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv]
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in mesh.normals]
    lines += ["usemtl cube"]
    for triangle in mesh.triangles + 1:
        lines.append("f " + " ".join(f"{at}/{at}/{at}" for at in triangle))
    return "\n".join(lines) + "\n"
