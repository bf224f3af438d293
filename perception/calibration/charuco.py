"""The ChArUco board: what it looks like, where a picture shows it, and why one does not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

Array = np.ndarray
MIN_CORNERS = 8
"""Of the board, for a picture to count."""
MIN_MARKERS = 4
"""That must be recognised before a picture is said to show a board of another kind."""
DICTIONARIES = {
    name.removeprefix("DICT_").upper(): getattr(cv2.aruco, name)
    for name in dir(cv2.aruco)
    if name.startswith("DICT_")
}
"""Of markers, by OpenCV's names without "DICT_": 4X4_50, 5X5_100, APRILTAG_36H11, ..."""


@dataclass(frozen=True)
class Board:
    """A ChArUco board; `picture` draws what to print."""

    columns: int = 7
    rows: int = 5
    square_m: float = 0.02
    """Measure it on the print."""
    marker_m: float = 0.015
    dictionary: str = "4X4_100"
    """One of `DICTIONARIES`."""
    legacy: bool = False
    """As OpenCV drew boards before version 4.6: with an even number of rows, the upper left square
    is black instead of white."""

    def __post_init__(self) -> None:
        if self.dictionary not in DICTIONARIES:
            known = ", ".join(DICTIONARIES)
            raise ValueError(f"dictionary '{self.dictionary}' is not one of {known}")
        if not 0.0 < self.marker_m < self.square_m:
            raise ValueError(
                f"marker ({self.marker_m} m) must be smaller than square ({self.square_m} m)"
            )
        if not self.square_m <= 1.0:
            raise ValueError(f"square is {self.square_m:g} m wide; it is in metres, at most 1")
        if min(self.columns, self.rows) < 2 or self.corners < MIN_CORNERS:
            raise ValueError(
                f"a board of {self.columns} x {self.rows} squares has {max(self.corners, 0)} inner "
                f"corners, at least {MIN_CORNERS} are needed; 7 x 5 has 24"
            )
        if self.markers > (known := len(self._known.bytesList)):
            raise ValueError(
                f"a board of {self.columns} x {self.rows} squares needs {self.markers} markers, "
                f"dictionary {self.dictionary} has {known}; take a smaller board or a larger "
                "dictionary, as 4X4_1000"
            )

    @property
    def corners(self) -> int:
        """Where four squares meet."""
        return (self.columns - 1) * (self.rows - 1)

    @property
    def markers(self) -> int:
        """One on every white square."""
        return self.columns * self.rows // 2

    @property
    def pattern(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's description; origin at the board's upper left corner, z into the board."""
        size = (self.columns, self.rows)
        board = cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, self._known)
        board.setLegacyPattern(self.legacy)
        return board

    def picture(self, pixels_per_square: int = 120) -> Array:
        """(h, w) uint8 of the board without a margin."""
        size = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return self.pattern.generateImage(size, marginSize=0)

    @property
    def _known(self) -> cv2.aruco.Dictionary:
        return cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary])


@dataclass(frozen=True)
class BoardView:
    """The board's corners found in one picture."""

    points_m: Array
    """(n, 3) on the board."""
    uv: Array
    """(n, 2) continuous pixels."""


def find_board(image: Array, board: Board) -> BoardView | None:
    """Corners of the board in a picture (h, w, 3), uint8 RGB; None if too few can be seen."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    pattern = board.pattern
    corners, ids, _, _ = cv2.aruco.CharucoDetector(pattern).detectBoard(grey)
    if ids is None or len(ids) < MIN_CORNERS:
        return None
    points = np.asarray(pattern.getChessboardCorners(), dtype=float)[
        np.asarray(ids, dtype=int).ravel()
    ]
    # OpenCV's first pixel has its centre at 0, ours at 0.5.
    return BoardView(points, np.asarray(corners, dtype=float).reshape(-1, 2) + 0.5)


def why_not_found(images: Sequence[Array], board: Board) -> str:
    """What pictures show in which `find_board` found nothing: what is wrong, and what to do.

    Args:
        images: Pictures (h, w, 3), uint8 RGB; one is enough.
        board: What was looked for.
    """
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    ids = _marker_ids(greys, board.dictionary)
    other_pattern = replace(board, legacy=not board.legacy)
    if any(find_board(image, other_pattern) is not None for image in images):
        flag = "without --legacy" if board.legacy else "with --legacy"
        return f"they show a board of OpenCV's other pattern: call this {flag}"
    if len(ids) < MIN_MARKERS:
        found = Counter({name: len(_marker_ids(greys, name)) for name in DICTIONARIES})
        (name, count), *_ = found.most_common(1)
        if count >= MIN_MARKERS:
            return (
                f"their markers are of another dictionary: pass --dictionary {_least(greys, name)}"
            )
        return (
            "no marker of any dictionary can be recognised in them: is the board in the picture, "
            "sharp, lit evenly, and large enough?"
        )
    if max(ids) >= board.markers:
        return (
            f"they show marker {max(ids)}, but a board of {board.columns} x {board.rows} squares "
            f"has markers 0 to {board.markers - 1} only: count its squares, and pass --columns and "
            "--rows"
        )
    return (
        f"its markers are there, but fewer than {MIN_CORNERS} of its corners fit them: if "
        "--columns, --rows, --square and --marker are those of the print, show more of the board, "
        "and sharper"
    )


def _marker_ids(greys: Sequence[Array], dictionary: str) -> set[int]:
    """Numbers of all markers of a dictionary in the pictures."""
    known = cv2.aruco.getPredefinedDictionary(DICTIONARIES[dictionary])
    detector = cv2.aruco.ArucoDetector(known)
    found = [detector.detectMarkers(grey)[1] for grey in greys]
    return {int(marker) for ids in found if ids is not None for marker in np.ravel(ids)}


def _least(greys: Sequence[Array], dictionary: str) -> str:
    """The smallest dictionary with markers of the same size and the same markers found.

    OpenCV's dictionaries of one marker size begin alike: 4X4_100 is the first hundred of 4X4_1000.
    """
    cells, most = dictionary.partition("_")[0], len(_marker_ids(greys, dictionary))
    alike = [name for name in DICTIONARIES if name.startswith(f"{cells}_")]
    alike.sort(key=lambda name: (len(name), name))  # 4X4_50, 4X4_100, 4X4_250, 4X4_1000
    return next(name for name in alike if len(_marker_ids(greys, name)) >= most)
