"""Imports are runs of the store, whole or not there; LeRobot data sets hold what was exported."""

import importlib.util
import json
import shutil

import h5py
import numpy as np
import pytest

from sernf_isaac.data.bags import file as bag_file
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.images.fit import Fit, decode, encode_png, fit
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import lerobot_readings, robomimic_readings
from sernf_isaac.data.importers.robomimic import (
    describe_robomimic,
    load_demonstration,
    load_robomimic,
)
from sernf_isaac.data.lerobot import format as lerobot_format
from sernf_isaac.data.lerobot.exporter import export_lerobot
from sernf_isaac.data.lerobot.importer import LeRobotReader
from sernf_isaac.data.lerobot.statistics import QUANTILES, merge_statistics, statistics_of
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RECORD, RunWriter, create_run

STEPS = (5, 9, 7)


def smooth_images(steps, seed, height=32, width=48):
    """(T, 3, h, w): a bright spot that moves; video keeps it, and frames differ."""
    y, x = np.mgrid[:height, :width]
    centre = 8 + 30 * (np.arange(steps) + 3 * seed)[:, None, None] / 20
    spot = np.exp(-((x - centre) ** 2 + (y - 16) ** 2) / 60)
    colours = np.array([250, 120 + 30 * seed, 60])
    return (spot[:, None] * colours[None, :, None, None]).round().astype(np.uint8)


def make_episode(number, *, with_images=True):
    steps, random = STEPS[number], np.random.default_rng(number)
    observation = {"state": random.normal(size=(steps, 4)), "tip": random.normal(size=(steps, 1))}
    if with_images:
        observation["wrist"] = smooth_images(steps, number)
    return Episode(
        observation=observation,
        action=random.normal(size=(steps, 3)),
        reward=(np.arange(steps) == steps - 1).astype(float),
        terminated=(np.arange(steps) == steps - 1) & (number != 1),
        outcome="success",
        is_offline=True,
    )


@pytest.fixture
def run(tmp_path):
    """Three episodes of different length."""
    create_run(tmp_path / "run", {"control_rate_hz": 10.0})
    with RunWriter(tmp_path / "run", "test") as writer:
        for number in range(3):
            writer.commit(make_episode(number))
    return tmp_path / "run"


