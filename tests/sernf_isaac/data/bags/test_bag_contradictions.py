"""Bags whose topics contradict each other or their units are refused; foreign messages are not."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bags import (
    CAMERA,
    HAND,
    HAND_COMMAND,
    JOINTS,
    MESSAGE,
    POSE,
    Topic,
    header,
    joint_state,
    joints,
    layout,
    pixels,
    pose,
    raw_image,
    ticks,
    usual,
    write,
)
from PIL import Image

from sernf_isaac.data.bags.layout import Signal, read_layout
from sernf_isaac.data.bags.load import ImportedBag, load_bag
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import bag_readings

NAMES = list(JOINTS)
HAND_ONLY = {
    "observation": {"hand": [Signal(HAND, joints=NAMES)]},
    "action": [Signal(HAND_COMMAND, joints=NAMES)],
    "reward": None,
}


def hand_bag(folder: Path, **topics: Topic) -> Path:
    """The hand's joints and commands, and other topics."""
    known = {name: usual()[name] for name in (HAND, HAND_COMMAND)}
    return write(folder, known | topics)


def load(path: Path, **changes: object) -> ImportedBag:
    return load_bag(path, layout(**HAND_ONLY | changes))


def scaled(make: Callable, factor: float) -> Callable:
    def changed(time_s: float, index: int) -> object:
        message = make(time_s, index)
        return replace(message, position=factor * message.position)

    return changed


# Clocks and rates


def behind(make: Callable, late_s: Callable[[float], float]) -> Callable:
    return lambda t, i: replace(make(t, i), header=header(t - late_s(t)))


@pytest.mark.parametrize("late_s", [lambda t: 0.8, lambda t: 0.08 * t, lambda t: 0.08 * (10 - t)])
def test_clocks_that_differ_or_drift_apart_are_refused(tmp_path: Path, late_s: Callable) -> None:
    late = replace(usual()[HAND_COMMAND], make=behind(joint_state, late_s))
    path = hand_bag(tmp_path / "late", **{HAND_COMMAND: late})
    said = rf"late: the clocks of {HAND} and {HAND_COMMAND} differ by 0\.[78]\d+ s, [78]\.\d+ steps"
    with pytest.raises(ValueError, match=said):
        load(path)
    assert "differ" in load(path, max_clock_offset_s=1.0).remarks()[0]


def test_offsets_of_clocks_are_told_in_steps(tmp_path: Path) -> None:
    assert load(hand_bag(tmp_path / "a")).remarks()[0] == (
        "the clocks of all topics agree to 0.00 steps"
    )
    late = replace(usual()[HAND_COMMAND], make=behind(joint_state, lambda t: 0.3))
    remark = load(hand_bag(tmp_path / "b", **{HAND_COMMAND: late})).remarks()[0]
    assert f"{HAND} and {HAND_COMMAND} differ by 0.300 s, 3.00 steps" in remark


def test_topics_slower_than_the_steps_are_not_made_up(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "slow", **{HAND: replace(usual()[HAND], times_s=ticks(10, 0.3))})
    with pytest.raises(ValueError, match=rf"{HAND} is sampled at 10 Hz, .* asks for 50 steps per"):
        load(path, rate_hz=50.0, max_gap_s=1.0)
    held = {"hand": [Signal(HAND, joints=NAMES, rule="latest")]}
    assert len(load(path, rate_hz=40.0, observation=held).episode) > 300
    told = load(path, rate_hz=16.0).topics[HAND].lines(HAND)
    assert f"{HAND}: sampled at 10 Hz, the steps are at 16 Hz: some numbers are drawn" in told[0]


# Publishers


def other_joints(time_s: float, _index: int) -> object:
    return replace(joint_state(time_s), name=["a", "b", "c"])


def mixed(folder: Path, make: Callable, late_s: float) -> Path:
    """Another publisher writes to the hand's topic too."""
    real, times_s = usual()[HAND], usual()[HAND].times_s
    both = np.sort(np.concatenate([times_s, times_s + late_s]))
    return hand_bag(
        folder,
        **{
            HAND: replace(
                real, times_s=both, make=lambda t, i: (make if i % 2 else joint_state)(t, i)
            )
        },
    )


def test_messages_of_another_publisher_are_left_out_and_counted(tmp_path: Path) -> None:
    found = load(mixed(tmp_path / "two", other_joints, 0.01))
    alone = load(hand_bag(tmp_path / "one"))
    np.testing.assert_array_equal(
        found.episode.observation["hand"], alone.episode.observation["hand"]
    )
    count = len(usual()[HAND].times_s)
    assert found.topics[HAND].foreign == count
    assert any(f"{HAND}: {count} messages have none of the joints" in r for r in found.remarks())


