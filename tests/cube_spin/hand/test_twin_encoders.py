"""The twin's joint encoders, and how a session with them says and records them."""

from pathlib import Path

import numpy as np
import pytest
from tiny_student import save_tiny_student

from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.actor.episode import RunnerSettings
from sernf_isaac.deploy.hand.health import HealthLimits
from sernf_isaac.deploy.hand.sensors import SensorOptions
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun, TwinOptions
from tasks.cube_spin.hand.twin_encoders import STEP_RAD, EncoderErrors, TwinEncoders

TICK_S = 0.025


def test_an_encoder_knows_its_joint_to_half_a_step() -> None:
    encoders = TwinEncoders(EncoderErrors(rate_hz=466.0, noise_rad=0.0), TICK_S, 0)
    for joints in np.random.default_rng(0).uniform(-1.0, 1.0, (50, 17)):
        read = encoders.read(joints)
        assert np.abs(read - joints).max() <= STEP_RAD / 2 + 1e-12
        np.testing.assert_allclose(read / STEP_RAD, np.rint(read / STEP_RAD), atol=1e-6)


def test_its_noise_is_as_large_as_told() -> None:
    encoders = TwinEncoders(EncoderErrors(rate_hz=466.0, noise_rad=0.01), TICK_S, 0)
    read = np.array([encoders.read(np.zeros(17)) for _ in range(400)])
    assert abs(read.mean()) < 5e-4 and read.std() == pytest.approx(0.01, rel=0.05)


def test_a_slow_encoder_repeats_itself() -> None:
    encoders = TwinEncoders(EncoderErrors(rate_hz=10.0, noise_rad=0.0), TICK_S, 0)
    read = [encoders.read(np.array([number * 0.1]))[0] for number in range(9)]
    assert len(set(read[0:4])) == len(set(read[4:8])) == 1 and len(set(read)) == 3
    encoders.reset()
    assert encoders.read(np.array([5.0]))[0] == pytest.approx(5.0, abs=STEP_RAD)


def test_impossible_encoders_are_refused() -> None:
    for errors in ((0.0, 0.0), (np.inf, 0.0), (1.0, -0.1), (1.0, np.nan)):
        with pytest.raises(ValueError, match="impossible encoders"):
            EncoderErrors(*errors)


@pytest.mark.parametrize("encoders", [False, True])
def test_a_session_on_the_twin_records_what_it_measures(tmp_path: Path, encoders: bool) -> None:
    twin, told = TwinOptions(encoders=encoders), []
    run = HandRun(twin=twin, runner=RunnerSettings(max_episode_s=0.5))
    prepare(run, tmp_path / "run", save_tiny_student(tmp_path / "student.pt"))
    with open_virtual_session(run, tmp_path / "run", told.append) as session:
        next(iter(session.episodes(count=1)))
    reader = RunReader(tmp_path / "run")
    (episode,) = map(reader.load, reader.commits())
    logs = {name for name in episode.observation if name.startswith("log_")}
    more = {"log_motor_pos", "log_measured"} if encoders else set()
    assert logs == {"log_pose", "log_sent", "log_timing"} | more
    said = "joint angles are measured by encoders on 17 of 17 joints"
    assert (said in told) == encoders
    if not encoders:
        return
    assert episode.observation["log_measured"].min() == 1.0
    apart = episode.observation["history"][:, :17] - episode.observation["log_motor_pos"]
    assert 0.004 < apart.std() < 0.1, "what the motors say is noisier than an encoder (0.002)"


def test_settings_that_would_have_no_effect_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sensors\.\* would have no effect"):
        HandRun(sensors=SensorOptions(touch=False))
    with pytest.raises(ValueError, match=r"health\.\* would have no effect"):
        HandRun(health=HealthLimits(drift_warn_rad=0.1))
    with pytest.raises(ValueError, match=r"twin\.encoders would have no effect"):
        HandRun(hand="mock", pose="still", twin=TwinOptions(encoders=True))
    HandRun(hand="mock", pose="still", sensors=SensorOptions(touch=False))