def assert_alike(found, expected, *, image_tolerance=0.0):
    assert found.observation.keys() == expected.observation.keys()
    for name in ("state", "tip"):
        np.testing.assert_array_equal(found.observation[name], expected.observation[name])
    for name in ("action", "reward", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    images, original = found.observation["wrist"], expected.observation["wrist"]
    assert images.dtype == np.uint8 and images.shape == original.shape
    assert np.abs(images.astype(int) - original).mean(axis=(1, 2, 3)).max() <= image_tolerance


# LeRobot


@pytest.mark.parametrize(("as_video", "tolerance"), [(True, 3.0), (False, 0.0)])
def test_lerobot_gives_back_what_was_exported(run, tmp_path, as_video, tolerance):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    target = tmp_path / "exported"
    found = export_lerobot(run, target, task="turn it", as_video=as_video)
    assert (found.episodes, found.frames) == (3, sum(STEPS))
    info, readings = lerobot_readings(target, outcome="success", is_offline=True)
    assert info["control_rate_hz"] == 10.0
    imported = import_run(tmp_path / "back", info, readings)
    assert [note["tasks"] for note in imported.episodes.values()] == [["turn it"]] * 3
    episodes = load_episodes([str(tmp_path / "back")], [])
    for number, episode in enumerate(episodes.values()):
        assert_alike(episode, make_episode(number), image_tolerance=tolerance)


def test_large_files_are_begun_anew(run, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    from sernf_isaac.data.lerobot import exporter as lerobot
    from sernf_isaac.data.lerobot import files as lerobot_files

    limited = lerobot_files.DataFiles
    monkeypatch.setattr(lerobot, "DataFiles", lambda folder: limited(folder, limit_bytes=1))
    monkeypatch.setattr(lerobot_format, "FILES_PER_CHUNK", 2)
    export_lerobot(run, tmp_path / "many", as_video=False)
    files = sorted(tmp_path.glob("many/data/*/*"))
    assert [f"{path.parent.name}/{path.stem}" for path in files] == [
        "chunk-000/file-000",
        "chunk-000/file-001",
        "chunk-001/file-000",
    ]
    reader = LeRobotReader(tmp_path / "many")
    for number in range(3):
        assert_alike(reader.load(number).episode, make_episode(number))


def test_groups_can_be_chosen_and_images_resized(run, tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    export_lerobot(run, tmp_path / "e", as_video=False)
    assert set(LeRobotReader(tmp_path / "e", keys=["state"]).load(0).episode.observation) == {
        "state"
    }
    small = LeRobotReader(tmp_path / "e", keys=["wrist"], image_size=Fit(8, 8)).load(2).episode
    assert small.observation["wrist"].shape == (7, 3, 8, 8)
    with pytest.raises(ValueError, match=r"info.json: no arm; there are state, tip, wrist"):
        LeRobotReader(tmp_path / "e", keys=["arm"])


def test_statistics_are_those_of_all_steps():
    random = np.random.default_rng(0)
    parts = [random.normal(size=(n, 3)) + n for n in (4, 40, 11)]
    merged, whole = merge_statistics([statistics_of(p) for p in parts]), np.concatenate(parts)
    for name in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(merged[name], getattr(whole, name)(axis=0))
    assert merged["count"].tolist() == [55] and set(QUANTILES) <= set(merged)
    images = statistics_of(np.full((3, 3, 4, 4), 51, np.uint8))
    assert images["mean"].shape == (3, 1, 1) and images["q50"].ravel().tolist() == [0.2] * 3


def spoil_info(**changes):
    def change(folder):
        path = folder / "meta/info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def cut_file(name, part=0.5):
    def change(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    return change


DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.wrist/chunk-000/file-000.mp4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil_info(codebase_version="v2.1"), r"info.json: version 'v2.1' cannot be read"),
        (spoil_info(total_episodes=4), "lists 3 episodes, meta/info.json says 4"),
        (spoil_info(features={}), "info.json: no action; it has"),
        (cut_file("meta/info.json"), "info.json is no JSON"),
        (cut_file(DATA), f"{DATA} is damaged or no parquet file"),
        (cut_file(EPISODES), f"{EPISODES} is damaged or no parquet file"),
        (cut_file(VIDEO), f"{VIDEO} (has 0|is damaged)"),
        (lambda folder: (folder / DATA).unlink(), "no data at .*, where episode 0 should be"),
        (lambda folder: (folder / VIDEO).unlink(), "no video at "),
        (lambda folder: shutil.copy(folder / EPISODES, folder / DATA), f"{DATA}: no .*frame_index"),
    ],
)
def test_what_is_wrong_in_a_lerobot_data_set_is_named(run, tmp_path, change, message):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    folder = tmp_path / "e"
    export_lerobot(run, folder, as_video="video" in message)
    change(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        _, readings = lerobot_readings(folder, outcome="unknown", is_offline=True)
        import_run(tmp_path / "out", {}, readings)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_named(run, tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    with pytest.raises(ValueError, match=r"--rate_hz is 20, but .* at 10 Hz"):
        export_lerobot(run, tmp_path / "e", rate_hz=20.0)
    create_run(tmp_path / "empty", {})
    with pytest.raises(ValueError, match=r"rate 12\.5 Hz: LeRobot knows only whole"):
        export_lerobot(tmp_path / "empty", tmp_path / "e", rate_hz=12.5)
    with pytest.raises(ValueError, match="does not say how fast its steps are"):
        export_lerobot(tmp_path / "empty", tmp_path / "e")
    with pytest.raises(ValueError, match="holds no episodes"):
        export_lerobot(tmp_path / "empty", tmp_path / "e", rate_hz=10)
    with RunWriter(run, "odd") as writer:
        writer.commit(make_episode(0, with_images=False))
    with pytest.raises(ValueError, match=r"-odd has .*, the first one .*images.wrist"):
        export_lerobot(run, tmp_path / "e")
    with RunWriter(tmp_path / "empty", "odd") as writer:
        odd = np.zeros((3, 3, 31, 32), np.uint8)
        writer.commit(Episode({"c": odd}, np.zeros((3, 1)), np.zeros(3)))
    with pytest.raises(ValueError, match="images of 31 x 32 need even sizes"):
        export_lerobot(tmp_path / "empty", tmp_path / "e", rate_hz=10)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".e", "e."))]
    assert not (tmp_path / "e").exists()
    with pytest.raises(FileNotFoundError, match="no LeRobot data set at"):
        LeRobotReader(tmp_path / "e")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lerobot_format.check_installed, r"pyarrow: .*(--extra |\[)lerobot"),
        (bag_file.check_installed, r"rosbags: .*(--extra |\[)bags"),
    ],
)
def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch, check, message
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=message):
        check()


