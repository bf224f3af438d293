"""Boards on paper, before a camera, and in pictures on disk."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from perception.calibration.charuco import Board, BoardView, find_board
from perception.cameras.frames import FrameSource

PICTURES = (".png", ".jpg", ".jpeg")
MARGIN_PX = 60
DIFFERENT, STILL = 0.03, 0.001
"""Of a picture's width: how far corners have moved on average since any picture that was kept, and
how far at most since the last frame: a board in motion is blurred."""


def print_board(path: Path, board: Board) -> None:
    """Write a picture of the board with a white margin.

    Raises:
        ValueError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.pad(board.picture(), MARGIN_PX, constant_values=255)):
        raise ValueError(f"cannot write {path}; the name must end in .png or .jpg")


def read_views(folder: Path, board: Board) -> tuple[list[BoardView], tuple[int, int]]:
    """The board in every picture of a folder that shows it, and their height and width.

    Raises:
        ValueError: If there are no pictures, one cannot be read, or they differ in size.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)
    views, sizes = [], set()
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{path} cannot be read as a picture")
        sizes.add(image.shape[:2])
        views.append(find_board(np.ascontiguousarray(image[..., ::-1]), board))
    if len(sizes) != 1:
        found = f"pictures of sizes {sorted(sizes)}" if sizes else "no pictures"
        raise ValueError(f"{folder} holds {found}; pictures of one size are needed")
    return [view for view in views if view is not None], sizes.pop()


def take_pictures(
    camera: FrameSource,
    board: Board,
    folder: Path,
    count: int,
    tell: Callable[[str], None],
) -> None:
    """Keep so many pictures of the board, held still, each in another place; as numbered PNG files.

    Args:
        camera: Films the board while it is moved.
        board: To look for.
        folder: Made here.
        count: Of pictures.
        tell: Hears of every picture.

    Raises:
        ValueError: If the folder holds pictures already.
        ConnectionError: If the camera ends before there are enough.
    """
    if folder.is_dir() and any(p.suffix.lower() in PICTURES for p in folder.iterdir()):
        raise ValueError(f"{folder} holds pictures already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    kept: list[BoardView] = []
    before: BoardView | None = None
    while len(kept) < count:
        if (frame := camera.read()) is None:
            raise ConnectionError(f"the camera ended after {len(kept)} of {count} pictures")
        view = find_board(frame.image, board)
        width, last, before = frame.image.shape[1], before, view
        if view is None or last is None or _moved_px(view, last) > STILL * width:
            continue
        if any(_moved_px(view, other) < DIFFERENT * width for other in kept):
            continue
        cv2.imwrite(str(folder / f"{len(kept):03d}.png"), frame.image[..., ::-1])
        kept.append(view)
        tell(f"{len(kept)} of {count} pictures; move and tilt the board, hold it still")


def _moved_px(one: BoardView, other: BoardView) -> float:
    """Mean distance of the corners that both show; far if they share none."""
    known = {tuple(point): uv for point, uv in zip(other.points_m.tolist(), other.uv, strict=True)}
    pairs = [
        (uv, known[tuple(point)])
        for point, uv in zip(one.points_m.tolist(), one.uv, strict=True)
        if tuple(point) in known
    ]
    if not pairs:
        return float("inf")
    return float(np.mean([np.linalg.norm(a - b) for a, b in pairs]))
