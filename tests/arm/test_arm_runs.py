"""Sessions with a fake arm and an ideal hand: recorded, learned from, driven, reloaded."""

import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.data.store.channel import publish_checkpoint
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.actor.episode import End, RunnerSettings
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.policy import load_policy
from tasks.arm.circle import Circle
from tasks.arm.session import open_session, open_virtual_session, prepare
from tasks.arm.settings import ArmRun
from tasks.arm.task import ArmTask, check_arm_policy
from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP
from tasks.manipulation.settings import SPEC
from tasks.presets import preset

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SECONDS = 4.0
RUN = ArmRun(
    runner=RunnerSettings(control_rate_hz=10.0, max_episode_s=SECONDS, counts_turns=False),
    decisions=DecisionSettings(candidates=2),
)


@pytest.fixture(scope="module")
def circles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two episodes of a circle."""
    folder = tmp_path_factory.mktemp("arm") / "circles"
    prepare(RUN, folder, None, circle=True)
    told: list[str] = []
    with open_virtual_session(RUN, folder, told.append, circle=True) as session:
        results = list(session.episodes(count=2))
    assert [result.end for result in results] == [End.TIMEOUT] * 2
    assert told == ["set up: scissors 1, tape holder 1", "set up: scissors 1, tape holder 2"]
    return folder


@pytest.fixture(scope="module")
def policy(circles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny policy of the scissors task, trained on the circles for a moment."""
    task = preset("scissors_tape")
    run = replace(
        task,
        data=[str(circles)],
        keys=[POSE_GROUP, HAND_GROUP],
        successes_only=False,
        imitation_steps=2,
        warm_up_steps=1,
        offline_steps=1,
        batch_size=8,
        rl_batch_size=4,
        learner=replace(
            task.learner,
            policy=PolicyConfig(16, 16, 4, num_heads=2, noise_std=0.01),
            critic=CriticConfig(2, (0.0, 2.0), 21, token_dim=16, num_heads=2, num_layers=1),
        ),
        log_every=1,
        save_every=4,
    )
    return offline.train(run, tmp_path_factory.mktemp("offline") / "run")


def test_a_circle_is_driven_under_all_guards_and_recorded(circles: Path) -> None:
    for episode in load_episodes([str(circles)], [POSE_GROUP, HAND_GROUP]).values():
        assert len(episode) == 10 * SECONDS and episode.outcome == "timeout"
        place = episode.observation[POSE_GROUP][:, :3]
        np.testing.assert_allclose(place[:3], np.tile(RUN.home[:3], (3, 1)), atol=6e-3)  # its lag
        centre = np.array(RUN.home[:2]) - [0.04, 0.0]
        radius = np.linalg.norm(place[:, :2] - centre, axis=1)
        np.testing.assert_allclose(radius[3:], 0.04, atol=2e-3)
        assert np.ptp(place[:, 1]) > 0.03
        assert np.linalg.norm(np.diff(episode.action[:, :3], axis=0), axis=1).max() < 0.004
    info = json.loads((circles / "run.json").read_text())
    assert info["task"] == "scissors_tape" and info["limits"]["max_leap_m"] == 0.2


def test_a_policy_of_these_recordings_drives_and_newer_ones_are_taken(
    circles: Path, policy: Path, tmp_path: Path
) -> None:
    folder, told = tmp_path / "run", []
    prepare(RUN, folder, policy)
    with open_virtual_session(RUN, folder, told.append) as session:
        episodes = session.episodes(count=2)
        first = next(episodes)
        publish_checkpoint(folder, policy, 100)
        second = next(episodes)
    assert "driving with 000000000-" in told[0]
    assert any("driving with 000000100-" in message for message in told)
    reader = RunReader(folder)
    commits = reader.commits()
    assert [commit.is_offline for commit in commits] == [True, False]
    for result, commit in zip((first, second), commits, strict=True):
        assert result.latencies_s and result.latencies_s[0] == pytest.approx(0.24)
        episode = reader.load(commit)
        assert commit.policy[:9] in ("000000000", "000000100")
        assert np.abs(episode.action[:, :3] - np.array(RUN.home[:3])).max() < 0.3
        if result.end is End.TIMEOUT:
            assert len(episode) == 10 * SECONDS and episode.decision.sum() == 4
    again = replace(preset("scissors_tape"), data=[str(circles), str(folder)])
    read = load_episodes(again.data, [POSE_GROUP, HAND_GROUP])
    assert len(read) == 4 and {e.action_dim for e in read.values()} == {24}


