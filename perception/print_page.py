"""The page to print: an object's six pictures at full size, and a ruler to check the printer with.

A cube of up to 65 mm is one piece to fold, a larger one six squares. A cylinder is a band and two
discs; a sphere six patches, whose middles are true and whose corners must be pressed on.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perception.cube import FACES, Face
from perception.cube_art import TILE_PX, face_picture
from perception.marked import MarkedObject, square_of_disc

PAGE_MM = (297.0, 210.0)
RULER_MM = 100.0
LARGEST_NET_MM = 65.0
MARGIN_MM, TOP_MM = 6.0, 22.0
"""Around the pieces; the lower one leaves room for the ruler."""

# Column and row of each face in the unfolded cube, all upright: neighbours stay neighbours.
NET = {"+x": (0, 1), "+y": (1, 1), "-x": (2, 1), "-y": (3, 1), "+z": (3, 2), "-z": (1, 0)}
BAND = ("+x", "+y", "-x", "-y")
"""Faces round a cylinder, from left to right as seen from outside."""


@dataclass(frozen=True)
class Piece:
    """A picture on the page."""

    face: Face
    box_mm: tuple[float, float, float, float]
    """Left, right, bottom, top."""
    outline: str = "square"
    """ "square", "disc" or "patch" (of a sphere)."""


def pieces(marked: MarkedObject) -> list[Piece]:
    """What is printed, in `FACES` order."""
    size = 1000.0 * marked.size_m
    if marked.shape == "cube":
        return _net(size) if size <= LARGEST_NET_MM else _grid(size, size, "square")
    if marked.shape == "sphere":
        reach = 1000.0 * marked.size_m / 2 * _corner_angle()  # along the surface, to a corner
        edge = 2.0 * reach / np.sqrt(2.0)
        edge = max(edge, size * np.pi / 4)  # the sides' middles bulge out
        return _grid(edge, edge, "patch")
    return _band_and_discs(size, 1000.0 * marked.upright_m)


def check_fits(marked: MarkedObject) -> None:
    """Refuse what would leave the page.

    Raises:
        ValueError: Naming the object and the page.
    """
    boxes = np.array([piece.box_mm for piece in pieces(marked)])
    low, high = boxes[:, [0, 2]].min(axis=0), boxes[:, [1, 3]].max(axis=0)
    if low[0] < 0.0 or low[1] < 0.0 or high[0] > PAGE_MM[0] or high[1] > PAGE_MM[1]:
        raise ValueError(f"the pictures of a {marked.label} do not fit on an A4 page")


def piece_picture(piece: Piece, pixels: int = TILE_PX) -> np.ndarray:
    """(pixels, pixels, 3) uint8, upright; white outside of a piece that is not square."""
    tile = face_picture(piece.face, pixels)
    if piece.outline == "square":
        return tile
    place = (np.arange(pixels) + 0.5) / pixels * 2.0 - 1.0
    x, y = np.meshgrid(place, -place)
    right, up = square_of_disc(x, y) if piece.outline == "disc" else _patch_place(x, y)
    inside = (np.abs(right) <= 1.0) & (np.abs(up) <= 1.0)
    inside &= (x**2 + y**2 <= 1.0) if piece.outline == "disc" else True
    column = np.clip((right + 1.0) / 2 * pixels, 0, pixels - 1).astype(int)
    row = np.clip((1.0 - up) / 2 * pixels, 0, pixels - 1).astype(int)
    return np.where(inside[..., None], tile[row, column], 255).astype(np.uint8)


def write_page(path: Path, marked: MarkedObject) -> None:
    """Write an A4 page with the pieces at full size."""
    with mpl.rc_context({"pdf.compression": 9}):
        figure = Figure(figsize=(PAGE_MM[0] / 25.4, PAGE_MM[1] / 25.4))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set(xlim=(0.0, PAGE_MM[0]), ylim=(0.0, PAGE_MM[1]))
        placed = pieces(marked)
        for piece in placed:
            picture = piece_picture(piece)
            axes.imshow(picture, extent=piece.box_mm, interpolation="none", aspect="auto")
        axes.set(xlim=(0.0, PAGE_MM[0]), ylim=(0.0, PAGE_MM[1]))
        left = min(piece.box_mm[0] for piece in placed)
        right = max(piece.box_mm[1] for piece in placed)
        _add_ruler(axes, left, right, _told(marked))
        figure.savefig(path, metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _add_ruler(axes: Axes, left: float, right: float, told: str) -> None:
    axes.plot([left, left + RULER_MM], [12.0, 12.0], color="black", marker="|", markersize=8)
    axes.text(left, 15.0, f"{RULER_MM:g} mm: print at 100 %, matt paper", fontsize=9)
    axes.text(max(right, left + RULER_MM), 15.0, told, fontsize=9, ha="right")


def _told(marked: MarkedObject) -> str:
    size = f"{1000.0 * marked.size_m:g} mm"
    if marked.shape == "cube":
        return f"cube, edge {size}"
    height = f", height {1000.0 * marked.upright_m:g} mm" if marked.shape == "cylinder" else ""
    return f"{marked.shape}, diameter {size}{height}"


def _net(edge: float) -> list[Piece]:
    left, bottom = (PAGE_MM[0] - 4 * edge) / 2, (PAGE_MM[1] - 3 * edge) / 2 + 5.0
    boxes = []
    for face in FACES:
        column, row = NET[face.normal]
        x, y = left + column * edge, bottom + row * edge
        boxes.append(Piece(face, (x, x + edge, y, y + edge)))
    return boxes


def _grid(width: float, height: float, outline: str) -> list[Piece]:
    """Three columns and two rows with gaps to cut in."""
    gap = MARGIN_MM
    left = (PAGE_MM[0] - 3 * width - 2 * gap) / 2
    bottom = TOP_MM
    placed = []
    for number, face in enumerate(FACES):
        x = left + (number % 3) * (width + gap)
        y = bottom + (1 - number // 3) * (height + gap)
        placed.append(Piece(face, (x, x + width, y, y + height), outline))
    return placed


def _band_and_discs(diameter: float, height: float) -> list[Piece]:
    width = np.pi * diameter / 4
    left, bottom = (PAGE_MM[0] - 4 * width) / 2, TOP_MM
    placed, discs = [], 0
    for face in FACES:
        if face.normal in BAND:
            x = left + BAND.index(face.normal) * width
            placed.append(Piece(face, (x, x + width, bottom, bottom + height)))
        else:
            x, y = left + discs * (diameter + MARGIN_MM), bottom + height + MARGIN_MM
            placed.append(Piece(face, (x, x + diameter, y, y + diameter), "disc"))
            discs += 1
    return placed


def _corner_angle() -> float:
    """Between the middle and a corner of a sphere's patch."""
    return float(np.arccos(1.0 / np.sqrt(3.0)))


def _patch_place(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places right and up on a sphere's picture of points of its patch, which is flat on paper.

    Distances from the middle are true. `x` and `y` are -1 to 1 over the patch's box.
    """
    half = max(_corner_angle() / np.sqrt(2.0), np.pi / 4)  # in radii
    angle = half * np.hypot(x, y)
    towards = np.arctan2(y, x)
    forward, across = np.cos(angle), np.sin(angle)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = np.arctan2(across * np.cos(towards), forward) * 4.0 / np.pi
        up = np.arctan2(across * np.sin(towards), forward) * 4.0 / np.pi
    return right, up
