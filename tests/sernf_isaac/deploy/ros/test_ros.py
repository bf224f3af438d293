"""A session on ROS topics and in a bag: formats without ROS, and the stop topic's way."""

import importlib
import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.loop.states import Reason, Request, State
from sernf_isaac.deploy.ros import bridge
from sernf_isaac.deploy.ros.bridge import RosBridge
from sernf_isaac.deploy.ros.messages import EMPTY, TOPICS, messages_of
from sernf_isaac.deploy.ros.recorder import BagRecorder
from sernf_isaac.deploy.ros.settings import RosOptions

NAMES = ("wrist", "thumb", "index")
POSE = np.array([0.01, 0.02, 0.03, 0.0, 0.6, 0.0, 0.8])
MIDDLE = np.array([0.0, 0.5, -0.5])
STAMP_NS = 1_700_000_000_123_456_789


@pytest.fixture
def machine(make_hand):
    link, clock, _ = make_hand()
    return SimpleNamespace(link=link, clock=clock)


def wait(machine, seconds=0.2):
    for _ in range(round(seconds / 0.02)):
        machine.link.alive()
        machine.clock.sleep_until(machine.clock.now() + 0.02)


def driven(machine):
    """The hand after it was led to READY."""
    machine.link.send(Request.RAMP, MIDDLE + 0.1)
    wait(machine, 5.0)
    assert machine.link.state().state is State.READY


def glimpse_of(machine, pose=POSE):
    return Glimpse(machine.clock.now(), machine.link.state(), eid="one", pose=pose)


def test_messages_say_what_was_seen(machine):
    told = {m.topic: m.fields for m in messages_of(glimpse_of(machine), NAMES, STAMP_NS)}
    assert set(told) == set(TOPICS)
    joints = told["joint_states"]
    assert joints["name"] == list(NAMES)
    assert joints["header"]["stamp"] == {"sec": 1_700_000_000, "nanosec": 123_456_789}
    np.testing.assert_allclose(joints["position"], machine.link.state().joint_pos)
    np.testing.assert_allclose(told["command"]["position"], machine.link.state().sent)
    assert told["object"]["pose"]["orientation"] == {"x": 0.0, "y": 0.6, "z": 0.0, "w": 0.8}
    assert told["state"] == {"data": "OFF NONE"}
    between = messages_of(glimpse_of(machine, np.zeros(0)), NAMES, STAMP_NS)
    assert "object" not in {message.topic for message in between}


def test_a_bag_holds_the_messages_for_ros_to_read(machine, tmp_path):
    rosbags = pytest.importorskip("rosbags.rosbag2", reason="needs the extra 'bags'")
    from rosbags.typesys import Stores, get_typestore

    glimpses = [glimpse_of(machine), glimpse_of(machine, np.zeros(0))]
    with BagRecorder(tmp_path / "bags" / "one", NAMES, "lab/left") as recorder:
        for glimpse in glimpses:
            recorder.note(glimpse)
    store, found = get_typestore(Stores.ROS2_JAZZY), {}
    with rosbags.Reader(tmp_path / "bags" / "one") as reader:
        for connection, _, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((connection.msgtype, message))
    assert {topic: len(messages) for topic, messages in found.items()} == {
        "/lab/left/joint_states": 2,
        "/lab/left/command": 2,
        "/lab/left/state": 2,
        "/lab/left/object": 1,
    }
    kind, pose = found["/lab/left/object"][0]
    assert kind == "geometry_msgs/msg/PoseStamped" and pose.header.frame_id == "hand_root"
    assert (pose.pose.position.z, pose.pose.orientation.w) == (0.03, 0.8)
    _, joints = found["/lab/left/joint_states"][0]
    assert joints.name == list(NAMES)
    np.testing.assert_allclose(joints.position, machine.link.state().joint_pos)
    with pytest.raises(ValueError, match="one exists"):
        BagRecorder(tmp_path / "bags" / "one", NAMES, "lab/left")