def test_a_run_is_one_machine_and_needs_a_policy(circles: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no policy yet; give one with --policy, or try --circle"):
        prepare(RUN, tmp_path / "run", None)
    with pytest.raises(ValueError, match="another run: limits differ"):
        other = replace(RUN, limits=ArmLimits((0.3, -0.3, 0.1), (0.7, 0.3, 0.6)))
        prepare(other, circles, None, circle=True)
    with pytest.raises(FileNotFoundError):
        prepare(RUN, tmp_path / "run", tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arm": "crane"}, "arm must be one of"),
        ({"hand": "left"}, "hand must be one of"),
        ({"task": "tea"}, "no task 'tea' with an arm; there are scissors_tape, duck_bowl"),
        ({"home": [0.4, 0.0, 0.3, 0, 0, 0, 0]}, "home must be x y z and a quaternion"),
        ({"start_joints": [0.0]}, "start_joints 17 angles"),
        ({"arm": "panda"}, "a real arm .* needs hostname="),
        ({"arm": "franky", "hostname": "10.0.0.2"}, "of this very table limits.lower_m="),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArmRun(**settings)


def test_time_is_not_skipped_for_what_can_move(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="time cannot be skipped"),
        open_virtual_session(replace(RUN, hand="orca"), tmp_path, print),
    ):
        pass


def test_policies_that_do_not_fit_are_refused(policy: Path) -> None:
    loaded, contract = load_policy(policy)
    check_arm_policy(loaded, contract, task="scissors_tape")

    def refused(message: str, task: str = "scissors_tape", **changes: object) -> None:
        with pytest.raises(ValueError, match=message):
            check_arm_policy(loaded, replace(contract, **changes), task=task)

    refused("task is scissors_tape, expected duck_bowl", task="duck_bowl")
    refused("control_rate_hz is 20", control_rate_hz=20.0)
    refused("pose_frame is None, expected pose", action={})
    refused("observations is .*duck", observations=contract.observations | {"duck": 7})
    in_degrees = (*contract.joint_upper_rad[:8], 60.0, *contract.joint_upper_rad[9:])
    refused(r"went from .* to 60.00 .* in degrees\?", joint_upper_rad=in_degrees)
    loaded.layout.architecture.vision.cameras["front"] = [3, 224, 224]
    refused(r"sees the cameras \['front'\].* --keys pose hand")


def test_rotations_are_observed_with_the_sign_the_import_gives_them() -> None:
    joints = np.concatenate([[0.4, 0.1, 0.3, -1.0, 0.0, 0.0, 0.1], np.zeros(17)])
    seen = ArmTask().observe(joints, joints, joints, None, 1.0)  # type: ignore[arg-type]  # unused
    np.testing.assert_allclose(seen["pose"][3:], [1.0, 0.0, 0.0, -0.1], atol=1e-6)
    assert {name: len(value) for name, value in seen.items()} == dict(ArmTask.features)


def test_a_circle_begins_where_the_queue_ends_and_again_after_a_pause() -> None:
    now = {"s": 0.0}
    circle = Circle(SPEC, 10.0, lambda: now["s"])
    hold = np.tile(np.array([*RUN.home, *RUN.start_joints]), (3, 1))
    chunks = []
    for start_s in (0.0, 1.0, 10.0):
        now["s"] = start_s
        circle.request({}, hold if start_s != 1.0 else chunks[0][-3:])
        chunk = circle.poll()
        assert chunk is not None and chunk.shape == (10, 24) and circle.poll() is None
        chunks.append(chunk)
    np.testing.assert_allclose(chunks[0][0], hold[0], atol=1e-12)
    seam = np.linalg.norm(chunks[1][0] - chunks[0][-1])
    assert seam == pytest.approx(np.linalg.norm(chunks[0][1] - chunks[0][0]), rel=1e-6)
    np.testing.assert_allclose(chunks[2], chunks[0], atol=1e-12)
    with pytest.raises(ValueError, match="leave --circle out"):
        circle.load(Path("policy.pt"))


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as end:
            return str(end.code)
        return capsys.readouterr().out

    return run


def test_the_script_tests_every_place_once_and_reports(
    script: Callable[..., str], tmp_path: Path
) -> None:
    run = ("--run", tmp_path / "run", "--circle", "--fast", "runner.max_episode_s=0.5")
    said = script("run_arm.py", *run, "--test", "--task", "duck_bowl")
    assert "set up: bowl 2, duck 5" in said and "success  0.0 % [0, 28] (0/10)" in said
    assert len(RunReader(tmp_path / "run").commits()) == 10
    assert "error: a real arm (panda) needs" in script("run_arm.py", *run, "--arm", "panda")
    assert "did you mean 'limits.max_leap_m'" in script("run_arm.py", *run, "limits.max_leap=1")


@pytest.mark.slow
def test_a_session_with_processes_drives_a_circle(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = replace(RUN, safety=replace(RUN.safety, command_timeout_s=1.0))
    prepare(run, folder, None, circle=True)
    with open_session(run, folder, print, circle=True) as session:
        (result,) = session.episodes(count=1)
    assert result.end is End.TIMEOUT and result.steps > 5 * SECONDS
    assert (folder / "arm-actor.log").stat().st_size and (folder / "hand-actor.log").stat().st_size