def test_clocks_of_other_publishers_do_not_matter(tmp_path: Path) -> None:
    late = behind(other_joints, lambda t: 40.0)
    found = load(mixed(tmp_path / "two", late, 0.01))
    assert found.remarks()[0] == "the clocks of all topics agree to 0.00 steps"


def test_a_topic_of_nothing_but_other_joints_is_named(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "b", **{HAND: replace(usual()[HAND], make=other_joints)})
    with pytest.raises(ValueError, match=rf"{HAND}: none of its 195 messages names any of wrist, "):
        load(path)


def zeros(time_s: float, index: int) -> object:
    return replace(joint_state(time_s, index), position=np.full(3, -3.0))


@pytest.mark.parametrize(
    ("late_s", "message"),
    [(0.0, "messages 0 and 1 have one stamp, but wrist is"), (0.01, "its values jump to and fro")],
)
def test_two_publishers_of_the_same_joints_are_refused(
    tmp_path: Path, late_s: float, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"two: {HAND}: {message}"):
        load(mixed(tmp_path / "two", zeros, late_s))


def test_a_jump_within_a_bag_is_told_of(tmp_path: Path) -> None:
    def jumping(time_s: float, index: int) -> object:
        message = joint_state(time_s, index)
        return replace(message, position=message.position + 2.0 * (time_s > 6))

    path = hand_bag(tmp_path / "jump", **{HAND: replace(usual()[HAND], make=jumping)})
    info, readings = bag_readings([path], layout(**HAND_ONLY), "unknown", is_offline=True)
    told = import_run(tmp_path / "out", info, readings).remarks()
    assert any("hand jumps from" in line for line in told)


# Units


def test_degrees_are_converted_where_the_layout_says_so(tmp_path: Path) -> None:
    degrees = replace(usual()[HAND], make=scaled(joint_state, 180 / np.pi))
    path = hand_bag(tmp_path / "deg", **{HAND: degrees})
    with pytest.raises(ValueError, match=r"index_mcp is 5\d\.\d+, more than 25 rad; .* unit: deg"):
        load(path)
    told = {"hand": [Signal(HAND, joints=NAMES, unit="deg")]}
    seen = load(path, observation=told).episode.observation["hand"]
    np.testing.assert_allclose(seen[0], joints(0.3), atol=1e-6)
    as_it_is = {"hand": [Signal(HAND, joints=NAMES, unit="rad")]}
    assert load(path, observation=as_it_is).episode.observation["hand"].max() > 50


def test_millimetres_are_converted_where_the_layout_says_so(tmp_path: Path) -> None:
    def in_mm(time_s: float, index: int) -> object:
        message = pose(time_s, index)
        p = message.pose.position
        moved = replace(p, x=1000 * p.x, y=1000 * p.y, z=1000 * p.z)
        return replace(message, pose=replace(message.pose, position=moved))

    path = hand_bag(tmp_path / "mm", **{POSE: replace(usual()[POSE], make=in_mm)})
    with pytest.raises(ValueError, match=r"/arm/pose, message 0: y is 500, more than 20 m; .* mm"):
        load(path, observation={"pose": [Signal(POSE)]})
    seen = load(path, observation={"pose": [Signal(POSE, unit="mm")]}).episode.observation["pose"]
    np.testing.assert_allclose(seen[0, :3], [0.0, 0.5, 0.3], atol=1e-5)
    with pytest.raises(ValueError, match="unit deg is for joints; of a pose it is m or mm"):
        load(path, observation={"pose": [Signal(POSE, unit="deg")]})


# Pictures

DEPTH = np.tile(np.linspace(300, 4000, 64).astype(np.uint16), (48, 1))


def picture(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def compressed(data: bytes, form: str) -> Topic:
    def make(time_s: float, _index: int) -> object:
        kind = MESSAGE["sensor_msgs/msg/CompressedImage"]
        return kind(header=header(time_s), format=form, data=np.frombuffer(data, np.uint8))

    return Topic("sensor_msgs/msg/CompressedImage", make, ticks(10))


def raw(values: np.ndarray, encoding: str) -> Topic:
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)

    def make(time_s: float, index: int) -> object:
        return replace(
            raw_image(time_s, index),
            encoding=encoding,
            step=rows.shape[1],
            width=64,
            data=rows.reshape(-1),
        )

    return Topic("sensor_msgs/msg/Image", make, ticks(10))


