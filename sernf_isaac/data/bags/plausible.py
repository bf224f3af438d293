"""Whether a topic's numbers can be what they are said to be: units, and one publisher."""

import numpy as np

from sernf_isaac.data.bags.layout import Signal
from sernf_isaac.data.bags.messages import ROTATION, Kind
from sernf_isaac.data.episode import Array

FARTHEST_RAD, FARTHEST_M = 25.0, 20.0
"""No joint makes four turns and no arm reaches so far; degrees and millimetres soon do."""
SCALES = {"deg": np.pi / 180.0, "mm": 1e-3}
POSITION = slice(0, 3)
APART = 0.02
"""rad or m: two publishers are farther apart than an encoder's last digit."""
FEWEST = 8


def in_units(where: str, message: Array, values: Array, signal: Signal) -> Array:
    """(S, D) numbers in radians and metres.

    Args:
        where: Bag and topic, for errors.
        message: (S,) number of each row's message.
        values: (S, D) as recorded.
        signal: With its unit.

    Raises:
        ValueError: If a number is not finite, or cannot be in radians or metres and no unit is
            named; names joint, message and value.
    """
    if not (finite := np.isfinite(values)).all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        name = signal.joints[column] if signal.joints else f"number {column}"
        raise ValueError(f"{where}, message {message[row]}: {name} is {values[row, column]}")
    is_pose = not signal.joints and values.shape[1] == ROTATION.stop
    if is_pose and signal.unit in ("rad", "deg"):
        raise ValueError(f"{where}: unit {signal.unit} is for joints; of a pose it is m or mm")
    scaled = values.copy()
    columns = POSITION if is_pose else slice(None)
    scaled[:, columns] *= SCALES.get(signal.unit, 1.0)
    if not signal.unit and (is_pose or (signal.joints and signal.field == "position")):
        _check_reach(where, message, scaled[:, columns], signal, is_pose=is_pose)
    return scaled


def _check_reach(
    where: str, message: Array, values: Array, signal: Signal, *, is_pose: bool
) -> None:
    limit, unit, other = (FARTHEST_M, "m", "mm") if is_pose else (FARTHEST_RAD, "rad", "deg")
    far = np.abs(values) > limit
    if far.any():
        row, column = (int(i) for i in np.argwhere(far)[0])
        name = "xyz"[column] if is_pose else signal.joints[column]
        raise ValueError(
            f"{where}, message {message[row]}: {name} is {values[row, column]:g}, more than "
            f"{limit:g} {unit}; say in the layout what it is: unit: {other} is converted, unit: "
            f"{unit} takes it as it is"
        )


def check_one_publisher(
    where: str, message: Array, times_s: Array, values: Array, signal: Signal, kind: Kind
) -> None:
    """An error if two publishers take turns on a topic.

    Args:
        where: Bag and topic, for errors.
        message: (S,) number of each row's message.
        times_s: (S,) its stamp.
        values: (S, D).
        signal: With its joints.
        kind: Of the messages.

    Raises:
        ValueError: If two messages of one stamp differ, or values jump to and fro all the time;
            names messages and values.
    """
    if kind.has_rotation:
        values = values.copy()
        values[:, ROTATION] = _of_one_sign(values[:, ROTATION])
    steps = np.abs(np.diff(values, axis=0))
    if (clash := (steps > 1e-9) & (np.diff(times_s) <= 0)[:, None]).any():
        row, column = (int(i) for i in np.argwhere(clash)[0])
        name = signal.joints[column] if signal.joints else f"number {column}"
        first, second = values[row, column], values[row + 1, column]
        raise ValueError(
            f"{where}: messages {message[row]} and {message[row + 1]} have one stamp, but {name} "
            f"is {first:g} in one and {second:g} in the other: do two publishers share the topic? "
            "Record them apart; if the driver's stamps are coarse, set clock: receive"
        )
    is_place = kind.has_rotation or (signal.joints and signal.field == "position")
    if not is_place or len(values) < FEWEST:
        return
    to_next = np.linalg.norm(np.diff(values, axis=0), axis=1)
    to_second = np.linalg.norm(values[2:] - values[:-2], axis=1)
    if np.median(to_next) > APART and np.median(to_second) < 0.2 * np.median(to_next):
        raise ValueError(
            f"{where}: its values jump to and fro by {np.median(to_next):.3g} from message to "
            "message: do two publishers share the topic? Stop one, or record them apart"
        )


def _of_one_sign(quats_xyzw: Array) -> Array:
    """(S, 4) the same rotations, each with the sign that is nearer to the one before."""
    flips = np.sum(quats_xyzw[1:] * quats_xyzw[:-1], axis=1) < 0
    signs = np.cumprod(np.append(1.0, np.where(flips, -1.0, 1.0)))
    return quats_xyzw * signs[:, None]
