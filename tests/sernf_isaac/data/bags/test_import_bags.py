"""ROS 2 bags: ten seconds of an arm, a hand and a camera; what is wrong with a bag is named."""

from dataclasses import replace

import numpy as np
import pytest
from bags import (
    CAMERA,
    COMMAND,
    HAND,
    HAND_COMMAND,
    POSE,
    STORAGE,
    TYPES,
    Topic,
    header,
    joints,
    layout,
    pose,
    position,
    raw_image,
    ticks,
    usual,
    write,
    yaw,
)

from sernf_isaac.data.bags.file import list_topics
from sernf_isaac.data.bags.layout import Signal, read_layout
from sernf_isaac.data.bags.load import load_bag

FIRST_S, LAST_S = 0.3, 9.9
"""The hand's joints come last, the arm's commands end first."""
GRID_S = np.linspace(FIRST_S, LAST_S, 97)


def changed(topic, **changes):
    topics = usual()
    topics[topic] = replace(topics[topic], **changes)
    return topics


@pytest.fixture(scope="module", params=STORAGE)
def bag(request, tmp_path_factory):
    """A recording that went well; the camera's clock lies between the steps."""
    topics = changed(CAMERA, times_s=ticks(30, -0.011, 10.1))
    return write(tmp_path_factory.mktemp("bags") / "good", topics, request.param)


@pytest.fixture(scope="module")
def imported(bag):
    return load_bag(bag, layout(), outcome="success")


def test_numbers_lie_on_straight_lines(imported):
    episode = imported.episode
    assert len(episode) == 96 and episode.outcome == "success" and episode.is_offline
    np.testing.assert_allclose(episode.observation["hand"], joints(GRID_S[:-1]), atol=1e-6)
    np.testing.assert_allclose(episode.observation["pose"][:, :3], position(GRID_S[:-1]), atol=1e-6)
    np.testing.assert_allclose(episode.action[:, :3], position(GRID_S[:-1]), atol=1e-6)
    np.testing.assert_allclose(episode.action[:, 7:], joints(GRID_S[:-1]), atol=1e-6)
    np.testing.assert_allclose(episode.final_observation["hand"], joints(GRID_S[-1]), atol=1e-6)
    assert episode.truncated[-1] and not episode.terminated.any()


