"""Two cameras of one cube: poses are fused, and a camera that is gone is named."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.cameras import oak
from perception.cameras.oak import OakCamera, OakSettings
from perception.geometry import inverse, look_at, transform
from perception.pose.projection import pose_error
from perception.tracking.filter import Measurement, Outcome
from perception.tracking.several import SeveralCameras
from perception.tracking.shared import SharedFilter
from tasks.cube_spin.hand.settings import HandRun, TwinOptions

DEPTH_M, ACROSS_M, TURN_RAD = 0.006, 0.0005, 0.03
CUBE = np.array([0.02, 0.18, -0.06])
UP = np.array([0.0, 1.0, 0.0])
CAMERAS = [look_at(CUBE + offset, CUBE, UP) for offset in ([0.0, 0.0, -0.3], [0.25, 0.0, -0.15])]
"""From below, and from the side."""


def truth(time_s: float) -> np.ndarray:
    return transform(CUBE, Rotation.from_rotvec([0.0, 0.0, 0.8 * time_s]).as_quat())


def seen_by(T_base_camera: np.ndarray, time_s: float, rng: np.random.Generator) -> Measurement:
    """A pose with the errors of one camera: depth is known worst."""
    deviations = np.array([ACROSS_M, ACROSS_M, DEPTH_M, *[TURN_RAD] * 3])
    error = deviations * rng.normal(size=6)
    pose = inverse(T_base_camera) @ truth(time_s)
    pose[:3, 3] += error[:3]
    pose[:3, :3] = Rotation.from_rotvec(error[3:]).as_matrix() @ pose[:3, :3]
    turn = np.kron(np.eye(2), T_base_camera[:3, :3])
    return Measurement(time_s, T_base_camera @ pose, turn @ np.diag(deviations**2) @ turn.T)


def rms_m(cameras: list[np.ndarray], seed: int) -> tuple[float, float]:
    """Of position and of rotation [rad], filtered, over ten seconds at 16 pictures per second."""
    cube, rng, errors = SharedFilter(), np.random.default_rng(seed), []
    for number in range(160):
        for delay, camera in enumerate(cameras):
            time_s = number / 16.0 + 0.02 * delay
            assert cube.add(seen_by(camera, time_s, rng)) in Outcome
        state, last_s = cube.state_at(time_s)
        if number > 4:
            assert state is not None
            assert last_s <= time_s
            errors.append(pose_error(state.pose, truth(time_s)))
    square = np.square(errors).mean(axis=0)
    return float(np.sqrt(square[:3].sum())), float(np.sqrt(square[3:].sum()))


def test_a_second_camera_corrects_what_the_first_sees_badly() -> None:
    for seed in range(3):
        below, side = (rms_m([camera], seed) for camera in CAMERAS)
        both = rms_m(CAMERAS, seed)
        assert both[0] < 0.5 * min(below[0], side[0])
        assert both[1] < min(below[1], side[1])


class Source:
    def __init__(self, answer: object) -> None:
        self.answer, self.asked, self.forgotten = answer, 0, 0

    def latest(self) -> object:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def reset(self) -> None:
        self.forgotten += 1


def test_all_cameras_are_asked_and_forget_together() -> None:
    first, second = Source("early"), Source("late")
    with SeveralCameras([first, second]) as cameras:  # type: ignore[list-item]  # doubles
        assert cameras.latest() == "late"
        cameras.reset()
    assert (first.asked, second.asked, first.forgotten, second.forgotten) == (1, 1, 1, 1)


def test_a_camera_that_is_gone_is_named() -> None:
    gone = Source(ConnectionError("the camera gives no more frames; look at its cable"))
    cameras = SeveralCameras([Source(None), gone])  # type: ignore[list-item]  # doubles
    with pytest.raises(ConnectionError, match="camera 2: the camera gives no more frames"):
        cameras.latest()
    with pytest.raises(ValueError, match="at least one"):
        SeveralCameras([])


def test_an_oak_is_found_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    infos = [SimpleNamespace(deviceId="A1"), SimpleNamespace(deviceId="B2")]
    device = SimpleNamespace(getAllAvailableDevices=lambda: infos)
    monkeypatch.setattr(oak, "_depthai", lambda: SimpleNamespace(Device=device))
    with pytest.raises(ConnectionError, match="no OAK camera C3; connected: A1, B2"):
        OakCamera(OakSettings(device="C3"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"second_calibration": "b.json"}, "second_calibration would have no effect"),
        ({"twin": TwinOptions(second_camera=True)}, "twin.second_camera would have no effect"),
        (
            {"hand": "orca", "pose": "camera", "calibration": "a", "second_calibration": "a"},
            "are one file",
        ),
    ],
)
def test_a_second_camera_that_cannot_be_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HandRun(**settings)


def test_two_cameras_need_a_number_each(tmp_path) -> None:
    from perception.calibration.file import CalibratedRig, load_rig, save_rig
    from tasks.cube_spin.eyes.real_cameras import real_cameras

    camera = np.array([[900.0, 0, 960.0], [0, 900.0, 540.0], [0, 0, 1.0]])
    paths = []
    for name, device in (("a", "A1"), ("b", "")):
        rig = CalibratedRig(
            camera, (), (1080, 1920), 0.1, CAMERAS[0], oak=OakSettings(device=device)
        )
        save_rig(tmp_path / name, rig)
        paths.append(str(tmp_path / name))
        assert load_rig(tmp_path / name).oak == OakSettings(device=device)
    with pytest.raises(ValueError, match=r"b does not name a camera .* device=SERIAL_NUMBER"):
        real_cameras(paths, now=lambda: 0.0)