class PretendedRos:
    """As much of rclpy as the bridge uses; messages go to lists."""

    def __init__(self):
        self.published, self.heard, self.broken = {}, {}, None
        self.turn = threading.Event()
        self.executors = SimpleNamespace(SingleThreadedExecutor=lambda context: self)
        self.ended = []

    def Context(self):  # noqa: N802
        return object()

    def init(self, context):
        pass

    def shutdown(self, context):
        self.ended.append("context")

    def create_node(self, name, namespace, context):
        self.namespace = namespace
        return self

    def add_node(self, node):
        assert node is self

    def destroy_node(self):
        self.ended.append("node")

    def create_publisher(self, kind, topic, queued):
        messages = self.published.setdefault(topic, [])
        return SimpleNamespace(publish=messages.append)

    def create_subscription(self, kind, topic, call, queued):
        self.heard[topic] = call

    def spin_once(self, timeout_sec):
        if self.broken:
            raise self.broken
        self.turn.wait(0.01)


class Message(SimpleNamespace):
    """A message with the parts that it has."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, Message())
        return getattr(self, name)


@pytest.fixture
def ros(monkeypatch):
    pretended = PretendedRos()
    monkeypatch.setattr(bridge, "require_ros", lambda: pretended)
    for kind in {*TOPICS.values(), EMPTY}:
        package, _, name = kind.split("/")
        module = sys.modules.get(f"{package}.msg") or ModuleType(f"{package}.msg")
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
        monkeypatch.setitem(sys.modules, f"{package}.msg", module)
        setattr(module, name, Message)
    return pretended


def test_a_bridge_publishes_and_ends_what_it_began(machine, ros):
    with RosBridge(NAMES, "lab", machine.link.stop, lambda _: None) as published:
        published.note(glimpse_of(machine))
        assert ros.namespace == "/lab"
    assert {topic: len(messages) for topic, messages in ros.published.items()} == dict.fromkeys(
        TOPICS, 1
    )
    (pose,) = ros.published["object"]
    assert pose.pose.orientation.w == 0.8 and pose.header.frame_id == "hand_root"
    assert ros.published["state"][0].data == "OFF NONE"
    assert ros.ended == ["node", "context"]


def test_the_stop_topic_takes_the_torque_off_until_a_person_clears_it(machine, ros):
    driven(machine)
    told = []
    with RosBridge(NAMES, "lab", machine.link.stop, told.append):
        ros.heard["stop"](object())
        wait(machine)
        state = machine.link.state()
        assert (state.state, state.reason) == (State.OFF, Reason.STOPPED)
        assert told == ["the stop topic took the torque off; c clears it"]
        machine.link.send(Request.RAMP, MIDDLE)  # an actor cannot go on by itself
        wait(machine)
        assert machine.link.state().state is State.OFF
        machine.link.clear()
        wait(machine)
        machine.link.send(Request.RAMP, MIDDLE)
        wait(machine, 5.0)
        assert machine.link.state().state is State.READY


def test_a_stop_topic_that_is_not_heard_any_more_stops_the_machine(machine, ros):
    driven(machine)
    told = []
    with RosBridge(NAMES, "lab", machine.link.stop, told.append) as listening:
        ros.broken = RuntimeError("context is invalid")
        listening._thread.join(timeout=10.0)
        assert not listening._thread.is_alive()
    wait(machine)
    assert machine.link.state().reason is Reason.STOPPED
    assert "not heard any more" in told[0] and "context is invalid" in told[0]


def test_without_ros_the_error_says_what_to_do(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "rclpy", None)
    with pytest.raises(ValueError, match=r"source its setup.bash .* ros.record needs no ROS"):
        RosBridge(NAMES, "lab", machine.link.stop, lambda _: None)


def test_ros_is_imported_only_where_it_is_used():
    for module in ("messages", "recorder", "settings", "bridge"):
        importlib.import_module(f"sernf_isaac.deploy.ros.{module}")
    assert "rclpy" not in sys.modules


@pytest.mark.parametrize("name", ["/lab", "lab/", "9lab", "la b", ""])
def test_a_namespace_that_ros_would_refuse_is_named(name):
    with pytest.raises(ValueError, match=r"ros.namespace"):
        RosOptions(namespace=name)