def test_rotations_take_the_shortest_arc_and_one_sign(imported):
    quats = imported.episode.observation["pose"][:, 3:].astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1.0, atol=1e-6)
    assert (quats[:, 3] >= 0).all()
    turned = 2 * np.arctan2(quats[:, 2], quats[:, 3])
    error = (turned - yaw(GRID_S[:-1]) + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(error).max() < 1e-6


def test_images_are_the_newest_not_after_the_step_with_their_age(imported):
    images = imported.episode.observation["wrist"]
    ages_s = imported.episode.observation["wrist_age_s"][:, 0]
    taken_s = ticks(30, -0.011, 10.1)
    newest = np.array([np.flatnonzero(taken_s <= t + 1e-9)[-1] for t in GRID_S[:-1]])
    np.testing.assert_allclose(ages_s, GRID_S[:-1] - taken_s[newest], atol=1e-6)
    assert ages_s.min() >= 0 and 0 < ages_s.max() < 1 / 30
    assert images.shape == (96, 3, 24, 24) and images.dtype == np.uint8
    red = images[:, 0].reshape(96, -1).mean(axis=1)
    assert np.abs(red - newest % 250).max() < 3  # JPEG
    np.testing.assert_allclose(images[:, 2].mean(), 200, atol=3)


def test_events_earn_their_value_in_the_step_they_fall_into(imported):
    reward = imported.episode.reward
    assert np.flatnonzero(reward).tolist() == [47, 90]  # received at 5.004 and 9.304 s
    assert reward.sum() == 2 and imported.events_outside == 1


def test_what_lies_outside_the_episode_is_reported(imported):
    arm = imported.topics[POSE]
    assert (arm.samples, round(arm.rate_hz)) == (501, 50)
    assert arm.unused_before_s == pytest.approx(0.3) and arm.unused_after_s == pytest.approx(0.1)
    assert imported.topics[HAND].unused_before_s == pytest.approx(0.0)
    assert not imported.topics[CAMERA].gaps and imported.topics[CAMERA].max_age_s < 1 / 30


def test_the_sign_may_be_chosen_and_its_seam_is_warned_of(bag, imported):
    assert "sign flips" in imported.topics[POSE].lines(POSE)[0]
    turned = Signal(POSE, reference_xyzw=(0, 0, 1, 0))
    found = load_bag(bag, layout(observation={"pose": [turned]}))
    quats = found.episode.observation["pose"][:, 3:]
    assert (quats[:, 2] >= 0).all() and (quats[:, 3] < 0).any()


def test_other_rates_and_rules(bag):
    held = layout(rate_hz=20.0, action=[Signal(HAND_COMMAND, joints=["wrist"], rule="latest")])
    episode = load_bag(bag, held).episode
    grid_s = FIRST_S + np.arange(len(episode)) / 20
    np.testing.assert_allclose(episode.action[:, 0], joints(grid_s)[:, 0], atol=0.05 / 20 + 1e-6)
    assert len(np.unique(np.diff(grid_s).round(6))) == 1 and len(episode) == 194


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8", "rgba8", "mono8"])
def test_uncompressed_images_with_padded_rows(tmp_path, encoding):
    topics = {name: usual()[name] for name in (POSE, HAND_COMMAND)}
    times_s = ticks(10)
    topics["/raw"] = Topic("sensor_msgs/msg/Image", lambda t, i: raw_image(t, i, encoding), times_s)
    whole = write(tmp_path / "raw", topics)
    camera = Signal("/raw", height=12, width=10, crop=(4, 6, 24, 20))
    hand = Signal(HAND_COMMAND, joints=["wrist"])
    images = load_bag(whole, layout(observation={"c": [camera]}, action=[hand], reward=None))
    colours = images.episode.observation["c"].reshape(100, 3, -1)
    expected = [[i] * 3 if encoding == "mono8" else [i, 10, 200] for i in range(100)]
    np.testing.assert_array_equal(colours.max(axis=2), expected)
    np.testing.assert_array_equal(colours.min(axis=2), expected)


def test_threads_change_nothing(bag, imported):
    alone = load_bag(bag, layout(), outcome="success", threads=1).episode.to_arrays()
    for name, value in imported.episode.to_arrays().items():
        np.testing.assert_array_equal(alone[name], value)


def test_one_topic_may_serve_two_groups(bag):
    twice = {
        "hand": [Signal(HAND, joints=["thumb_abd", "wrist"])],
        "speed": [Signal(HAND, joints=["wrist"], field="velocity")],
    }
    episode = load_bag(bag, layout(observation=twice)).episode
    np.testing.assert_allclose(episode.observation["hand"], joints(GRID_S)[:-1, [2, 0]], atol=1e-6)
    assert not episode.observation["speed"].any()


# Gaps and clocks


def without(times_s, start_s, end_s):
    return times_s[(times_s <= start_s) | (times_s >= end_s)]


def test_short_silence_is_bridged_and_reported(tmp_path):
    topics = changed(POSE, times_s=without(ticks(50), 4.0, 4.4))
    found = load_bag(write(tmp_path / "gap", topics), layout())
    ((at_s, length_s),) = found.topics[POSE].gaps
    assert (at_s, length_s) == (pytest.approx(3.7), pytest.approx(0.4))
    assert any("silent for 0.40 s at 3.70 s" in line for line in found.topics[POSE].lines(POSE))


@pytest.mark.parametrize("topic", [POSE, CAMERA, HAND_COMMAND])
def test_long_silence_is_refused(tmp_path, topic):
    topics = changed(topic, times_s=without(usual()[topic].times_s, 4.0, 5.0))
    path = write(tmp_path / "gap", topics)
    with pytest.raises(ValueError, match=rf"gap: {topic} is silent for 1\..* from 4\..* max_gap"):
        load_bag(path, layout())
    assert load_bag(path, layout(max_gap_s=2.0)).topics[topic].gaps


def test_silence_outside_the_episode_does_not_matter(tmp_path):
    topics = changed(HAND_COMMAND, times_s=np.append(-5.0, ticks(20)))
    assert not load_bag(write(tmp_path / "early", topics), layout()).topics[HAND_COMMAND].gaps


def test_topics_that_do_not_overlap_are_named(tmp_path):
    path = write(tmp_path / "apart", changed(COMMAND, times_s=ticks(25, 10.05, 12)))
    with pytest.raises(
        ValueError, match=rf"apart: the topics share less .* ends at .*{COMMAND} begins"
    ):
        load_bag(path, layout())


def restamped(shift_s):
    """Messages from number 250 on, stamped by a clock that was set."""

    def make(time_s, index):
        shifted = header(time_s + (shift_s if index >= 250 else 0.0))
        return replace(pose(time_s, index), header=shifted)

    return make


@pytest.mark.parametrize("shift_s", [3600.0, -3600.0, 1.5, -0.5])
def test_a_clock_that_jumps_is_named(tmp_path, shift_s):
    path = write(tmp_path / "jump", changed(POSE, make=restamped(shift_s)))
    with pytest.raises(ValueError, match=rf"{POSE}: its clock jumps by [+-].* at message 250"):
        load_bag(path, layout())
    received = {"pose": [Signal(POSE, clock="receive")]}
    found = load_bag(path, layout(observation=received))
    late_s = 0.1 - 0.004 + np.arange(len(found.episode)) / 10  # commands begin at 0.1 s
    np.testing.assert_allclose(found.episode.observation["pose"][:, 0], 0.1 * late_s, atol=1e-6)


def test_clocks_that_disagree_are_named(tmp_path):
    late = changed(POSE, make=lambda t, i: replace(pose(t, i), header=header(t + 3600)))
    path = write(tmp_path / "two", late)
    with pytest.raises(ValueError, match=r"clocks of /arm/pose and .* differ by 3600\.000 s"):
        load_bag(path, layout())


def test_a_recorder_that_stalls_is_no_jump(tmp_path):
    topics = usual()
    for topic in topics.values():
        topic.change = {
            i: lambda m, ns, d: (m, max(ns, 1_700_000_005_000_000_000), d)
            for i in np.flatnonzero((topic.times_s > 3) & (topic.times_s < 5))
        }
    found = load_bag(write(tmp_path / "stall", topics), layout(reward=None))
    np.testing.assert_allclose(found.episode.observation["hand"], joints(GRID_S[:-1]), atol=1e-6)


def test_repeated_stamps_keep_the_last_and_are_reported(tmp_path):
    times_s = np.sort(np.append(ticks(50), [2.0, 3.0]))
    found = load_bag(write(tmp_path / "twice", changed(POSE, times_s=times_s)), layout())
    assert found.topics[POSE].repeated == 2
    np.testing.assert_allclose(
        found.episode.observation["pose"][:, :3], position(GRID_S[:-1]), atol=1e-6
    )


# What is wrong is named


def garbled(message, receive_ns, data):
    return message, receive_ns, data[: len(data) // 2]


def unstamped(message, receive_ns, data):
    return message, receive_ns, data[:4] + bytes(8) + data[12:]


def with_position(values):
    def change(message, receive_ns, data):
        return replace(message, position=np.asarray(values, float)), receive_ns, b""

    return change


def with_names(names):
    def change(message, receive_ns, data):
        return replace(message, name=names), receive_ns, b""

    return change


def lengthened(message, receive_ns, data):
    q = replace(message.pose.orientation, w=3.0)
    return replace(message, pose=replace(message.pose, orientation=q)), receive_ns, b""


@pytest.mark.parametrize(
    ("topic", "change", "message"),
    [
        (POSE, garbled, f"{POSE}, message 30: it is damaged"),
        (HAND, garbled, f"{HAND}, message 30: it is damaged"),
        (CAMERA, garbled, f"{CAMERA}, message 30: "),
        (POSE, lambda m, ns, d: (m, ns, d[:7]), f"{POSE}, message 30: it has only 7 bytes"),
        (POSE, unstamped, f"{POSE}, message 30: its stamp is 0: .* clock: receive"),
        (HAND, with_position([0.1, np.nan, 0.2]), f"{HAND}, message 30: wrist is nan"),
        (HAND, with_position([0.1, 0.2]), f"{HAND}, message 30: 3 names but 2 numbers"),
        (
            HAND,
            with_names(["a", "wrist", "c"]),
            f"{HAND}, message 30: no joints index_mcp, .* a, w",
        ),
        (
            HAND,
            with_names(["wrist", "index_mcp", "wrist"]),
            f"{HAND}, message 30: it names wrist twice",
        ),
        (POSE, lengthened, f"{POSE}: quaternion has length .* at index 30"),
    ],
)
def test_a_bad_message_is_named(tmp_path, topic, change, message):
    path = write(tmp_path / "bad", changed(topic, change={30: change}))
    with pytest.raises(ValueError, match=rf"bad: {message}"):
        load_bag(path, layout())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"observation": {"p": [Signal("/arm/poze")]}}, "no topic /arm/poze; did you mean /arm/p"),
        ({"observation": {"p": [Signal("/x")]}}, "no topic /x; it has /arm/command, /arm/pose"),
        ({"observation": {"h": [Signal(HAND)]}}, r"message 0: name its joints .*\[thumb_abd, wr"),
        (
            {"observation": {"h": [Signal(HAND, joints=["wrist"], field="effort")]}},
            "message 0: 3 names but 0 numbers in effort",
        ),
        (
            {"observation": {"w": [Signal(CAMERA), Signal(POSE)]}},
            "observation.w: a camera must be a group of its own",
        ),
        (
            {"observation": {"w": [Signal(CAMERA, crop=(0, 0, 60, 60))]}},
            r"message \d+: .*crop .* reaches beyond an image of 48 x 64",
        ),
    ],
)
def test_a_layout_that_does_not_fit_the_bag_is_named(bag, settings, message):
    with pytest.raises(ValueError, match=rf"good: .*{message}"):
        load_bag(bag, layout(**settings))