# Into the store


def readings(*numbers, bad=()):
    def read(number):
        if number in bad:
            raise ValueError(f"demo {number} is damaged")
        return make_episode(number), {"remarks": [f"number {number}"]}

    return {f"demo {n}": lambda n=n: read(n) for n in numbers}


def test_an_import_is_a_run_that_says_where_its_episodes_come_from(tmp_path):
    counted = []
    out = tmp_path / "deep" / "run"
    found = import_run(out, {"kind": "test"}, readings(0, 2), progress=lambda: counted.append(1))
    commits = RunReader(out).commits()
    assert [commit.steps for commit in commits] == [5, 7] and len(counted) == 2
    assert [found.episodes[commit.id]["source"] for commit in commits] == ["demo 0", "demo 2"]
    assert json.loads((out / RECORD).read_text())["episodes"] == found.episodes
    assert json.loads((out / "run.json").read_text())["kind"] == "test"
    assert [path.name for path in out.parent.iterdir()] == ["run"]


def test_copies_of_an_episode_are_told_of(tmp_path):
    copied = {"demo 0": readings(0)["demo 0"], "demo 0 (conflicted copy)": readings(0)["demo 0"]}
    told = import_run(tmp_path / "run", {}, copied).remarks()
    assert told[1] == "demo 0 (conflicted copy): holds the same numbers as demo 0: is it a copy?"


def test_nothing_is_imported_if_anything_is_bad(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=r"(?s)2 of 3 .* nothing .*demo 0 is .*demo 2 is damaged"):
        import_run(out, {}, readings(0, 1, 2, bad=(0, 2)))
    assert not list(tmp_path.iterdir())
    found = import_run(out, {}, readings(0, 1, 2, bad=(0, 2)), skip_bad=True)
    assert list(found.skipped) == ["demo 0", "demo 2"] and len(RunReader(out).commits()) == 1
    with pytest.raises(ValueError, match="run exists"):
        import_run(out, {}, readings(0))


