"""Sources that do not belong together are refused, with what each says of itself."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sernf_isaac.data.bags.layout import BagLayout, Signal
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.group_names import is_learnable, learnable, rename
from sernf_isaac.data.importers.readings import bag_info
from sernf_isaac.data.source_info import agreed_rate, info_of
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.data.store.writer import RunWriter, create_run

STEPS = 4


def store(folder: Path, groups: tuple[str, ...] = ("hand",), **info: object) -> str:
    create_run(folder, info)
    draw = np.random.default_rng(len(folder.name))
    with RunWriter(folder, "test") as writer:
        seen = {name: draw.normal(size=(STEPS, 2)) for name in groups}
        final = {name: value[-1] for name, value in seen.items()}
        writer.commit(
            Episode(seen, draw.normal(size=(STEPS, 2)), np.zeros(STEPS), final_observation=final)
        )
    return str(folder)


def layout(*joints: str, rate_hz: float = 10.0, **signal: object) -> dict:
    hand = Signal("/hand/joint_states", joints=list(joints), **signal)
    command = Signal("/hand/command", joints=list(joints))
    return bag_info(BagLayout({"hand": [hand]}, [command], rate_hz=rate_hz))


def test_the_rate_is_what_the_data_say(tmp_path: Path) -> None:
    first = store(tmp_path / "a", control_rate_hz=10.0)
    second = store(tmp_path / "b", control_rate_hz=10)
    silent = store(tmp_path / "c")
    assert agreed_rate([first, second, silent]) == 10.0
    assert agreed_rate([first], 10.0) == 10.0 and agreed_rate([silent], 7.0) == 7.0
    assert agreed_rate([silent]) == 0.0


@pytest.mark.parametrize("asked_hz", [50.0, 5.0, 10.2])
def test_another_rate_than_the_datas_is_refused(tmp_path: Path, asked_hz: float) -> None:
    source = store(tmp_path / "a", control_rate_hz=10.0)
    with pytest.raises(ValueError, match=rf"is {asked_hz:g}, but the steps of .*a are at 10 Hz"):
        agreed_rate([source], asked_hz)


def test_sources_of_two_rates_are_refused(tmp_path: Path) -> None:
    sources = [store(tmp_path / str(hz), control_rate_hz=hz) for hz in (10.0, 25.0)]
    with pytest.raises(ValueError, match=r"has 25 steps per second, .* has 10:"):
        agreed_rate(sources)


def test_a_rate_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run\.json: control_rate_hz is 0, expected a number"):
        agreed_rate([store(tmp_path / "a", control_rate_hz=0)])


def test_robomimic_files_say_their_rate(tmp_path: Path) -> None:
    path = tmp_path / "lift.hdf5"
    with h5py.File(path, "w") as file:
        arguments = {"env_name": "Lift", "env_kwargs": {"control_freq": 20}}
        file.create_group("data").attrs["env_args"] = json.dumps(arguments)
        file["data/demo_0/obs/object"] = np.zeros((3, 2))
    assert info_of(path).rate_hz == 20.0
    with pytest.raises(ValueError, match=r"control_rate_hz is 10, .*lift\.hdf5 are at 20 Hz"):
        agreed_rate([path], 10.0)


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        (layout("wrist", "index"), layout("index", "wrist"), "hand is index, wrist; .* wrist, in"),
        (layout("wrist", "index"), layout("wrist", "thumb"), "hand is wrist, thumb"),
        (
            layout("wrist", "index"),
            layout("wrist", "index", field="velocity"),
            "hand is wrist velocity, index velocity",
        ),
        ({"columns": {"action": ["x", "y"]}}, {"columns": {"action": ["y", "x"]}}, "action is y"),
        ({"action_names": ["x", "y"]}, {"joint_names": ["a", "b"]}, "action is a, b; in"),
        (
            bag_info(BagLayout({"o": [Signal("/a"), Signal("/b")]}, [Signal("/c")])),
            bag_info(BagLayout({"o": [Signal("/b"), Signal("/a")]}, [Signal("/c")])),
            "o is /b, /a; in .* it is /a, /b",
        ),
        (
            bag_info(BagLayout({"o": [Signal("/a")]}, [Signal("/c")])),
            bag_info(BagLayout({"o": [Signal("/d", reference_xyzw=(1, 0, 0, 0))]}, [Signal("/c")])),
            "o is /d, rotations near",
        ),
    ],
)
def test_other_columns_are_refused(tmp_path: Path, mine: dict, theirs: dict, message: str) -> None:
    sources = [store(tmp_path / "a", **mine), store(tmp_path / "b", **theirs)]
    with pytest.raises(ValueError, match=message):
        agreed_rate(sources)


def test_what_labs_call_their_topics_does_not_matter(tmp_path: Path) -> None:
    one, other = (
        bag_info(BagLayout({"pose": [Signal(f"{lab}/pose")]}, [Signal(f"{lab}/command")]))
        for lab in ("/left", "/right")
    )
    assert agreed_rate([store(tmp_path / "a", **one), store(tmp_path / "b", **other)]) == 10.0


def test_groups_that_are_not_used_may_differ(tmp_path: Path) -> None:
    names = [{"columns": {"other": [name]}, "control_rate_hz": 10.0} for name in ("x", "y")]
    sources = [store(tmp_path / str(i), **info) for i, info in enumerate(names)]
    assert agreed_rate(sources, keys=["hand"]) == 10.0


def test_logs_are_not_observations_unless_they_are_named(tmp_path: Path) -> None:
    groups = ("hand", "log_sent", "log_pose", "log_timing")
    source = store(tmp_path / "a", groups)
    (episode,) = load_episodes([source], []).values()
    assert list(episode.observation) == ["hand"] == list(episode.final_observation)
    (episode,) = load_episodes([source], ["hand", "log_sent"]).values()
    assert sorted(episode.observation) == ["hand", "log_sent"]
    with pytest.raises(ValueError, match=r"nothing but logs: \['log_sent'\]"):
        load_episodes([store(tmp_path / "b", ("log_sent",))], [])


def test_the_same_episodes_are_not_counted_twice(tmp_path: Path) -> None:
    source = store(tmp_path / "a")
    shutil.copytree(source, tmp_path / "a (copy)")
    with pytest.raises(ValueError, match=r"a \(copy\) holds episodes of .*a again; name one"):
        load_episodes([source, str(tmp_path / "a (copy)")], [])
    with pytest.raises(ValueError, match="again; name one"):
        load_episodes([source, f"{source}/../a"], [])
    rows = {"observations": np.zeros((3, 2)), "actions": np.zeros((3, 1)), "terminals": [0, 0, 1]}
    np.savez(tmp_path / "play.npz", **rows)
    shutil.copy(tmp_path / "play.npz", tmp_path / "play (conflicted copy).npz")
    with pytest.raises(ValueError, match=r"copy\)\.npz holds episodes of .*play\.npz again"):
        load_episodes([str(path) for path in sorted(tmp_path.glob("*.npz"))[::-1]], [])


def test_what_has_to_be_imported_first_is_told_how(tmp_path: Path) -> None:
    (tmp_path / "set/meta").mkdir(parents=True)
    (tmp_path / "set/meta/info.json").write_text("{}")
    with pytest.raises(ValueError, match=r"import a LeRobot data set first: import_data\.py ler"):
        load_episodes([str(tmp_path / "set")], [])
    (tmp_path / "demo.mcap").write_bytes(b"")
    with pytest.raises(ValueError, match=r"import ROS 2 bags first: import_data\.py bags"):
        load_episodes([str(tmp_path / "demo.mcap")], [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("state", "state"),
        ("cam-high", "cam_high"),
        ("robot.state", "robot_state"),
        ("0_cam", "_0_cam"),
        ("type", "type_"),
        ("keys", "keys_"),
        ("forward", "forward_"),
        ("training", "training_"),
        ("prefix", "prefix_"),
        ("", "_"),
    ],
)
def test_names_become_learnable(name: str, expected: str) -> None:
    assert learnable(name) == expected and is_learnable(expected)
    assert is_learnable(name) == (name == expected)


def test_two_groups_do_not_get_one_name() -> None:
    with pytest.raises(ValueError, match=r"'a-b' and 'a\.b' would both be called 'a_b'"):
        rename(["a-b", "a.b"])
