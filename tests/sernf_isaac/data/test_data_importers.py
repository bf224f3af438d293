"""Importers: small files in the published schemas; damage is named, and nothing half comes in."""

import json

import h5py
import numpy as np
import pytest

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.importers.ogbench import load_ogbench
from sernf_isaac.data.importers.readings import robomimic_readings
from sernf_isaac.data.importers.robomimic import describe_robomimic, load_robomimic
from sernf_isaac.data.jumps import jumps_of
from sernf_isaac.data.windows import find_starts, make_batch

LENGTHS = (3, 5)
"""Transitions of the trajectories in the files below; there is one state more."""


def states() -> list[np.ndarray]:
    """(T+1, 2) per trajectory: 10, 11, ... and 20, 21, ..."""
    return [
        np.arange(10.0 * i, 10.0 * i + n + 1)[:, None].repeat(2, 1)
        for i, n in enumerate(LENGTHS, 1)
    ]


def per_state() -> dict[str, np.ndarray]:
    """As in OGBench's files."""
    observations = np.concatenate(states())
    ends = np.concatenate([np.arange(n + 1) == n for n in LENGTHS])
    return {
        "observations": observations.astype(np.float32),
        "actions": np.stack([observations[:, 0] / 100] * 3, 1).astype(np.float32),
        "terminals": ends,
        "rewards": observations[:, 0] - 100,
        "masks": (observations[:, 0] != 21).astype(np.float32),
    }


def per_transition() -> dict[str, np.ndarray]:
    """As OGBench's loader returns them."""
    arrays = per_state()
    last = arrays["terminals"]
    found = {name: value[~last] for name, value in arrays.items()}
    found["terminals"] = np.roll(last, -1)[~last].astype(np.float32)
    found["next_observations"] = np.concatenate([piece[1:] for piece in states()])
    return found


def compact() -> dict[str, np.ndarray]:
    arrays = per_state()
    last = arrays["terminals"]
    return arrays | {"valids": 1.0 - last, "terminals": last | np.roll(last, -1)}


LAYOUTS = {"per state": per_state, "per transition": per_transition, "compact": compact}


def save(tmp_path, arrays):
    path = tmp_path / "play-v0.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_ogbench_layouts_give_the_same_episodes(tmp_path, layout):
    episodes = load_ogbench(save(tmp_path, LAYOUTS[layout]()))
    assert [len(episode) for episode in episodes] == list(LENGTHS)
    for episode, state in zip(episodes, states(), strict=True):
        np.testing.assert_array_equal(episode.observation["state"], state[:-1])
        np.testing.assert_array_equal(episode.final_observation["state"], state[-1])
        np.testing.assert_array_equal(episode.reward, state[:-1, 0] - 100)
        assert episode.is_offline and episode.truncated[-1] and not episode.truncated[:-1].any()
    assert not episodes[0].terminated.any()
    assert episodes[1].terminated.tolist() == [False, True, False, False, False]


def test_ogbench_episodes_make_windows_that_stay_apart(tmp_path):
    spec = ChunkSpec(history=1, prefix=0, horizon=3, discount=0.5, history_keys=())
    episodes = load_ogbench(save(tmp_path, per_state()))
    assert find_starts(episodes[0], spec).tolist() == [0]
    assert find_starts(episodes[1], spec).tolist() == [0, 1, 2]
    batch = make_batch(episodes[1], spec)
    assert batch.reward.tolist() == [-80 - 79 / 2, -79, -78 - 77 / 2 - 76 / 4]
    assert batch.discount.tolist() == [0, 0, 0.125]
    assert batch.next_observation["state"][:, 0].tolist() == [23, 24, 25]


def test_d4rl_timeouts_cut_and_terminals_end_the_value(tmp_path):
    arrays = {
        "observations": np.arange(12.0).reshape(6, 2),
        "actions": np.zeros((6, 1)),
        "rewards": np.ones(6),
        "terminals": np.array([0, 1, 0, 0, 0, 0], bool),
        "timeouts": np.array([0, 0, 0, 1, 0, 0], bool),
    }
    episodes = load_ogbench(save(tmp_path, arrays))
    assert [len(episode) for episode in episodes] == [2, 2, 2]
    assert [bool(episode.terminated[-1]) for episode in episodes] == [True, False, False]
    assert all(not episode.final_observation for episode in episodes)


def test_files_without_rewards_earn_nothing(tmp_path):
    arrays = per_state()
    del arrays["rewards"]
    path = save(tmp_path, arrays)
    assert load_ogbench(path)[0].reward.tolist() == [0, 0, 0]
    assert load_ogbench(path, reward=-1.0)[0].reward.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("channels", [1, 3, 4, None])
