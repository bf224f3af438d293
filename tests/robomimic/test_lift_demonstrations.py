"""Scripted demonstrations through the border, into robomimic's format, and back as episodes."""

import json

import h5py
import numpy as np
import pytest

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import robomimic_readings
from sernf_isaac.data.importers.robomimic import describe_robomimic, load_robomimic
from sernf_isaac.data.sources import load_episodes, return_range
from sernf_isaac.data.windows import cut
from tasks.robomimic.client import RobosuiteSettings
from tasks.robomimic.demonstrations import HOLD_STEPS, MAX_STEPS, demonstrate, record_demonstrations
from tasks.robomimic.demonstrator import KEYS, OPERATORS
from tasks.robomimic.hdf5 import Demonstration, RobomimicWriter, settings_of

COUNT = 9
SPEC = ChunkSpec(history=1, prefix=0, horizon=10, discount=1.0, history_keys=())


@pytest.fixture(scope="module")
def recorded(client, tmp_path_factory):
    path = tmp_path_factory.mktemp("lift") / "lift.hdf5"
    return path, record_demonstrations(path, client, COUNT, seed=0)


def test_the_file_has_the_published_schema(recorded):
    path, _ = recorded
    with h5py.File(path) as file:
        data = file["data"]
        assert json.loads(data.attrs["env_args"])["env_name"] == "Lift"
        assert data.attrs["total"] == sum(data[name].attrs["num_samples"] for name in data)
        for demo in data.values():
            steps = demo.attrs["num_samples"]
            assert demo.attrs["model_file"].startswith("<mujoco")
            assert demo["actions"].shape == (steps, 7) and demo["states"].shape == (steps, 6)
            assert demo["rewards"].shape == demo["dones"].shape == (steps,)
            assert sorted(demo["obs"]) == sorted(demo["next_obs"]) == sorted(KEYS)
            for key in KEYS:  # what follows an action is what comes before the next one
                seen, following = demo[f"obs/{key}"][()], demo[f"next_obs/{key}"][()]
                assert len(seen) == steps and np.array_equal(seen[1:], following[:-1])
            assert np.array_equal(demo["states"][:, :3], demo["obs/robot0_eef_pos"])


def test_operators_differ_and_some_fail(recorded):
    path, tally = recorded
    info = describe_robomimic(path)
    assert (info.env_name, info.control_rate_hz) == ("Lift", 20.0)
    assert sorted(info.filter_keys) == ["better", "okay", "successful", "train", "worse"]
    assert {grade: tried for grade, (_, tried) in tally.items()} == dict.fromkeys(tally, 3)
    times = []
    for grade, (won, _) in tally.items():
        episodes = load_robomimic(path, keys=KEYS, split=grade)
        lengths = [len(episode) for episode in episodes if episode.outcome == "success"]
        assert len(lengths) == won
        times.append(np.mean(lengths))
    assert 0 < sum(won for won, _ in tally.values()) < COUNT
    assert times == sorted(times)


def test_success_ends_what_is_earned_but_not_what_is_imitated(recorded):
    """Rollouts end with success, recordings go on: its reward counts once, its steps are kept."""
    path, _ = recorded
    episodes = load_robomimic(path, keys=KEYS, split="successful")
    assert all(episode.reward.sum() == HOLD_STEPS for episode in episodes)
    assert return_range(episodes, 1.0) == (0.0, 1.0)
    for episode in episodes:
        windows, first = cut(episode, SPEC), int(episode.reward.argmax())
        row = windows.row.numpy()
        reached = windows.discount.numpy() == 0
        assert np.array_equal(reached, row + SPEC.horizon > first)
        assert np.array_equal(windows.reward.numpy() == 1, reached)
        assert windows.imitate.numpy()[row == first].all()
    (failed, *_) = [e for e in load_robomimic(path, keys=KEYS) if e.outcome == "failure"]
    assert len(failed) == MAX_STEPS and failed.truncated[-1] and not failed.terminated.any()


def test_a_demonstration_depends_on_its_number_alone(client, recorded):
    path, _ = recorded
    again = demonstrate(client, OPERATORS[1], np.random.default_rng([0, 4]))
    with h5py.File(path) as file:
        assert np.array_equal(np.stack(again.actions), file["data/demo_4/actions"])
        assert not np.array_equal(file["data/demo_4/actions"][:5], file["data/demo_7/actions"][:5])


def test_demonstrations_become_a_run_of_the_store(recorded, tmp_path):
    path, tally = recorded
    info, found = robomimic_readings(path, KEYS, None, 0.0, is_offline=True)
    made = import_run(tmp_path / "run", info, found)
    assert len(made.episodes) == COUNT
    episodes = load_episodes([str(tmp_path / "run")], list(KEYS)).values()
    won = sum(won for won, _ in tally.values())
    assert sum(episode.outcome == "success" for episode in episodes) == won


def test_the_environment_of_a_file_can_be_made_again(recorded, make_client, tmp_path):
    path, _ = recorded
    settings = settings_of(path)
    assert settings.name == "Lift" and settings.kwargs["control_freq"] == 20.0
    assert make_client(settings).env_args["env_name"] == "Lift"
    with pytest.raises(FileNotFoundError, match="no data set at"):
        settings_of(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text.hdf5: no environment"):
        settings_of(tmp_path / "text.hdf5")


def test_images_are_written_upright(make_client, tmp_path):
    settings = RobosuiteSettings(cameras=("agentview",), image_size=8)
    path = tmp_path / "images.hdf5"
    record_demonstrations(path, make_client(settings), 1)
    (episode,) = load_robomimic(path, keys=["agentview_image"])
    images = episode.observation["agentview_image"]
    assert images.shape[1:] == (3, 8, 8) and images.dtype == np.uint8
    assert (images[:, 0, :4] == 200).all() and not images[:, :, 4:].any()
    with h5py.File(path) as file:
        assert file["data/demo_0/obs/agentview_image"].shape[1:] == (8, 8, 3)


def test_a_recording_that_fails_leaves_nothing_behind(make_client, tmp_path):
    one = make_client(RobosuiteSettings(kwargs={"fault": "leave"}))
    path = tmp_path / "new" / "lift.hdf5"
    with pytest.raises(RuntimeError, match="died at 'step'"):
        record_demonstrations(path, one, 2)
    assert list(path.parent.iterdir()) == []


def test_what_cannot_be_recorded_is_named(client, make_client, recorded, tmp_path):
    path, new = recorded[0], tmp_path / "new.hdf5"
    with pytest.raises(ValueError, match=r"lift.hdf5 exists; name another"):
        record_demonstrations(path, client, 1)
    with pytest.raises(ValueError, match=r"count \(0\) must be at least 1"):
        record_demonstrations(new, client, 0)
    with pytest.raises(ValueError, match="can lift a cube, but not do 'PickPlaceCan'"):
        record_demonstrations(new, make_client(RobosuiteSettings("PickPlaceCan")), 1)
    blind = make_client(RobosuiteSettings(keys=("robot0_eef_pos",)))
    with pytest.raises(ValueError, match=r"operators look at \['object', 'robot0_eef_quat'\]"):
        record_demonstrations(new, blind, 1)
    seen = {"object": np.zeros(10)}
    torn = Demonstration([seen], [np.zeros(6)], [np.zeros(7)], [0.0], [False], "")
    with (
        pytest.raises(ValueError, match=r"1 actions, but \{'observations': 0\}"),
        RobomimicWriter(new, {}) as writer,
    ):
        writer.add(torn, [])
    assert not new.exists()
