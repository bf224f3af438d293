"""LeRobot data sets that contradict themselves are refused with both numbers; labels survive."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.images.video import VideoWriter, frame_times_s, read_frames
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import lerobot_readings
from sernf_isaac.data.lerobot.exporter import export_lerobot
from sernf_isaac.data.lerobot.importer import LeRobotReader
from sernf_isaac.data.store.labels import Label, add_label
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RECORD, RunWriter, create_run

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
from pyarrow import parquet  # noqa: E402

FPS, LENGTHS, GREY = 10, (6, 9), 12
DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.front/chunk-000/file-000.mp4"
FRONT = "videos/observation.images.front"


def grey(values: np.ndarray) -> np.ndarray:
    """(T, 3, 32, 32) images, one grey each."""
    return np.broadcast_to(values[:, None, None, None], (len(values), 3, 32, 32)).astype(np.uint8)


def make_run(folder: Path, info: dict | None = None, outcomes: tuple[str, ...] = ()) -> Path:
    """Two episodes; the grey of an image says how many steps are before it."""
    create_run(folder, {"control_rate_hz": float(FPS)} | (info or {}))
    first = 0
    with RunWriter(folder, "test") as writer:
        for number, steps in enumerate(LENGTHS):
            time = np.arange(steps, dtype=float)
            state = np.stack([time, -time], axis=1)
            groups = {"state": state, "front": grey(GREY * (time + first)), "log_sent": state}
            outcome = outcomes[number] if outcomes else "unknown"
            writer.commit(Episode(groups, state + number, np.zeros(steps), outcome=outcome))
            first += steps
    return folder


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_lerobot(make_run(tmp_path / "run"), tmp_path / "set")
    return tmp_path / "set"


def rewrite(path: Path, change: Callable[[list[dict]], list[dict] | None]) -> None:
    rows = parquet.read_table(path).to_pylist()
    parquet.write_table(pyarrow.Table.from_pylist(change(rows) or rows), path)


def each(name: str, value: Callable[[dict], object]) -> Callable[[Path], None]:
    """Changes a column of the steps, or of the episodes."""

    def change(folder: Path) -> None:
        steps = name in ("timestamp", "task_index", "action")
        path = folder / (DATA if steps else EPISODES)
        rewrite(path, lambda rows: [row | {name: value(row)} for row in rows])

    return change


def info(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "meta/info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def feature(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "meta/info.json"
        content = json.loads(path.read_text())
        content["features"][name] |= changes
        path.write_text(json.dumps(content))

    return change


def film(folder: Path, rate_hz: int, shown: Callable[[np.ndarray], np.ndarray]) -> None:
    """The same scene by a camera of another rate; `shown` is its grey by time in steps."""
    path = folder / VIDEO
    path.unlink()
    writer = VideoWriter(path, (32, 32), rate_hz)
    time_s = np.arange(round(sum(LENGTHS) / FPS * rate_hz)) / rate_hz
    writer.append(grey(shown(np.floor(time_s * FPS + 1e-6))))
    writer.close()


@pytest.mark.parametrize("rate_hz", [FPS, 30, 25])
def test_frames_are_those_of_the_steps_times(exported: Path, rate_hz: int) -> None:
    film(exported, rate_hz, lambda step: GREY * step)
    reader, first = LeRobotReader(exported), 0
    for number, steps in enumerate(LENGTHS):
        found = reader.load(number)
        seen = found.episode.observation["front"].mean(axis=(1, 2, 3))
        off = np.abs(seen - GREY * (np.arange(steps) + first))
        nearest = GREY if rate_hz % FPS else 0  # between two steps, either is nearest
        assert off.max() <= 3 + nearest
        assert "steps of their steps" in found.remarks[-1] and f"{rate_hz} Hz" in found.remarks[-1]
        first += steps


def test_a_camera_that_is_too_slow_is_refused(exported: Path) -> None:
    film(exported, 4, lambda step: GREY * step)
    with pytest.raises(ValueError, match=r"mp4: step 1 of .* steps off; .* at 4 Hz, .* at 10 Hz"):
        LeRobotReader(exported).load(0)


def test_times_of_frames_are_those_of_the_file(exported: Path) -> None:
    times_s = frame_times_s(exported / VIDEO)
    np.testing.assert_allclose(times_s, np.arange(sum(LENGTHS)) / FPS, atol=1e-6)
    twice = [frame.mean() for frame in read_frames(exported / VIDEO, np.array([3, 3, 7]))]
    np.testing.assert_allclose(twice, [3 * GREY, 3 * GREY, 7 * GREY], atol=3)
    with pytest.raises(ValueError, match="has 15 frames, expected at least 16"):
        list(read_frames(exported / VIDEO, np.array([15])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (info(fps=0), "info.json: fps is 0, expected a number above 0"),
        (info(fps="10"), "info.json: fps is '10', expected a number"),
        (info(fps=50), r"row 0 has 6 steps, but .*to_timestamp makes it 30\.0 at 50 fps"),
        (info(total_frames=20), "15 steps in all, meta/info.json says 20"),
        (info(video_path=None), r"no video_path, but observation\.images\.front is video"),
        (
            each("timestamp", lambda row: 2 * row["timestamp"]),
            r"frame_index 5: timestamp is 1\.0000 s, fps \(10\) makes it 0\.5000 s; .* at 5 Hz",
        ),
        (
            each("timestamp", lambda row: row["timestamp"] + 5.0),
            r"timestamp is 5\.\d+ s, fps \(10\) makes it 0\.\d+ s",
        ),
        (each("timestamp", lambda row: float("nan")), "timestamp is nan at index"),
        (each("task_index", lambda row: 7), r"task_index is 7, which meta/tasks\.parquet lacks"),
        (each("action", lambda row: None), "action is null at index 0"),
        (
            each(f"{FRONT}/from_timestamp", lambda row: 0.3 * row["episode_index"]),
            "row 1 has 9 steps",
        ),
        (
            each(f"{FRONT}/to_timestamp", lambda row: 99.0),
            r"row 0 has 6 steps, but .*to_timestamp makes it 990",
        ),
        (
            each(f"{FRONT}/file_index", lambda row: None),
            "file-000.parquet: .*front/file_index is null in row 0, expected a number",
        ),
        (each("data/file_index", lambda row: 0.5), "data/file_index is 0.5 in row 0, .* whole"),
        (each("length", lambda row: None), "length is null in row 0"),
        (each("episode_index", lambda row: 0), r"episode 0 is in .*\(row 0\) and again in .*row 1"),
        (each("outcome", lambda row: "good"), "outcome is 'good' in row 0, none of unknown"),
        (feature("action", names=["a", "a"]), r"action names 'a' twice: \['a', 'a'\]"),
        (feature("action", names=["a"]), r"action has 1 names for \[2\] numbers"),
        (
            feature("observation.images.front", info={"is_depth_map": True}),
            "observation.images.front is neither numbers nor a colour image",
        ),
        (
            lambda folder: (folder / VIDEO).write_text(
                "version https://git-lfs.github.com/spec/v1"
            ),
            "file-000.mp4 is only a Git LFS pointer .* git lfs pull",
        ),
        (
            lambda folder: (folder / DATA).write_text("version https://git-lfs.github.com/spec/v1"),
            "file-000.parquet is only a Git LFS pointer",
        ),
    ],
)
def test_contradictions_are_named(
    exported: Path, tmp_path: Path, change: Callable, message: str
) -> None:
    change(exported)
    with pytest.raises(ValueError, match=message):
        import_run(tmp_path / "out", *lerobot_readings(exported, is_offline=True))


def test_two_episodes_of_the_same_frames_are_named(exported: Path) -> None:
    each(f"{FRONT}/from_timestamp", lambda row: 0.3 * row["episode_index"])(exported)
    each(f"{FRONT}/to_timestamp", lambda row: row[f"{FRONT}/from_timestamp"] + row["length"] / FPS)(
        exported
    )
    with pytest.raises(ValueError, match=r"from_timestamp is 0\.3000 s in row 1, .* until 0\.6000"):
        LeRobotReader(exported)


def test_numbers_that_pandas_wrote_with_a_point_are_whole(exported: Path) -> None:
    each("data/file_index", lambda row: 0.0)(exported)
    assert len(LeRobotReader(exported).load(1).episode) == LENGTHS[1]


def test_a_little_drift_is_told_of(exported: Path) -> None:
    each("timestamp", lambda row: 1.02 * row["timestamp"])(exported)
    remarks = LeRobotReader(exported).load(1).remarks
    assert remarks[0] == "timestamps are up to 0.16 steps from what fps makes of them"
    assert "within 0.16 steps of their steps" in remarks[1]


def test_labels_survive_the_way_in_and_out(tmp_path: Path) -> None:
    names = {"columns": {"state": ["x", "y"], "action": ["left", "right"]}, "robot": "so101"}
    run = make_run(tmp_path / "run", names, ("success", "failure"))
    export_lerobot(run, tmp_path / "a")
    each("outcome", lambda row: None)(tmp_path / "a")  # as others write it
    tasks = "meta/tasks.parquet"
    rewrite(
        tmp_path / "a" / tasks,
        lambda _: [{"task_index": i, "task": t} for i, t in enumerate(("open", "close", "wait"))],
    )
    changing = each("task_index", lambda row: row["episode_index"] + (row["frame_index"] > 6))
    changing(tmp_path / "a")
    each("tasks", lambda row: [["open"], ["close", "wait"]][row["episode_index"]])(tmp_path / "a")

    info, readings = lerobot_readings(tmp_path / "a", is_offline=True)
    import_run(tmp_path / "back", info, readings)
    notes = list(json.loads((tmp_path / "back" / RECORD).read_text())["episodes"].values())
    assert [note["tasks"] for note in notes] == [["open"], ["close", "wait"]]
    assert notes[1]["task_steps"] == [[0, "close"], [7, "wait"]]
    assert [c.outcome for c in RunReader(tmp_path / "back").commits()] == ["success", "failure"]

    export_lerobot(tmp_path / "back", tmp_path / "b")
    about = json.loads((tmp_path / "b/meta/info.json").read_text())
    assert about["robot_type"] == "so101" and about["total_tasks"] == 3
    assert about["features"]["observation.state"]["names"] == ["x", "y"]
    assert about["features"]["action"]["names"] == ["left", "right"]
    rows = parquet.read_table(tmp_path / "b" / EPISODES).to_pylist()
    assert [row["tasks"] for row in rows] == [["open"], ["close", "wait"]]
    again = LeRobotReader(tmp_path / "b")
    assert again.load(1).task_steps == [(0, "close"), (7, "wait")]
    assert [again.load(i).episode.outcome for i in (0, 1)] == ["success", "failure"]


def test_success_is_told_only_where_it_is_known_of_all(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", outcomes=("success", "unknown"))
    export_lerobot(run, tmp_path / "a")
    assert "next.success" not in parquet.read_schema(tmp_path / "a" / DATA).names
    reader = LeRobotReader(tmp_path / "a")
    assert [reader.load(i).episode.outcome for i in (0, 1)] == ["success", "unknown"]
    add_label(run, RunReader(run).commits()[1].id, Label("me", success=False))
    export_lerobot(run, tmp_path / "b")
    success = parquet.read_table(tmp_path / "b" / DATA)["next.success"].to_pylist()
    assert success == [False] * 5 + [True] + [False] * 9


def test_logs_stay_behind_unless_they_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = export_lerobot(run, tmp_path / "a")
    assert found.left_out == ("log_sent",) and "left out, as logged" in str(found)
    assert set(LeRobotReader(tmp_path / "a").features.groups.values()) == {"state", "front"}
    named = export_lerobot(run, tmp_path / "b", keys=["state", "log_sent"])
    assert not named.left_out
    groups = LeRobotReader(tmp_path / "b").features.groups.values()
    assert set(groups) == {"state", "log_sent"}


def test_names_that_cannot_be_learned_are_changed(exported: Path) -> None:
    path = exported / "meta/info.json"
    path.write_text(path.read_text().replace("observation.state", "observation.robot-state"))
    rewrite(
        exported / DATA,
        lambda rows: [
            {k.replace("observation.state", "observation.robot-state"): v for k, v in row.items()}
            for row in rows
        ],
    )
    reader = LeRobotReader(exported, keys=["robot-state"])
    assert list(reader.load(0).episode.observation) == ["robot_state"]
    assert reader.features.remarks()[0].startswith("observation.robot-state is called robot_state")
    assert list(LeRobotReader(exported, keys=["robot_state"]).features.groups.values()) == [
        "robot_state"
    ]