def test_pictures_become_colours_first(tmp_path, channels):
    arrays = per_state()
    grey = np.arange(10, dtype=np.uint8)[:, None, None].repeat(6, 1).repeat(8, 2)
    if channels:
        grey = np.stack([grey, grey + 1, grey + 2, 0 * grey + 9][:channels], axis=-1)
    arrays["observations"] = grey
    first, _ = load_ogbench(save(tmp_path, arrays))
    pictures = first.observation["state"]
    assert pictures.shape == (3, 3, 6, 8) and pictures.dtype == np.uint8
    expected = [2, 3, 4] if channels in (3, 4) else [2, 2, 2]
    assert pictures[2, :, 0, 0].tolist() == expected
    assert first.final_observation["state"].shape == (3, 6, 8)


@pytest.mark.parametrize(
    "odd", [np.zeros((10, 6, 8, 1), np.float32), np.zeros((10, 6, 8, 9), np.uint8)]
)
def test_depth_and_stacked_pictures_are_refused_at_once(tmp_path, odd):
    with pytest.raises(ValueError, match=r"observations has shape .* neither numbers \(T, F\) nor"):
        load_ogbench(save(tmp_path, per_state() | {"observations": odd}))


def test_next_observations_that_are_another_trajectorys_are_named(tmp_path):
    arrays = per_transition()
    arrays["observations"] = arrays["observations"].copy()
    arrays["observations"][5:] += 3.0
    arrays["next_observations"] = arrays["next_observations"].copy()
    arrays["next_observations"][5:] += 3.0
    message = "next_observations ends step 4 with 22 in column 0, but step 5 begins with 25"
    with pytest.raises(ValueError, match=message):
        load_ogbench(save(tmp_path, arrays))


def broken(name, change):
    arrays = per_state()
    arrays[name] = change(np.array(arrays[name]))
    return arrays


def put(index, value):
    def change(array):
        array = array.astype(np.float64)
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("observations", put((4, 1), np.nan), r"observations is nan at index \(4, 1\)"),
        ("actions", put((9, 2), np.inf), r"actions is inf at index \(9, 2\)"),
        ("rewards", put(2, np.nan), r"rewards is nan at index \(2,\)"),
        ("rewards", put(2, 1e300), r"rewards is 1e\+300 at index \(2,\)"),
        ("terminals", put(1, 0.5), "terminals is 0.5 at index 1, expected 0 or 1"),
        ("masks", put(7, -1), "masks is -1.0 at index 7, expected 0 or 1"),
        ("actions", lambda a: a[:-1], r"actions has shape \(9, 3\), expected \(10, any\)"),
        ("actions", lambda a: a[:, 0], r"actions has shape \(10,\)"),
        ("rewards", lambda a: a[:, None], r"rewards has shape \(10, 1\), expected \(10\)"),
        ("observations", lambda a: a[:, 0], r"observations has shape \(10,\)"),
        ("actions", lambda a: a.astype(str), "actions holds <U"),
        ("actions", lambda a: a.astype(object), "actions is damaged or of another kind"),
        ("terminals", lambda a: a * 0, "terminals is 0 at index 9"),
        ("actions", lambda a: a[:, :0], r"actions is empty, its shape is \(10, 0\)"),
        ("terminals", put(0, 1), "trajectory at index 0 has no transitions"),
    ],
)
def test_what_is_wrong_in_an_npz_is_named(tmp_path, name, change, message):
    with pytest.raises(ValueError, match=rf"play-v0.npz: .*{message}"):
        load_ogbench(save(tmp_path, broken(name, change)))


def test_an_npz_without_rows_is_named(tmp_path):
    empty = {name: value[:0] for name, value in per_state().items()}
    with pytest.raises(ValueError, match=r"play-v0.npz: observations is empty"):
        load_ogbench(save(tmp_path, empty))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_npz_is_named(tmp_path, part):
    path = save(tmp_path, per_state())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(ValueError, match=r"play-v0.npz.*damaged or of another kind"):
        load_ogbench(path)


def test_a_flipped_bit_in_an_npz_names_the_array(tmp_path):
    path = save(tmp_path, per_state())
    data = bytearray(path.read_bytes())
    data[data.index(b"actions.npy") + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"play-v0.npz: actions is damaged"):
        load_ogbench(path)


def test_missing_files_and_other_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data set at"):
        load_ogbench(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="no data set at"):
        load_robomimic(tmp_path / "none.hdf5", keys=["a"])
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"one.npy.*not an npz"):
        load_ogbench(tmp_path / "one.npy")


# robomimic

KEYS = ("object", "robot0_eef_pos")