def test_nothing_is_left_when_an_import_breaks_off(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_run(tmp_path / "run", {}, readings(0) | {"last": interrupted})
    with pytest.raises(ValueError, match="nothing to import"):
        import_run(tmp_path / "run", {}, {})
    with pytest.raises(ValueError, match="1 of 1 could not be read"):
        import_run(tmp_path / "run", {}, readings(0, bad=(0,)), skip_bad=True)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_ends_an_import_and_is_blamed_on_no_source(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("sernf_isaac.data.store.writer.write_archive", full)
    with pytest.raises(OSError, match="no space left"):
        import_run(tmp_path / "run", {}, readings(0, 1, 2), skip_bad=True)
    assert not list(tmp_path.iterdir())


def test_episodes_of_different_sizes_are_named(tmp_path):
    mixed = readings(0) | {"plain": lambda: (make_episode(1, with_images=False), {})}
    with pytest.raises(ValueError, match=r"plain: its sizes .* are not the first's .*wrist"):
        import_run(tmp_path / "run", {}, mixed)


# robomimic: images and multi-human metadata


@pytest.fixture
def multi_human(tmp_path):
    """Four demonstrations by two operators, as robomimic's image data sets are laid out."""
    path = tmp_path / "image_v141.hdf5"
    masks = {
        "better": [0, 1],
        "worse": [2, 3],
        "worse_operator_2": [3],
        "train": [0, 2, 3],
        "20_percent": [2],
    }
    with h5py.File(path, "w") as file:
        arguments = {"env_name": "NutAssemblySquare", "env_kwargs": {"control_freq": 20}}
        file.create_group("data").attrs["env_args"] = json.dumps(arguments)
        for i in range(4):
            demo = file["data"].create_group(f"demo_{i}")
            demo.attrs["num_samples"] = 6
            demo["actions"] = np.full((6, 7), i / 10)
            demo["rewards"] = (np.arange(6) == 5) * float(i != 3)
            demo["dones"] = (np.arange(6) == 5).astype(int)
            demo["obs/object"] = np.full((6, 14), float(i))
            image = np.zeros((6, 8, 10, 3), np.uint8)
            image[..., 0], image[..., 2] = 10 * i, np.arange(6)[:, None, None]
            demo["obs/agentview_image"] = image
            demo["next_obs/object"] = np.full((6, 14), float(i))
            demo["next_obs/agentview_image"] = image + 1
        for name, numbers in masks.items():
            file[f"mask/{name}"] = np.array([f"demo_{n}".encode() for n in numbers])
    return path


def test_robomimic_tells_who_made_what(multi_human):
    found = describe_robomimic(multi_human)
    assert found.demonstrations == ("demo_0", "demo_1", "demo_2", "demo_3")
    assert found.filter_keys_of("demo_3") == ["train", "worse", "worse_operator_2"]
    assert (found.env_name, found.control_rate_hz) == ("NutAssemblySquare", 20.0)
    assert found.observations == {"agentview_image": (8, 10, 3), "object": (14,)}


def test_robomimic_images_are_channels_first(multi_human):
    (episode,) = load_robomimic(multi_human, keys=["agentview_image"], split="20_percent")
    images = episode.observation["agentview_image"]
    assert images.shape == (6, 3, 8, 10) and images.dtype == np.uint8
    assert (images[:, 0] == 20).all() and (images[:, 2, 0, 0] == np.arange(6)).all()
    assert (episode.final_observation["agentview_image"][2] == 6).all()


def test_robomimic_outcomes_follow_sparse_rewards(multi_human):
    episodes = load_robomimic(multi_human, keys=["object"])
    assert [e.outcome for e in episodes] == ["success", "success", "success", "failure"]
    with h5py.File(multi_human, "r+") as file:
        file["data/demo_0/rewards"][2] = 0.4
    assert load_demonstration(multi_human, "demo_0", keys=["object"]).outcome == "unknown"


def test_robomimic_splits_become_runs(multi_human, tmp_path):
    options = {"reward_shift": -1.0, "is_offline": True}
    info, found = robomimic_readings(multi_human, ["object"], "better", **options)
    assert (info["control_rate_hz"], info["split"]) == (20.0, "better")
    imported = import_run(tmp_path / "run", info, found)
    assert [n["source"] for n in imported.episodes.values()] == [
        "image_v141.hdf5/demo_0",
        "image_v141.hdf5/demo_1",
    ]
    assert next(iter(imported.episodes.values()))["filter_keys"] == ["better", "train"]
    for episode in load_episodes([str(tmp_path / "run")], ["object"]).values():
        assert episode.reward.tolist() == [-1] * 5 + [0]
    with pytest.raises(ValueError, match=r"no mask/best; it has \['20_percent', 'better'"):
        robomimic_readings(multi_human, ["object"], "best", **options)
    with pytest.raises(ValueError, match=r"no data/demo_9; there are demo_0 to demo_3"):
        load_demonstration(multi_human, "demo_9", keys=["object"])


def test_damaged_robomimic_attributes_are_named(multi_human):
    with h5py.File(multi_human, "r+") as file:
        file["data"].attrs["env_args"] = "{broken"
    with pytest.raises(ValueError, match=r"image_v141.hdf5: .* env_args that is no JSON"):
        describe_robomimic(multi_human)


# Images


def test_images_keep_their_middle_and_their_mean():
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    small = fit(image, Fit(8, 8))
    assert small.shape == (3, 8, 8)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), image[:, 10:50].mean(axis=(0, 1)), atol=4)
    same = fit(image, Fit(40, 60))
    np.testing.assert_array_equal(same, image.transpose(2, 0, 1))
    np.testing.assert_array_equal(fit(image, Fit(40, 40, (0, 10, 40, 40))), same[:, :, 10:50])
    np.testing.assert_array_equal(decode(encode_png(same), None), same)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fit(0, 3), r"image size \(0, 3\) must be at least"),
        (lambda: Fit(3, 3, (1, 2, 3)), "crop .* must be top, left"),
        (lambda: fit(np.zeros((4, 4, 3), np.uint8), Fit(2, 2, (0, 0, 5, 4))), "reaches beyond"),
        (lambda: fit(np.zeros((4, 4)), Fit(2, 2)), r"shape \(4, 4\) and float64"),
        (lambda: decode(b"no image", Fit(2, 2)), "damaged or no JPEG or PNG"),
        (lambda: decode(encode_png(smooth_images(1, 0)[0])[:80], None), "image is damaged"),
    ],
)
def test_what_is_wrong_with_an_image_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
