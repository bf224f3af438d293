"""Messages of a ROS 2 bag as times, numbers and images."""

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sernf_isaac.data.bags.file import check_installed
from sernf_isaac.data.bags.layout import Signal
from sernf_isaac.data.bags.pixels import Message, fit_pixels
from sernf_isaac.data.episode import Array
from sernf_isaac.data.images.fit import Fit, decode

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

ROTATION = slice(3, 7)
"""Columns of a pose that are a quaternion, xyzw."""


@dataclass(frozen=True)
class Kind:
    """What to do with messages of one type."""

    numbers: Callable[..., list[float] | None] | None
    """From a decoded message and its signal, or None if the message is another publisher's; None:
    an image."""
    has_header: bool = True
    rule: str = "linear"
    has_rotation: bool = False


def _pose(message: Message, _: Signal) -> list[float]:
    p, q = message.pose.position, message.pose.orientation
    return [p.x, p.y, p.z, q.x, q.y, q.z, q.w]


def _transform(message: Message, _: Signal) -> list[float]:
    p, q = message.transform.translation, message.transform.rotation
    return [p.x, p.y, p.z, q.x, q.y, q.z, q.w]


def _wrench(message: Message, _: Signal) -> list[float]:
    f, t = message.wrench.force, message.wrench.torque
    return [f.x, f.y, f.z, t.x, t.y, t.z]


def _twist(message: Message, _: Signal) -> list[float]:
    v, w = message.twist.linear, message.twist.angular
    return [v.x, v.y, v.z, w.x, w.y, w.z]


def _joints(message: Message, signal: Signal) -> list[float] | None:
    names, values = list(message.name), getattr(message, signal.field)
    if not signal.joints:
        raise ValueError(f"name its joints in the layout: joints: [{', '.join(names)}]")
    if not set(signal.joints) & set(names):
        return None
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it names {', '.join(twice)} twice, with which of the numbers?")
    if missing := [name for name in signal.joints if name not in names]:
        raise ValueError(f"no joints {', '.join(missing)}; it has {', '.join(names)}")
    if len(values) != len(names):
        raise ValueError(f"{len(names)} names but {len(values)} numbers in {signal.field}")
    return [float(values[names.index(name)]) for name in signal.joints]


def _array(message: Message, _: Signal) -> list[float]:
    return [float(value) for value in message.data]


def _scalar(message: Message, _: Signal) -> list[float]:
    return [float(message.data)]


KINDS = {
    "sensor_msgs/msg/Image": Kind(None, rule="latest"),
    "sensor_msgs/msg/CompressedImage": Kind(None, rule="latest"),
    "sensor_msgs/msg/JointState": Kind(_joints),
    "geometry_msgs/msg/PoseStamped": Kind(_pose, has_rotation=True),
    "geometry_msgs/msg/TransformStamped": Kind(_transform, has_rotation=True),
    "geometry_msgs/msg/WrenchStamped": Kind(_wrench),
    "geometry_msgs/msg/TwistStamped": Kind(_twist),
    "std_msgs/msg/Float64MultiArray": Kind(_array, has_header=False),
    "std_msgs/msg/Float32MultiArray": Kind(_array, has_header=False),
    "std_msgs/msg/Float64": Kind(_scalar, has_header=False),
    "std_msgs/msg/Float32": Kind(_scalar, has_header=False),
    "std_msgs/msg/Int32": Kind(_scalar, has_header=False, rule="latest"),
    "std_msgs/msg/Bool": Kind(_scalar, has_header=False, rule="latest"),
}


def kind_of(msgtype: str) -> Kind:
    """What to do with messages of a type.

    Raises:
        ValueError: If they cannot be read; names those that can.
    """
    if msgtype not in KINDS:
        raise ValueError(f"type {msgtype} cannot be imported; known are {', '.join(KINDS)}")
    return KINDS[msgtype]


def header_stamp_ns(data: bytes) -> int:
    """The stamp at the start of a message that begins with a header, without decoding the rest.

    Raises:
        ValueError: If the message is too short, or its driver did not stamp it.
    """
    if len(data) < 12:
        raise ValueError(f"it has only {len(data)} bytes")
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    if not seconds and not nanoseconds:
        raise ValueError("its stamp is 0: the driver does not stamp; set clock: receive")
    if nanoseconds >= 10**9:
        raise ValueError(f"its stamp has {nanoseconds} nanoseconds")
    return seconds * 10**9 + nanoseconds


class Decoder:
    """Turns undecoded messages into numbers and images; one for a whole import."""

    def __init__(self) -> None:
        check_installed()
        self._types = _typestore()

    def numbers(self, data: bytes, msgtype: str, signals: list[Signal]) -> list[list[float] | None]:
        """What each of these signals takes from one message; None where it is not for it.

        Raises:
            ValueError: If the message is damaged or lacks something.
        """
        kind, message = kind_of(msgtype), self._decoded(data, msgtype)
        assert kind.numbers is not None
        return [kind.numbers(message, signal) for signal in signals]

    def image(self, data: bytes, msgtype: str, size: Fit) -> Array:
        """(3, height, width) uint8 from an image message.

        Raises:
            ValueError: If the message or the image is damaged, or its encoding is unknown.
        """
        message = self._decoded(data, msgtype)
        if msgtype != "sensor_msgs/msg/CompressedImage":
            return fit_pixels(message, size)
        try:
            return decode(message.data.tobytes(), size)
        except ValueError as error:
            raise ValueError(f"format {message.format!r}: {error}") from error

    def _decoded(self, data: bytes, msgtype: str) -> Message:
        try:
            return self._types.deserialize_cdr(data, msgtype)
        except Exception as error:  # the parser raises whatever it trips over
            raise ValueError(f"it is damaged: {error or type(error).__name__}") from error


@functools.cache
def _typestore() -> "Typestore":
    """Compiled once for all bags: that takes longer than reading a short one."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)