@pytest.fixture
def hdf5(tmp_path):
    """Three demonstrations; the last one stores no next observations and was cut off."""
    path = tmp_path / "low_dim_v141.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = 24
        data.attrs["env_args"] = '{"env_name": "Lift", "type": 1, "env_kwargs": {}}'
        for i, steps in ((0, 6), (2, 8), (10, 10)):
            demo = data.create_group(f"demo_{i}")
            demo.attrs["num_samples"] = steps
            demo.attrs["model_file"] = "<mujoco/>"
            time = np.arange(steps + 1, dtype=np.float64)
            demo["actions"] = np.tile(time[:-1, None] / 10, (1, 7))
            demo["rewards"] = (time[:-1] >= steps - 2).astype(np.float64)
            demo["dones"] = ((time[:-1] >= steps - 2) & (i != 10)).astype(np.int64)
            demo["states"] = np.zeros((steps, 32))
            for key, size in zip(KEYS, (10, 3), strict=True):
                value = np.tile(time[:, None] + i, (1, size))
                demo[f"obs/{key}"] = value[:-1]
                if i != 10:
                    demo[f"next_obs/{key}"] = value[1:]
        file["mask/train"] = np.array([b"demo_10", b"demo_0"])
        file["mask/valid"] = np.array([b"demo_2"])
    return path


def test_robomimic_demonstrations_become_episodes(hdf5):
    episodes = load_robomimic(hdf5, keys=KEYS, reward_shift=-1.0)
    assert [len(episode) for episode in episodes] == [6, 8, 10]
    first, _, last = episodes
    assert first.observation["object"].shape == (6, 10)
    assert first.final_observation["robot0_eef_pos"].tolist() == [6, 6, 6]
    assert first.reward.tolist() == [-1] * 4 + [0, 0]
    assert first.terminated.tolist() == [False] * 4 + [True, True]
    assert last.truncated[-1] and not last.final_observation


def test_a_split_selects_its_demonstrations_in_order(hdf5):
    assert [len(e) for e in load_robomimic(hdf5, keys=KEYS, split="train")] == [6, 10]
    assert [len(e) for e in load_robomimic(hdf5, keys=KEYS, split="valid")] == [8]
    with pytest.raises(ValueError, match=r"no mask/test; it has \['mask/train', 'mask/valid'\]"):
        load_robomimic(hdf5, keys=KEYS, split="test")


def replaced(file, name, value):
    del file[name]
    file[name] = value


def spoil(name, index, value):
    def change(file):
        array = file[name][()].astype(np.float64)
        array[index] = value
        replaced(file, name, array)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("data/demo_2/actions", (7, 3), np.nan), r"demo_2/actions is nan at index \(7, 3\)"),
        (spoil("data/demo_2/obs/object", (0, 9), np.inf), r"obs/object is inf at index \(0, 9\)"),
        (spoil("data/demo_2/rewards", 1, np.nan), r"demo_2/rewards is nan at index \(1,\)"),
        (spoil("data/demo_2/dones", 1, 3), "demo_2/dones is 3.0 at index 1"),
        (
            lambda f: replaced(f, "data/demo_10/rewards", np.zeros(9)),
            r"demo_10/rewards has shape \(9,\), expected \(10\)",
        ),
        (
            lambda f: replaced(f, "data/demo_10/obs/object", np.zeros((11, 10))),
            r"demo_10/obs/object has shape \(11, 10\), expected \(10, any\)",
        ),
        (lambda f: f["data/demo_0"].attrs.modify("num_samples", 5), "6 rows, num_samples says 5"),
        (lambda f: f["data/demo_0"].pop("actions"), "no data/demo_0/actions"),
        (
            lambda f: f["data/demo_0"].attrs.__setitem__("success", "yes"),
            "data/demo_0 has a success of 'yes', not 0 or 1",
        ),
        (
            lambda f: replaced(f, "data/demo_0/obs/object", np.zeros((6, 8, 8, 1))),
            r"obs/object has shape \(6, 8, 8, 1\) and float64: neither numbers",
        ),
        (
            spoil("data/demo_0/obs/object", (3, 1), 9.0),
            "next_obs/object ends step 2 with 3 in column 1, but step 3 begins with 9",
        ),
        (lambda f: f["data/demo_0/obs"].pop("object"), "no data/demo_0/obs/object; it has"),
        (lambda f: f.pop("data"), "no data"),
        (lambda f: f["data"].create_group("demo_x"), "demo_x is not called demo_<number>"),
        (
            lambda f: replaced(f, "data/demo_0/obs/object", np.zeros((6, 9))),
            "demo_0: final_observation 'object'",
        ),
        (
            lambda f: replaced(f, "data/demo_10/actions", np.zeros((10, 6))),
            r"demo_10 has sizes {'actions': \(6,\).*the others {'actions': \(7,\)",
        ),
    ],
)
def test_what_is_wrong_in_an_hdf5_is_named(hdf5, change, message):
    with h5py.File(hdf5, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"low_dim_v141.hdf5: .*{message}"):
        load_robomimic(hdf5, keys=KEYS)