DEEP = {
    "png": compressed(picture(DEPTH), "16UC1; png compressed "),
    "16UC1": raw(DEPTH, "16UC1"),
    "mono16": raw(DEPTH, "mono16"),
    "32FC1": raw(DEPTH.astype(np.float32), "32FC1"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_depth_is_refused_or_shown_as_the_layout_says(tmp_path: Path, kind: str) -> None:
    path = hand_bag(tmp_path / "depth", **{"/depth": DEEP[kind]})
    camera = Signal("/depth", height=48, width=64)
    with pytest.raises(ValueError, match=r"/depth, message \d+: .*values 300 to 4000.*range"):
        load(path, observation={"depth": [camera]})
    shown = replace(camera, range=(300.0, 4000.0))
    seen = load(path, observation={"depth": [shown]}).episode.observation["depth"]
    expected = np.round((DEPTH[0] - 300.0) / 3700 * 255)
    np.testing.assert_array_equal(seen[0, :, 10], np.tile(expected, (3, 1)))


def test_a_range_is_not_for_pictures_of_bytes(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "colour", **{CAMERA: usual()[CAMERA]})
    with pytest.raises(ValueError, match="image has 8 bits per channel; a range is for"):
        load(path, observation={"c": [Signal(CAMERA, range=(0, 9))]})
    with pytest.raises(ValueError, match=r"range \(9, 0\) must be two values, the lower one first"):
        Signal(CAMERA, range=(9, 0))


def test_pictures_with_transparency_lose_it(tmp_path: Path) -> None:
    colour = np.dstack([pixels(7), np.full((48, 64), 3, np.uint8)])
    path = hand_bag(tmp_path / "rgba", **{"/c": compressed(picture(colour), "rgba8; png")})
    seen = load(path, observation={"c": [Signal("/c", height=8, width=8)]}).episode
    assert seen.observation["c"][0, :, 0, 0].tolist() == [7, 10, 200]


@pytest.mark.parametrize(
    ("encoding", "bytes_of_two"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_pictures_of_cameras_that_halve_colours(
    tmp_path: Path, encoding: str, bytes_of_two: str
) -> None:
    red = {"y": 81, "u": 90, "v": 240}  # (255, 0, 0) in BT.601
    data = np.tile([red[c] for c in bytes_of_two], (48, 32)).astype(np.uint8)
    path = hand_bag(tmp_path / "yuv", **{"/c": raw(data, encoding)})
    seen = load(path, observation={"c": [Signal("/c", height=8, width=8)]}).episode
    assert np.abs(seen.observation["c"][0, :, 4, 4].astype(int) - [255, 0, 0]).max() <= 2


def test_pictures_of_unknown_kinds_are_named(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "bayer", **{"/c": raw(DEPTH, "bayer_rggb8")})
    with pytest.raises(ValueError, match=r"'bayer_rggb8' is none of rgb8, bgr8, .*yuv422"):
        load(path, observation={"c": [Signal("/c")]})
    path = hand_bag(tmp_path / "cd", **{"/c": compressed(b"123", "16UC1; compressedDepth")})
    with pytest.raises(ValueError, match="format '16UC1; compressedDepth': image is damaged or no"):
        load(path, observation={"c": [Signal("/c")]})


# Messages a person can use


def test_layouts_name_keys_given_twice_and_names_that_cannot_be_learned(tmp_path: Path) -> None:
    path = tmp_path / "layout.yaml"
    path.write_text("observation:\n  a: [{topic: /a}]\n  a: [{topic: /b}]\naction: [{topic: /c}]\n")
    with pytest.raises(ValueError, match=r"layout\.yaml: 'a' is given twice, in lines 2 and 3"):
        read_layout(path)
    path.write_text("observation: {cam-high: [{topic: /a}]}\naction: [{topic: /c}]\n")
    with pytest.raises(ValueError, match=r"layout\.yaml: .*called cam-high; cam_high would do"):
        read_layout(path)
    path.write_bytes("observation: {}".encode("utf-16"))
    with pytest.raises(ValueError, match=r"layout\.yaml is text in UTF-16"):
        read_layout(path)


def test_a_bag_without_topics_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "none", {})
    with pytest.raises(ValueError, match=r"no topic /hand/.*; the bag has no topics"):
        load(path)


def test_pointers_instead_of_bags_are_named(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "lfs")
    (file,) = path.glob("*.db3")
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n")
    with pytest.raises(ValueError, match=r"db3 is only a Git LFS pointer .* git lfs pull"):
        load(path)


def test_another_serialisation_is_named(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "json")
    metadata = path / "metadata.yaml"
    text = metadata.read_text().replace("_format: cdr", "_format: json")
    metadata.write_text(text)
    with pytest.raises(ValueError, match=r"json.*only cdr can be read") as raised:
        load(path)
    assert "recover" not in str(raised.value)


def test_a_bag_named_twice_in_two_ways_is_noticed(tmp_path: Path) -> None:
    path = hand_bag(tmp_path / "a")
    with pytest.raises(ValueError, match="named twice"):
        bag_readings([path, path / ".." / "a"], layout(), "unknown", is_offline=True)
