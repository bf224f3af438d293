"""Pictures as files: which belong to a folder, in which order, and how they become RGB.

A picture has 8 bits per channel. Colour is taken as stored, grey becomes three equal channels, an
opaque fourth channel is dropped, and a rotation noted in the file is not applied: a camera's
intrinsics are about pixels as they were stored. Everything else is refused, 16 bits above all:
whether they are grey values or a depth, and in what range, the file does not say.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from perception.files import write_whole

Array = np.ndarray
SUFFIXES = (".png", ".jpg", ".jpeg")
_LFS = b"version https://git-lfs"


def pictures_in(folder: Path) -> list[Path]:
    """PNG and JPEG files directly in a folder, in natural order: 2.png comes before 10.png.

    Files whose names begin with a dot are passed over: file systems leave such notes.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of pictures at {folder}")
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found, key=_natural)


def numbered(paths: Sequence[Path], count: int, where: Path) -> list[Path]:
    """The pictures of a sequence by number: one name with a running number, none missing.

    Args:
        paths: All pictures there are.
        count: How many there should be.
        where: Named in errors.

    Raises:
        ValueError: If there are more or fewer, or a name, a double or a gap says that they are not
            one sequence; names the pictures.
    """
    parts = {path: re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem) for path in paths}
    names = [(match[1], match[3]) for match in parts.values() if match]
    usual = max(sorted(set(names)), key=names.count, default=("", ""))
    if stray := [p for p, match in parts.items() if not match or (match[1], match[3]) != usual]:
        raise ValueError(
            f"{where}: {_some(stray)} not named '{usual[0]}NUMBER{usual[1]}'; a recording holds "
            "one numbered sequence of pictures, so move others elsewhere"
        )
    if len(paths) != count:
        raise ValueError(
            f"{where} holds {len(paths)} pictures ({', '.join(SUFFIXES)}), but {count} times_s; "
            "there must be one picture per time"
        )
    by_number = sorted((int(match[2]), path) for path, match in parts.items() if match)
    for (number, path), (following, other) in pairwise(by_number):
        if number == following:
            raise ValueError(f"{where}: {path.name} and {other.name} have the same number")
        if number + 1 != following:
            raise ValueError(
                f"{where}: after {path.name} comes {other.name}; number the pictures without gaps, "
                "one per entry of times_s"
            )
    return [path for _, path in by_number]


def read_picture(path: Path) -> Array:
    """A picture (h, w, 3), uint8 RGB, by the rules above.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is damaged, or of a kind that the rules refuse; says what to do.
    """
    content = path.read_bytes()
    if content.startswith(_LFS):
        raise ValueError(f"{path} is a Git LFS pointer, not the picture: run git lfs pull")
    image = _decoded(content)
    if image is None:
        raise ValueError(f"{path} cannot be read as a picture: it is damaged or of another kind")
    if image.dtype != np.uint8:
        raise ValueError(
            f"{path} has {8 * image.itemsize} bits per channel, expected 8: a depth picture? "
            "Record colour, or convert it to 8 bits in a way that you know to be right"
        )
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    if image.shape[2] == 4 and (clear := int((image[..., 3] != 255).sum())):
        raise ValueError(
            f"{path} is transparent at {clear} pixels (a fourth channel, RGBA), which no camera "
            "sees; save it without transparency"
        )
    return np.ascontiguousarray(image[..., 2::-1])


def write_picture(path: Path, image: Array) -> None:
    """Write (h, w, 3) RGB or (h, w) grey, uint8, by the kind that the name asks for.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the name ends in no kind of picture that is read again.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: the name of a picture must end in {', '.join(SUFFIXES)}")
    bgr = image[..., ::-1] if image.ndim == 3 else image
    _, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(bgr))
    write_whole(path, lambda file: file.write(data.tobytes()))


def _decoded(content: bytes) -> Array | None:
    """Pixels as stored; None for what is no picture."""
    try:
        data = np.frombuffer(content, dtype=np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        return None


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts digits as numbers: every part of the name is (0, number, "") or (1, 0, text)."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]


def _some(paths: list[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:3])
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{shown}{more} {'is' if len(paths) == 1 else 'are'}"