def test_missing_bags_and_empty_topics_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no bag at"):
        load_bag(tmp_path / "none", layout())
    path = write(tmp_path / "empty", changed(POSE, times_s=np.zeros(0)))
    with pytest.raises(ValueError, match=f"empty: {POSE} has no messages"):
        load_bag(path, layout())
    assert list_topics(path)[HAND] == ("sensor_msgs/msg/JointState", 195)


def test_a_type_that_cannot_be_read_is_named(tmp_path):
    topics = usual()
    joy = TYPES.types["sensor_msgs/msg/Joy"]
    empty = np.zeros(0, np.float32)
    topics[POSE] = Topic(
        "sensor_msgs/msg/Joy",
        lambda t, i: joy(header=pose(t).header, axes=empty, buttons=empty.astype(np.int32)),
        ticks(100),
    )
    path = write(tmp_path / "joy", topics)
    with pytest.raises(ValueError, match=r"type sensor_msgs/msg/Joy cannot be imported; known"):
        load_bag(path, layout())


def storage_file(bag):
    (path,) = [path for path in bag.iterdir() if path.suffix in (".db3", ".mcap")]
    return path


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("part", [0.0, 0.4, 0.999])
def test_a_truncated_bag_is_named(tmp_path, storage, part):
    path = write(tmp_path / "cut", usual(), storage)
    file = storage_file(path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)])
    with pytest.raises(ValueError, match=r"cut is damaged or no ROS 2 bag: .*reindex"):
        load_bag(path, layout())


