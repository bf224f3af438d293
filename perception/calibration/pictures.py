"""Boards on paper, before a camera, and in pictures on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception.calibration.charuco import Board, BoardView, find_board, why_not_found
from perception.calibration.intrinsics import MIN_PICTURES, moved_px
from perception.calibration.mounting import board_pose
from perception.cameras.frames import Frame, FrameSource
from perception.picture_files import SUFFIXES, pictures_in, read_picture, write_picture

Array = np.ndarray
MARGIN_PX = 60
DIFFERENT, STILL = 0.03, 0.001
"""Of a picture's width: how far corners have moved on average since any picture that was kept, and
how far at most since the last frame: a board in motion is blurred."""
TILTED_DEG = 6.0
"""Between the board's normals in any two pictures that are kept: a camera is not determined by
boards that are all seen from the front, wherever in the picture they are."""
UNSEEN = 60
"""Frames without a board after which the reason is told."""
EXAMPLES = 3
"""Pictures without a board that are looked at closely."""


def print_board(path: Path, board: Board) -> None:
    """Write a picture of the board with a white margin.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the name is no picture's.
    """
    write_picture(path, np.pad(board.picture(), MARGIN_PX, constant_values=255))


@dataclass(frozen=True)
class BoardPictures:
    """What a folder's pictures show of the board."""

    views: list[BoardView]
    size: tuple[int, int]
    """Height and width of the pictures."""
    without: list[Path]
    """Pictures in which the board was not found."""


def read_views(folder: Path, board: Board, needed: int = 1) -> BoardPictures:
    """The board in every picture of a folder that shows it.

    Args:
        folder: Of PNG or JPEG files.
        board: To look for.
        needed: Pictures that must show it.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no pictures, one cannot be read, they differ in size, or too few
            show the board; says what they show instead.
    """
    if not (paths := pictures_in(folder)):
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    views, without, examples = [], [], []
    first_size: tuple[int, int] | None = None
    for path in paths:
        image = read_picture(path)
        size = (image.shape[0], image.shape[1])
        first_size = first_size or size
        if size != first_size:
            raise ValueError(
                f"{path} is {size[1]} x {size[0]} px, {paths[0].name} is {first_size[1]} x "
                f"{first_size[0]}; pictures of one size, and one camera, are needed"
            )
        if (view := find_board(image, board)) is not None:
            views.append(view)
            continue
        without.append(path)
        if len(examples) < EXAMPLES:
            examples.append(image)
    if len(views) < needed:
        few = f"{folder}: the board was found in {len(views)} of {len(paths)} pictures"
        why = f". In {without[0].name} etc., {why_not_found(examples, board)}" if without else ""
        raise ValueError(f"{few}, at least {needed} must show it{why}")
    assert first_size is not None, "there is a picture"
    return BoardPictures(views, first_size, without)


def take_pictures(
    camera: FrameSource,
    board: Board,
    folder: Path,
    count: int,
    tell: Callable[[str], None],
) -> None:
    """Keep so many pictures of the board, held still, each in another place and at another tilt.

    They become numbered PNG files.

    Args:
        camera: Films the board while it is moved.
        board: To look for.
        folder: Made here.
        count: Of pictures.
        tell: Hears of every picture, and what the next one needs.

    Raises:
        FileExistsError: If the folder holds pictures already.
        ConnectionError: If the camera ends before there are enough.
        ValueError: If `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"{count} pictures: at least 1 is needed, {2 * MIN_PICTURES} are better")
    check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept: list[_Kept] = []
    before: BoardView | None = None
    said, unseen = "", 0
    while len(kept) < count:
        if (frame := camera.read()) is None:
            raise ConnectionError(f"the camera ended after {len(kept)} of {count} pictures")
        view = find_board(frame.image, board)
        width, last, before = frame.image.shape[1], before, view
        unseen = unseen + 1 if view is None else 0
        if unseen == UNSEEN:
            tell(f"no board is found in the pictures: {why_not_found([frame.image], board)}")
        if view is None or last is None or moved_px(view, last) > STILL * width:
            continue
        if kept and moved_px(view, kept[-1].view) < DIFFERENT * width:
            continue  # still held as for the last picture
        new = _Kept(view, _normal(view, frame))
        if lacking := _lacking(new, kept, width):
            if lacking != said:
                tell(lacking)
            said = lacking
            continue
        write_picture(folder / f"{len(kept):03d}.png", frame.image)
        kept.append(new)
        said = ""
        tell(f"{len(kept)} of {count} pictures; move the board and tilt it to another side")


def check_empty(folder: Path) -> None:
    """Refuse a folder with pictures in it.

    Raises:
        FileExistsError: If there is one.
    """
    if folder.is_dir() and (there := pictures_in(folder)):
        raise FileExistsError(
            f"{folder} holds pictures already ({there[0].name}, ...); name another folder"
        )


@dataclass(frozen=True)
class _Kept:
    """A picture that was kept."""

    view: BoardView
    normal: Array
    """(3,) of the board, in the camera's frame."""


def _lacking(new: _Kept, kept: list[_Kept], width: int) -> str:
    """What keeps a picture from telling anything new; nothing: it is to be kept."""
    if any(moved_px(new.view, other.view) < DIFFERENT * width for other in kept):
        return "there is a picture of the board at this place: move it"
    nearest = max((float(new.normal @ other.normal) for other in kept), default=-1.0)
    if nearest > np.cos(np.radians(TILTED_DEG)):
        return "there is a picture with this tilt: tilt the board to another side"
    return ""


def _normal(view: BoardView, frame: Frame) -> Array:
    """The board's normal (3,), by what the camera says about itself; good to a few degrees."""
    return board_pose(view, frame.intrinsics, frame.distortion)[0][:3, 2]
