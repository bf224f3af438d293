"""Boards on paper and pictures of them on disk."""

from pathlib import Path

import cv2
import numpy as np

from perception.calibration.charuco import Board, BoardView, find_board

PICTURES = (".png", ".jpg", ".jpeg")
MARGIN_PX = 60


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
