"""What a camera and its place can be: numbers from files and command lines are held against it.

Every check returns the numbers as arrays. `where` is what errors begin with: file and key, or flag.
"""

import numpy as np

Array = np.ndarray
DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Numbers of coefficients that OpenCV knows, all of the same model."""
FOCAL_WIDTHS = (0.1, 20.0)
"""Focal lengths there are, in widths of the picture: from fish eyes to strong telephoto lenses."""
HAND_REACH_M = 2.0
"""From the hand to its camera or to the board: farther away, a cube of 45 mm is a few pixels."""
CUBE_REACH_M = 10.0
"""From a camera to a cube that it films."""
MAX_INTERVAL_S = 10.0
"""Between two pictures of a film."""


def numbers(values: object, shape: tuple[int, ...], where: str) -> Array:
    """An array of finite numbers.

    Raises:
        ValueError: If the values are not numbers, not finite or of another shape.
    """
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected {_described(shape)}, got {values!r:.60}") from error
    if array.shape != shape:
        raise ValueError(f"{where}: expected {_described(shape)}, got {_described(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: a number is missing or not finite: {values!r:.80}")
    return array


def intrinsics(values: object, size: tuple[int, int], where: str) -> Array:
    """K (3, 3) of pictures of height and width `size`, continuous pixels.

    Raises:
        ValueError: If it is no matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, or one of a
            camera that cannot have taken such pictures.
    """
    where = f"{where}: intrinsics"
    matrix = numbers(values, (3, 3), where)
    (height, width), focal = size, matrix[[0, 1], [0, 1]]
    zeros = matrix[[0, 1, 2, 2], [1, 0, 0, 1]]
    if np.abs(zeros).max() > 1e-6 or matrix[2, 2] != 1.0:
        raise ValueError(
            f"{where} must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, "
            f"got {matrix.tolist()}"
        )
    low, high = (bound * width for bound in FOCAL_WIDTHS)
    if (focal < low).any() or (focal > high).any():
        raise ValueError(
            f"{where}: focal lengths of {focal[0]:g} and {focal[1]:g} px; pictures {width} wide "
            f"have {low:g} to {high:g} px"
        )
    centre = matrix[:2, 2]
    if (centre < 0).any() or (centre > (width, height)).any():
        raise ValueError(
            f"{where}: the principal point ({centre[0]:g}, {centre[1]:g}) is outside of pictures "
            f"of {width} x {height} px"
        )
    return matrix


def distortion(values: object, where: str) -> tuple[float, ...]:
    """OpenCV's coefficients; none where the pictures are free of distortion.

    Raises:
        ValueError: If they are no flat list of as many numbers as OpenCV knows.
    """
    if not isinstance(values, list | tuple) or len(values) not in DISTORTIONS:
        count = f"{len(values)} of them" if isinstance(values, list | tuple) else f"{values!r:.60}"
        raise ValueError(
            f"{where}: distortion must be a flat list of "
            f"{', '.join(map(str, DISTORTIONS[:-1]))} or {DISTORTIONS[-1]} numbers, got {count}"
        )
    return tuple(numbers(values, (len(values),), f"{where}: distortion").tolist())


def picture_size(values: object, where: str) -> tuple[int, int]:
    """Two whole numbers of pixels, in the order they came in.

    Raises:
        ValueError: If they are anything else.
    """
    first, second = numbers(values, (2,), f"{where}: size")
    if min(first, second) < 1 or first % 1 or second % 1:
        raise ValueError(f"{where}: size must be two whole numbers of pixels, got {values!r:.60}")
    return int(first), int(second)


def rigid(values: object, where: str, reach_m: float) -> Array:
    """A rotation and a position of at most `reach_m` as a matrix (4, 4).

    Raises:
        ValueError: If it is no rigid transform, or reaches farther.
    """
    matrix = numbers(values, (4, 4), where)
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
        raise ValueError(f"{where}: the upper left 3x3 is no rotation: {turn.round(3).tolist()}")
    if (matrix[3] != (0.0, 0.0, 0.0, 1.0)).any():
        raise ValueError(f"{where}: the last row must be 0 0 0 1, got {matrix[3].tolist()}")
    within_reach(matrix[:3, 3], where, reach_m)
    return matrix


def pose(values: object, where: str, reach_m: float) -> tuple[Array, Array]:
    """Position (3,) [m] and unit quaternion (4,) xyzw from seven numbers.

    Raises:
        ValueError: If a number is missing or not finite, the quaternion has another length than 1,
            or the position is farther away than `reach_m`.
    """
    seven = numbers(values, (7,), where)
    position, quaternion = seven[:3], seven[3:]
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > 0.01:
        raise ValueError(
            f"{where}: the last four numbers are a quaternion xyzw of length 1, not {length:g}"
        )
    within_reach(position, where, reach_m)
    return position, quaternion / length


def within_reach(position: Array, where: str, reach_m: float) -> None:
    """Refuse a place (3,) that is too far away.

    Raises:
        ValueError: Naming the distance and the unit that was expected.
    """
    if (distance := float(np.linalg.norm(position))) > reach_m:
        raise ValueError(
            f"{where}: {distance:.4g} m away, at most {reach_m:g} m can be; positions are in metres"
        )


def moments(values: object, where: str) -> list[float]:
    """Times [s] of the pictures of a film.

    Raises:
        ValueError: If they are not growing numbers, or lie so far apart that they are in another
            unit.
    """
    if not isinstance(values, list) or not values:
        raise ValueError(f"{where}: times_s must be a list with one time per picture")
    times = numbers(values, (len(values),), f"{where}: times_s")
    steps = np.diff(times)
    if (steps <= 0).any():
        index = int(np.argmax(steps <= 0)) + 1
        raise ValueError(
            f"{where}: times_s must grow, but entry {index} is {times[index]:g} after "
            f"{times[index - 1]:g}"
        )
    if len(steps) and (usual := float(np.median(steps))) > MAX_INTERVAL_S:
        raise ValueError(
            f"{where}: times_s lie {usual:g} s apart, at most {MAX_INTERVAL_S:g} s can be; "
            "they are in seconds"
        )
    return times.tolist()


def _described(shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape))} numbers" if shape else "one number"