def test_a_split_of_unknown_demonstrations_is_named(hdf5):
    with h5py.File(hdf5, "r+") as file:
        replaced(file, "mask/train", np.array([b"demo_0", b"demo_7"]))
    with pytest.raises(ValueError, match="mask/train names 'demo_7' at index 1"):
        load_robomimic(hdf5, keys=KEYS, split="train")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.7, 0.99])
def test_a_truncated_hdf5_is_named(hdf5, part):
    hdf5.write_bytes(hdf5.read_bytes()[: int(hdf5.stat().st_size * part)])
    with pytest.raises(ValueError, match=r"low_dim_v141.hdf5 is damaged or no HDF5 file"):
        load_robomimic(hdf5, keys=KEYS)


def test_without_keys_those_of_the_file_are_listed(hdf5):
    there = r"name at least one .* has object \(10,\), robot0_eef_pos \(3,\)"
    with pytest.raises(ValueError, match=there):
        load_robomimic(hdf5, keys=())


def test_demonstrations_without_rewards_have_the_outcome_they_say(hdf5):
    """As Isaac Lab's record_demos and MimicGen write them."""
    with h5py.File(hdf5, "r+") as file:
        for number, success in ((0, True), (2, np.bool_(False)), (10, None)):
            demo = file[f"data/demo_{number}"]
            del demo["rewards"], demo["dones"]
            if success is not None:
                demo.attrs["success"] = success
    episodes = load_robomimic(hdf5, keys=KEYS)
    assert [episode.outcome for episode in episodes] == ["success", "failure", "unknown"]
    assert not any(e.reward.any() or e.terminated.any() for e in episodes)
    info, readings = robomimic_readings(hdf5, KEYS, None, 0.0, "success", is_offline=True)
    first, notes = readings["low_dim_v141.hdf5/demo_0"]()
    assert first.outcome == "success" and info["control_rate_hz"] is None
    assert notes["remarks"] == ["no rewards in the file: 0 at every step"]
    second, notes = readings["low_dim_v141.hdf5/demo_2"]()
    assert second.outcome == "success"
    assert notes["remarks"][1:] == ["the file says failure, --outcome success was taken"]


def test_names_that_cannot_be_learned_are_changed(hdf5):
    with h5py.File(hdf5, "r+") as file:
        for number in (0, 2, 10):
            for part in ("obs", "next_obs"):
                if (where := f"data/demo_{number}/{part}/object") in file:
                    file.move(where, f"data/demo_{number}/{part}/cube-pose")
    _, readings = robomimic_readings(hdf5, ["cube-pose"], None, 0.0, is_offline=True)
    episode, notes = readings["low_dim_v141.hdf5/demo_0"]()
    assert list(episode.observation) == ["cube_pose"] == list(episode.final_observation)
    assert notes["remarks"][0].startswith("cube-pose is called cube_pose here")


@pytest.mark.parametrize(("rate", "ok"), [(20, True), (0, False), ("fast", False), (None, True)])
def test_a_rate_that_is_none_is_named(hdf5, rate, ok):
    with h5py.File(hdf5, "r+") as file:
        arguments = {"env_name": "x", "env_kwargs": {"control_freq": rate}}
        file["data"].attrs["env_args"] = json.dumps(arguments)
    if ok:
        assert describe_robomimic(hdf5).control_rate_hz == rate
        return
    with pytest.raises(ValueError, match=f"control_freq of {rate!r}, expected a number above 0"):
        describe_robomimic(hdf5)


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_pointers_instead_of_files_are_named(tmp_path, kind):
    path = tmp_path / f"data.{kind}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n")
    with pytest.raises(ValueError, match=r"is only a Git LFS pointer .* git lfs pull"):
        load_ogbench(path) if kind == "npz" else load_robomimic(path, keys=KEYS)
    path.unlink()
    path.symlink_to(tmp_path / "annex" / "objects")
    with pytest.raises(FileNotFoundError, match="git annex get"):
        load_ogbench(path) if kind == "npz" else load_robomimic(path, keys=KEYS)


def test_jumps_are_told_of_and_steady_motion_is_not():
    time = np.arange(40.0)
    smooth = np.stack([np.sin(time / 9), 0.01 * time, time >= 20], axis=1)
    broken = smooth.copy()
    broken[25:, 1] += 3.0
    zeros = np.zeros((40, 1))
    assert not jumps_of(Episode({"state": smooth}, zeros, zeros[:, 0]))
    (remark,) = jumps_of(Episode({"state": broken}, zeros, zeros[:, 0]))
    assert remark.startswith("state jumps from 0.24 to 3.25 (column 1) after step 24 of 40")
    logged = {"state": smooth, "log_timing": broken, "c_age_s": broken}
    assert not jumps_of(Episode(logged, zeros, zeros[:, 0]))
