"""A session on the topics of ROS 2; `messages.py` lists them. The only file that needs ROS.

The stop topic is one more stop key: it goes the way of the keyboard's, through the machine's own
states, and only a person at the terminal can clear it. If the listening breaks, it stops the
machine by itself, because whoever relies on the topic could not any more.
"""

import importlib
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Self

from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.ros.messages import EMPTY, STOP, TOPICS, Fields, messages_of
from sernf_isaac.deploy.ros.stamps import Stamps

QUEUED = 10
"""Messages that ROS keeps for a slow subscriber."""
TURN_S = 0.1
"""How long a turn of listening may wait."""


def require_ros() -> ModuleType:
    """The package rclpy.

    Raises:
        ValueError: If it is not there; says how to get it.
    """
    try:
        importlib.import_module("rclpy.executors")
        return importlib.import_module("rclpy")
    except ImportError as error:
        raise ValueError(
            f"ros.publish needs ROS 2, whose rclpy cannot be imported here ({error}); it is in no "
            "package index: source its setup.bash in this shell and run with the Python that it "
            "was built for (3.12 in Jazzy), or leave ros.publish off; ros.record needs no ROS"
        ) from error


class RosBridge:
    """Publishes glimpses and listens to the stop topic; use `note` inside an `Aside`.

    Args:
        joint_names: In the order of joint vectors.
        namespace: Of node and topics.
        stop: Presses the machine's stop key.
        tell: Where messages for the person go.

    Raises:
        ValueError: If ROS 2 is not there.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        namespace: str,
        stop: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._ros = require_ros()
        self._names, self._stop, self._tell = joint_names, stop, tell
        self._stamps, self._over = Stamps(), threading.Event()
        self._context = self._ros.Context()
        self._ros.init(context=self._context)
        self._node = self._ros.create_node(
            "session", namespace=f"/{namespace}", context=self._context
        )
        self._types = {kind: _message_type(kind) for kind in {*TOPICS.values(), EMPTY}}
        self._publishers = {
            topic: self._node.create_publisher(self._types[kind], topic, QUEUED)
            for topic, kind in TOPICS.items()
        }
        self._node.create_subscription(self._types[EMPTY], STOP, self._stopped, QUEUED)
        self._executor = self._ros.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(timeout=2.0)
        self._node.destroy_node()
        self._ros.shutdown(context=self._context)

    def note(self, glimpse: Glimpse) -> None:
        """Publish what is told of a glimpse."""
        for message in messages_of(glimpse, self._names, self._stamps.of(glimpse.time_s)):
            made = _filled(self._types[TOPICS[message.topic]](), message.fields)
            self._publishers[message.topic].publish(made)

    def _stopped(self, _: object) -> None:
        self._stop()
        self._tell("the stop topic took the torque off; c clears it")

    def _listen(self) -> None:
        try:
            while not self._over.is_set():
                self._executor.spin_once(timeout_sec=TURN_S)
        except Exception as error:  # whatever it is, nobody hears the stop topic any more
            self._stop()
            self._tell(
                f"the stop topic is not heard any more, so the motors stop: "
                f"{type(error).__name__}: {error}"
            )


def _message_type(kind: str) -> type:
    """The class of a message, such as `std_msgs/msg/String`."""
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def _filled(message: Any, fields: Fields) -> Any:  # noqa: ANN401  # ROS makes the types
    """The message with these values; messages within it are filled where they are."""
    for name, value in fields.items():
        if isinstance(value, dict):
            _filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message
