"""The messages of a session in an mcap bag beside its episodes, without ROS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from sernf_isaac.data.bags.file import check_installed
from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.ros.messages import JOINTS, POSE, TOPICS, Fields, messages_of
from sernf_isaac.deploy.ros.stamps import Stamps

PARTS = {
    JOINTS: {"header": "std_msgs/msg/Header"},
    POSE: {"header": "std_msgs/msg/Header", "pose": "geometry_msgs/msg/Pose"},
    "std_msgs/msg/Header": {"stamp": "builtin_interfaces/msg/Time"},
    "geometry_msgs/msg/Pose": {
        "position": "geometry_msgs/msg/Point",
        "orientation": "geometry_msgs/msg/Quaternion",
    },
}
"""Types of the messages within messages."""


class BagRecorder:
    """Writes glimpses; use `note` inside an `Aside`. A bag that was not closed lacks its index.

    Args:
        path: New folder.
        joint_names: In the order of joint vectors.
        namespace: Of the topics.

    Raises:
        ValueError: If the package rosbags is missing, or the folder exists.
    """

    def __init__(self, path: Path, joint_names: Sequence[str], namespace: str) -> None:
        check_installed()
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        if path.exists():
            raise ValueError(f"{path} exists; a bag is written into a new folder")
        path.parent.mkdir(exist_ok=True)
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._names, self._stamps = joint_names, Stamps()
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(f"/{namespace}/{topic}", kind, typestore=self._store)
            for topic, kind in TOPICS.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def note(self, glimpse: Glimpse) -> None:
        """Write what is told of a glimpse.

        Raises:
            OSError: If the disk is full.
        """
        stamp_ns = self._stamps.of(glimpse.time_s)
        for message in messages_of(glimpse, self._names, stamp_ns):
            kind = TOPICS[message.topic]
            data = self._store.serialize_cdr(self._made(kind, message.fields), kind)
            self._writer.write(self._connections[message.topic], stamp_ns, data)

    def _made(self, kind: str, fields: Fields) -> Any:  # noqa: ANN401  # rosbags makes the types
        parts = PARTS.get(kind, {})
        values = {
            name: self._made(parts[name], value) if name in parts else _value(value)
            for name, value in fields.items()
        }
        return self._store.types[kind](**values)


def _value(value: object) -> Any:  # noqa: ANN401  # as rosbags takes it
    """Numbers in a list are an array there, names stay a list."""
    is_numbers = isinstance(value, list) and not any(isinstance(item, str) for item in value)
    return np.array(value, np.float64) if is_numbers else value