def test_a_corrupt_bag_is_refused_or_whole(tmp_path):
    """Bytes that are overwritten anywhere never end in another kind of error."""
    random = np.random.default_rng(0)
    refused = 0
    for storage in STORAGE:
        path = write(tmp_path / storage, usual(), storage)
        file, whole = storage_file(path), storage_file(path).read_bytes()
        for _ in range(6):
            at = int(random.integers(len(whole) - 64))
            file.write_bytes(whole[:at] + random.bytes(64) + whole[at + 64 :])
            try:
                assert len(load_bag(path, layout()).episode) == 96
            except ValueError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused >= 3


def test_a_recording_that_was_not_finished_is_named(tmp_path):
    path = write(tmp_path / "killed", usual())
    log = path / "killed.db3-wal"
    log.write_bytes(b"messages")
    with pytest.raises(ValueError, match=r"killed is no finished bag: killed.db3-wal holds"):
        load_bag(path, layout())
    log.unlink()
    (path / "metadata.yaml").unlink()
    with pytest.raises(ValueError, match=r"killed is no finished bag: it has no metadata.yaml"):
        load_bag(path, layout())
    assert len(load_bag(storage_file(path), layout()).episode) == 96


@pytest.mark.parametrize("storage", STORAGE)
def test_fewer_messages_than_claimed_are_noticed(tmp_path, storage):
    path = write(tmp_path / "lost", usual(), storage)
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("message_count: 501", "message_count: 502"))
    with pytest.raises(ValueError, match=rf"{POSE} has 501 messages, the bag claims 502"):
        load_bag(path, layout())


