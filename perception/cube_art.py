"""Draws the cube's six pictures: a texture atlas, and an OBJ, for every renderer.

The glyphs are our own strokes, so the same files come out on every machine.
"""

import numpy as np
from PIL import Image, ImageDraw

from perception.cube import CUBE_SIZE_M, FACES, Face, cube_corners

COLUMNS, ROWS = 3, 2
"""Tiles of the atlas; face i of `FACES` is tile i, row by row from the top left."""
TILE_PX = 256
BORDER = 0.06
"""Width of the dark border as a share of the edge; it gives every corner the same contrast."""
DARK = (24, 24, 28)
STROKE = 0.15
OBJ_NAME, ATLAS_NAME, MATERIAL_NAME, PDF_NAME = "cube.obj", "cube.png", "cube.mtl", "cube.pdf"

# Strokes as corner points, x to the right and y up, on a face of edge 1.
GLYPHS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "R": (
        ((0.30, 0.19), (0.30, 0.80), (0.58, 0.80), (0.71, 0.66), (0.58, 0.49), (0.30, 0.49)),
        ((0.50, 0.49), (0.72, 0.19)),
    ),
    "F": (((0.32, 0.18), (0.32, 0.80), (0.74, 0.80)), ((0.32, 0.51), (0.62, 0.51))),
    "G": (
        (
            *((0.72, 0.68), (0.60, 0.80), (0.41, 0.80), (0.27, 0.65), (0.27, 0.35)),
            *((0.41, 0.20), (0.60, 0.20), (0.73, 0.32), (0.73, 0.48), (0.52, 0.48)),
        ),
    ),
    "4": (((0.60, 0.17), (0.60, 0.81), (0.26, 0.37), (0.77, 0.37)),),
    "J": (((0.38, 0.80), (0.62, 0.80), (0.62, 0.34), (0.50, 0.20), (0.36, 0.20), (0.26, 0.34)),),
    "7": (((0.26, 0.80), (0.74, 0.80), (0.42, 0.18)),),
}


def face_picture(face: Face, tile_px: int = TILE_PX) -> np.ndarray:
    """(tile, tile, 3) uint8 of a face as seen from outside, its `up` at the top."""
    fine = 4 * tile_px  # drawn four times larger: strokes get smooth edges
    picture = Image.new("RGB", (fine, fine), DARK)
    draw = ImageDraw.Draw(picture)
    inner = round(BORDER * fine)
    draw.rectangle((inner, inner, fine - inner - 1, fine - inner - 1), fill=face.colour)
    radius = STROKE / 2 * fine
    for stroke in GLYPHS[face.glyph]:
        points = [(x * fine, (1.0 - y) * fine) for x, y in stroke]
        draw.line(points, fill=DARK, width=round(2 * radius))
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=DARK)
    return np.asarray(picture.resize((tile_px, tile_px), Image.Resampling.BOX))


def atlas(tile_px: int = TILE_PX) -> np.ndarray:
    """(2 * tile, 3 * tile, 3) uint8: all faces."""
    tiles = [face_picture(face, tile_px) for face in FACES]
    rows = [tiles[row * COLUMNS : (row + 1) * COLUMNS] for row in range(ROWS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def texture_coordinates() -> np.ndarray:
    """(6, 4, 2) per face and its `corners`: u to the right, v up, both 0 to 1 over the atlas."""
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    tiles = [(i % COLUMNS, ROWS - 1 - i // COLUMNS) for i in range(len(FACES))]
    return (unit[None] + np.array(tiles)[:, None]) / (COLUMNS, ROWS)


def obj_text(size_m: float = CUBE_SIZE_M) -> str:
    """Wavefront OBJ [m] in the cube's frame: eight corners in our order, a quad per face."""
    lines = [f"mtllib {MATERIAL_NAME}", "o cube"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in cube_corners(size_m)]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in texture_coordinates().reshape(-1, 2)]
    lines += ["vn {} {} {}".format(*face.axes[:, 2].astype(int)) for face in FACES]
    lines += ["usemtl cube"]
    for number, face in enumerate(FACES):
        parts = [
            f"{corner + 1}/{4 * number + place + 1}/{number + 1}"
            for place, corner in enumerate(face.corners)
        ]
        lines.append(f"f {' '.join(parts)}")
    return "\n".join(lines) + "\n"
