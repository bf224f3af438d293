"""Play data: others' files are taken as they are; what is generated survives interruption."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from tasks.ogbench import play_data, relabel
from tasks.ogbench.package import make_env

TASK = "cube-single-singletask-task2-v0"
FOUND = importlib.util.find_spec("ogbench")
needs_ogbench = pytest.mark.skipif(
    FOUND is None or FOUND.origin is None,  # without an origin it is the folder of these tests
    reason="the package ogbench is not installed",
)


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        np.savez(folder / name, observations=np.zeros(1))
    return [folder / name for name in names]


def test_other_peoples_files_are_the_data_without_their_validation_set(tmp_path: Path) -> None:
    train, _ = touch(tmp_path, "cube-play-v0.npz", "cube-play-v0-val.npz")
    assert play_data.ensure_play_data(TASK, tmp_path, episodes=3) == [train]


def test_data_that_cannot_be_generated_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no \.npz files.*puzzle-3x3-singletask-v0"):
        play_data.ensure_play_data("puzzle-3x3-singletask-v0", tmp_path)


@pytest.fixture
def fake_oracle(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the episodes that were played."""
    seeds: list[int] = []

    class Env:
        def close(self) -> None:
            pass

    def episode(env: Env, *, seed: int) -> dict[str, np.ndarray]:
        seeds.append(seed)
        if len(seeds) == 3:
            raise KeyboardInterrupt
        return {"observations": np.full(4, seed)}

    monkeypatch.setattr(play_data, "make_env", lambda *_, **__: Env())
    monkeypatch.setattr(play_data, "play_episode", episode)
    return seeds


def test_an_interrupted_generation_goes_on_with_the_same_episodes(
    fake_oracle: list[int], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        play_data.ensure_play_data(TASK, tmp_path, episodes=4, seed=2)
    assert len(play_data.play_files(tmp_path)) == 2
    files = play_data.ensure_play_data(TASK, tmp_path, episodes=4, seed=2)
    assert fake_oracle == [2000, 2001, 2002, 2002, 2003]
    assert [int(np.load(path)["observations"][0]) for path in files] == [2000, 2001, 2002, 2003]
    assert play_data.ensure_play_data(TASK, tmp_path, episodes=4, seed=2) == files
    assert len(fake_oracle) == 5


def test_nothing_is_added_to_episodes_that_are_there(
    fake_oracle: list[int], tmp_path: Path
) -> None:
    two = play_data.ensure_play_data(TASK, tmp_path, episodes=2)
    assert play_data.ensure_play_data(TASK, tmp_path, episodes=100) == two
    assert fake_oracle == [0, 1]


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"'ogbench'.*(sync|install).*ogbench"):
        make_env(TASK)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"observations": np.zeros(2)}, "no actions, terminals, qpos"),
        ({**dict.fromkeys(relabel.NEEDED, np.zeros(2)), "qpos": np.zeros(3)}, "rows differ"),
        (dict.fromkeys((*relabel.NEEDED, "next_observations"), np.zeros(2)), "row per transition"),
    ],
)
def test_files_that_cannot_be_relabelled_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: dict, message: str
) -> None:
    monkeypatch.setattr(relabel, "make_env", lambda *_: None)
    monkeypatch.setattr(relabel, "ogbench_module", lambda *_: None)
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=rf"x\.npz.*{message}"):
        relabel.relabel(TASK, [tmp_path / "x.npz"], tmp_path / "out")
    (tmp_path / "x.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match=r"x\.npz is damaged"):
        relabel.relabel(TASK, [tmp_path / "x.npz"], tmp_path / "out")


@needs_ogbench
def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="no environment 'cube-sinlge-v0'"):
        make_env("cube-sinlge-v0")


@needs_ogbench
def test_the_oracle_plays_the_same_episode_again() -> None:
    env = make_env("cube-single-v0", mode="data_collection", max_episode_steps=25)
    first, again, other = (play_data.play_episode(env, seed=seed) for seed in (4, 4, 5))
    assert set(first) == set(play_data.KEYS) and len(first["actions"]) == 25
    assert first["terminals"].tolist() == [False] * 24 + [True]
    assert np.abs(first["actions"]).max() <= 1
    assert all(np.array_equal(first[key], again[key]) for key in play_data.KEYS)
    assert not np.array_equal(first["qpos"], other["qpos"])
    assert np.isfinite(first["observations"]).all()


@needs_ogbench
def test_relabelled_rewards_are_those_the_environment_gives(tmp_path: Path) -> None:
    env = make_env(TASK)
    draw = np.random.default_rng(0)
    rows: dict[str, list] = {"observations": [], "actions": [], "qpos": [], "rewards": []}
    for place in ((0.35, 0.0), (0.47, 0.01), (0.53, -0.02), (0.5, 0.05)):
        env.reset(seed=1)
        env.unwrapped._data.joint("object_joint_0").qpos[:2] = place
        env.unwrapped.post_step()  # looks where the cube is now
        seen, reward, _, _, info = env.step(draw.uniform(-1, 1, 5))
        for name, value in zip(rows, (seen, np.zeros(5), info["prev_qpos"], reward), strict=True):
            rows[name].append(value)
    arrays = {name: np.asarray(value, np.float32) for name, value in rows.items()}
    earned = arrays.pop("rewards")
    assert set(earned.tolist()) == {-1.0, 0.0}
    np.savez(tmp_path / "a.npz", terminals=np.arange(4) == 3, **arrays)
    (written,) = relabel.relabel(TASK, [tmp_path / "a.npz"], tmp_path / "out")
    with np.load(written) as relabelled:
        assert np.array_equal(relabelled["rewards"], earned)
        assert np.array_equal(relabelled["masks"], -earned)
