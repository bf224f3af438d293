"""A session on the twin whose eyes lose the cube: a student without a camera goes on."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from first_hand import V1
from tiny_student import save_tiny_student

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.windows import cut, find_starts
from sernf_isaac.deploy.actor.episode import End, EpisodeResult, RunnerSettings
from sernf_isaac.deploy.actor.fallback import FALLBACK, FallbackRule
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.deploy.protocols import PoseReading
from tasks.cube_spin.hand.pose_sources import CameraErrors, TwinCamera
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun, TwinOptions
from tasks.orca.hands import load_hand

LOST_S, BACK_S = 1.0, 3.0
RULE = FallbackRule(after_s=0.3, poses=4, longest_s=3.0)
LOG = f"log_{FALLBACK}"


@dataclass
class Winking:
    """A camera that sees nothing for a while, counted from the episode's beginning."""

    camera: TwinCamera
    now: Callable[[], float]
    back_s: float
    start_s: float = 0.0
    seen: PoseReading | None = None

    def reset(self) -> None:
        self.start_s, self.seen = self.now(), None
        self.camera.reset()

    def latest(self) -> PoseReading | None:
        if not LOST_S <= self.now() - self.start_s < self.back_s:
            self.seen = self.camera.latest()
        return self.seen


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("policies")
    return {
        "student": save_tiny_student(folder / "student.pt", with_critics=False),
        "blind": save_tiny_student(
            folder / "blind.pt", with_critics=False, camera=False, history=7
        ),
    }


def a_run(fallback: Path | None) -> HandRun:
    return HandRun(
        pose="camera",
        fallback="" if fallback is None else str(fallback),
        runner=RunnerSettings(
            max_episode_s=5.0, fallback=FallbackRule() if fallback is None else RULE
        ),
        decisions=DecisionSettings(candidates=1),
        twin=TwinOptions(physics="nominal", support_s=6.0),
    )


def play(
    run: HandRun, student: Path, folder: Path, back_s: float
) -> tuple[EpisodeResult, Episode, list[str]]:
    """One episode on a platform that holds the cube, with eyes that lose it from 1 s on."""
    prepare(run, folder, student)
    told: list[str] = []

    def camera(_, hand, clock):
        truth = TwinCamera(lambda: (clock.now(), hand.state().cube), CameraErrors.none())
        return nullcontext(Winking(truth, clock.now, back_s))

    with open_virtual_session(run, folder, told.append, camera=camera) as session:
        session.station.task.lost = lambda pose: False  # these students would throw it away
        (result,) = session.episodes(count=1)
    reader = RunReader(folder)
    return result, reader.load(reader.commits()[-1]), told


def test_a_blind_student_goes_on_and_hands_back_and_the_log_says_so(files, tmp_path):
    result, episode, told = play(a_run(files["blind"]), files["student"], tmp_path / "r", BACK_S)
    assert result.end is End.TIMEOUT and result.steps == 100
    assert any("fallback blind.pt" in message for message in told)
    drove = episode.observation[LOG][:, 0] > 0.5
    first, last = np.flatnonzero(drove)[[0, -1]]
    assert drove[first : last + 1].all(), "once, without a gap"
    assert abs(0.05 * first - (LOST_S + RULE.after_s)) <= 0.1
    assert abs(0.05 * last - (BACK_S + 0.05 * RULE.poses)) <= 0.15
    assert result.fallback_steps == drove.sum() and not result.ended_by_fallback
    np.testing.assert_array_equal(episode.overridden, drove)
    assert episode.decision[drove].sum() >= drove.sum() / 6 - 1, "it decides by itself"
    # Each begins from where the hand was sent, so that nothing jumps at the seams.
    for seam in (first, last + 1):
        sent = episode.observation["log_sent"][seam]
        np.testing.assert_allclose(episode.action[seam], sent, atol=1e-6)
        np.testing.assert_allclose(episode.action[seam + 1], sent, atol=1e-6)


def test_steps_of_the_fallback_are_not_learned_from(files, tmp_path):
    _, episode, _ = play(a_run(files["blind"]), files["student"], tmp_path / "run", BACK_S)
    drove = np.flatnonzero(episode.observation[LOG][:, 0] > 0.5)
    spec = ChunkSpec()
    starts, windows = find_starts(episode, spec), cut(episode, spec)
    reached = starts[:, None] + np.arange(spec.horizon)
    assert not np.isin(reached, drove).any(), "no window earns what the fallback did"
    imitated = starts[windows.imitate.numpy()][:, None] + np.arange(spec.prefix + spec.horizon)
    assert not np.isin(imitated, drove).any()
    assert (starts < drove[0]).any() and (starts > drove[-1]).any()


def test_eyes_that_stay_away_end_the_episode(files, tmp_path):
    result, episode, _ = play(a_run(files["blind"]), files["student"], tmp_path / "run", 100.0)
    assert result.end is End.DROPPED and result.ended_by_fallback and not result.judges_policy
    assert abs(result.duration_s - (LOST_S + RULE.longest_s)) <= 0.15
    assert len(find_starts(episode, ChunkSpec())), "what was before is learned from"


def test_without_a_fallback_all_is_as_it_was(files, tmp_path):
    result, episode, _ = play(a_run(None), files["student"], tmp_path / "run", BACK_S)
    assert result.end is End.DROPPED and result.judges_policy
    assert abs(result.duration_s - (LOST_S + 1.0)) <= 0.15, "runner.blind_s"
    assert LOG not in episode.observation and not episode.overridden.any()
    both = play(a_run(files["blind"]), files["student"], tmp_path / "other", BACK_S)[1]
    until = round((LOST_S + RULE.after_s) / 0.05) - 1
    for name, value in episode.observation.items():
        np.testing.assert_array_equal(value[:until], both.observation[name][:until])
    np.testing.assert_array_equal(episode.action[:until], both.action[:until])


def test_a_fallback_that_does_not_fit_is_refused(files, tmp_path):
    run = a_run(files["student"])
    with pytest.raises(ValueError, match=r"student\.pt sees the object's pose.*--preset blind"):
        prepare(run, tmp_path / "a", files["student"])
    other = save_tiny_student(tmp_path / "v2.pt", hand=load_hand("orca_v2_right"), camera=False)
    with pytest.raises(ValueError, match=r"v2\.pt is for the hand orca_v2_right, not for"):
        prepare(a_run(other), tmp_path / "a", files["student"])
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        prepare(a_run(tmp_path / "nothing.pt"), tmp_path / "a", files["student"])
    with pytest.raises(ValueError, match="no effect: the policy that drives has no camera"):
        prepare(a_run(files["blind"]), tmp_path / "a", files["blind"])
    assert not (tmp_path / "a" / "run.json").exists()
    with pytest.raises(ValueError, match=r"runner\.fallback\.\* would have no effect"):
        HandRun(runner=RunnerSettings(fallback=RULE))
    with pytest.raises(ValueError, match="no pose is ever lost"):
        replace(run, hand="mock", pose="still")


def test_a_student_without_a_camera_may_drive_by_itself(files, tmp_path):
    run = replace(a_run(None), runner=RunnerSettings(max_episode_s=0.8))
    result, episode, _ = play(run, files["blind"], tmp_path / "run", BACK_S)
    assert result.end is End.TIMEOUT
    assert episode.observation["history"].shape == (16, V1.num_joints)