# The layout's file

LAYOUT = """
rate_hz: 20
observation:
  pose: [{topic: /arm/pose, reference_xyzw: [1, 0, 0, 0]}]
  wrist: [{topic: /wrist/image_raw, height: 96, width: 96, crop: [0, 80, 480, 480]}]
action:
  - {topic: /arm/command}
  - {topic: /hand/command, joints: [wrist, index_mcp]}
reward: {topic: /operator/reward, clock: receive}
"""


def test_a_layout_file_becomes_a_layout(tmp_path):
    path = tmp_path / "layout.yaml"
    path.write_text(LAYOUT)
    found = read_layout(path)
    assert (found.rate_hz, found.max_gap_s) == (20.0, 0.5)
    assert list(found.observation) == ["pose", "wrist"]
    assert found.observation["wrist"][0].fit().box(480, 640) == (80, 0, 560, 480)
    assert found.action[1].joints == ["wrist", "index_mcp"]
    assert found.reward is not None and found.reward.clock == "receive"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate_hz", "rate", "layout has an unknown setting 'rate'; did you mean 'rate_hz'"),
        ("joints", "joint", r"action\[1\] has an unknown setting 'joint'; did you mean 'joints'"),
        ("rate_hz: 20", "rate_hz: fast", "rate_hz"),
        ("rate_hz: 20", "rate_hz: 0", r"rate_hz \(0.0\) must be > 0"),
        ("action:", "motion:", "unknown setting 'motion'"),
        ("receive", "wall", "reward: /operator/reward: clock 'wall' is none of header, receive"),
        ("[1, 0, 0, 0]", "[0, 0, 0, 0]", "reference_xyzw .* is no rotation"),
        ("height: 96", "height: 0", r"image size \(0, 96\) must be at least"),
        ("[wrist, index_mcp]", "[wrist, wrist]", "joints name one twice"),
        ("{topic: /arm/command}", "{rule: linear}", r"action\[0\] lacks topic"),
        ("{topic: /arm/command}", "/arm/command", r"action\[0\] is '/arm/command', expected"),
        ("pose: [", "pose: [[", ""),
    ],
)
def test_what_is_wrong_in_a_layout_file_is_named(tmp_path, old, new, message):
    path = tmp_path / "layout.yaml"
    path.write_text(LAYOUT.replace(old, new))
    with pytest.raises(ValueError, match=rf"layout.yaml: .*{message}"):
        read_layout(path)


def test_a_missing_layout_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no layout at"):
        read_layout(tmp_path / "none.yaml")
