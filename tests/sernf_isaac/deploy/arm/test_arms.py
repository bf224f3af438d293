"""Arms: the guard lets only reachable poses through, the fake has a lag, drivers say why."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.arm.driver import Array
from sernf_isaac.deploy.arm.fake import FakeArm, approach
from sernf_isaac.deploy.arm.franky import FrankyArm
from sernf_isaac.deploy.arm.guard import ARM_LIMIT_CEILINGS, ArmGuard, ArmLimits, as_pose
from sernf_isaac.deploy.arm.panda import PandaArm

HOME = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
LIMITS = ArmLimits((0.2, -0.3, 0.05), (0.7, 0.3, 0.6))
PERIOD_S = 0.1


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shifted(pose: Array, x_m: float, y_m: float = 0.0) -> Array:
    return pose + np.array([x_m, y_m, 0, 0, 0, 0, 0])


def angle(one: Array, other: Array) -> float:
    return float((Rotation.from_quat(one[3:]).inv() * Rotation.from_quat(other[3:])).magnitude())


def wild(rng: np.random.Generator) -> object:
    """Anything that may come out of a broken policy."""
    pose = np.concatenate([rng.normal(0, 2, 3), rng.normal(size=4)])
    broken = (np.nan, np.inf, -np.inf, 1e308, 0.0)
    if rng.random() < 0.4:
        pose[rng.integers(7)] = broken[rng.integers(len(broken))]
    return None if rng.random() < 0.05 else pose[: 6 if rng.random() < 0.05 else 7]


def test_whatever_comes_in_commands_stay_inside_and_within_reach_of_the_last() -> None:
    rng, guard = np.random.default_rng(0), ArmGuard(LIMITS, PERIOD_S)
    guard.restart(HOME)
    last = measured = HOME
    for _ in range(2_000):
        guard.accept(wild(rng))
        command = guard.step(measured)
        assert np.isfinite(command).all() and abs(np.linalg.norm(command[3:]) - 1) < 1e-9
        assert (command[:3] >= LIMITS.lower_m).all() and (command[:3] <= LIMITS.upper_m).all()
        reach = LIMITS.max_speed_m_s * PERIOD_S
        assert np.linalg.norm(command[:3] - last[:3]) <= reach + 1e-9
        assert angle(last, command) <= LIMITS.max_turn_rad_s * PERIOD_S + 1e-6
        assert command[3:] @ last[3:] >= 0  # the same sign: no jump for whoever interpolates
        measured = approach(measured[None], command[None], 0.7)[0]
        last = command
    assert guard.rejected > 300 and guard.limited > 300


def test_without_the_guard_the_same_poses_would_leave_the_workspace() -> None:
    rng = np.random.default_rng(0)
    poses = [pose for _ in range(200) if (pose := as_pose(wild(rng))) is not None]
    outside = [
        not np.array_equal(np.clip(p[:3], LIMITS.lower_m, LIMITS.upper_m), p[:3]) for p in poses
    ]
    assert np.mean(outside) > 0.5


def test_a_reachable_pose_passes_unchanged_and_a_far_one_is_approached() -> None:
    guard = ArmGuard(LIMITS, PERIOD_S)
    guard.restart(HOME)
    near = shifted(HOME, 0.01, 0.01)
    assert guard.accept(near)
    np.testing.assert_allclose(guard.step(HOME), near, atol=1e-12)
    far = shifted(HOME, 0.2)
    guard.accept(far)
    measured, steps = near, 0
    while np.abs(measured - far).max() > 1e-6:
        measured, steps = guard.step(measured), steps + 1
        assert steps < 20
    assert steps == 7  # 0.19 m at 3 cm a step


def test_a_blocked_arm_is_not_wound_up() -> None:
    guard = ArmGuard(LIMITS, PERIOD_S)
    guard.restart(HOME)
    guard.accept(shifted(HOME, 0.25))
    commands = [guard.step(HOME) for _ in range(30)]
    assert np.linalg.norm(commands[-1][:3] - HOME[:3]) == pytest.approx(LIMITS.max_error_m)


def test_the_arm_has_to_start_in_the_workspace() -> None:
    guard = ArmGuard(LIMITS, PERIOD_S)
    with pytest.raises(ValueError, match="outside the workspace"):
        guard.restart(shifted(HOME, 0.5))
    with pytest.raises(ValueError, match="is no pose"):
        guard.restart(np.full(7, np.nan))
    with pytest.raises(ValueError, match="is no box"):
        ArmLimits((0, 0, 0), (1, 0, 1))
    with pytest.raises(ValueError, match=r"limits\.max_speed_m_s \(0\) must be positive"):
        ArmLimits((0, 0, 0), (1, 1, 1), max_speed_m_s=0)


def test_the_fake_arm_follows_to_63_percent_in_its_lag_however_often_it_is_asked() -> None:
    goal = np.concatenate(
        [
            shifted(HOME, 0.1)[:3],
            (Rotation.from_quat(HOME[3:]) * Rotation.from_euler("z", 0.5)).as_quat(),
        ]
    )
    for reads in (1, 10):
        time = Time()
        arm = FakeArm(HOME, time, lag_s=0.08)
        arm.command(goal)
        for _ in range(reads):
            time.now += 0.08 / reads
            pose = arm.read().pose
        assert pose[0] - HOME[0] == pytest.approx(0.1 * (1 - np.exp(-1)))
        assert angle(HOME, pose) == pytest.approx(0.5 * (1 - np.exp(-1)))


def test_a_faulty_arm_stays_until_it_is_rearmed() -> None:
    time = Time()
    arm = FakeArm(HOME, time)
    arm.fault = "reflex"
    time.now = 1.0
    with pytest.raises(RuntimeError, match="reflex"):
        arm.command(HOME + 0.1)
    assert arm.read().fault == "reflex"
    arm.rearm()
    time.now = 2.0
    np.testing.assert_array_equal(arm.read().pose, HOME)


@pytest.mark.parametrize(
    ("driver", "missing"), [(PandaArm, "panda-python"), (FrankyArm, "franky-control")]
)
def test_a_driver_says_what_is_missing(
    driver: type[PandaArm | FrankyArm], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("panda_py", "franky"):
        monkeypatch.setitem(sys.modules, module, None)
    arm = driver("10.0.0.2")
    with pytest.raises(RuntimeError, match="the arm is not connected"):
        arm.read()
    arm.close()
    with pytest.raises(RuntimeError, match=missing):
        arm.connect()


@pytest.mark.parametrize(("turned_rad", "strained"), [(0.8, True), (0.46, False)])
def test_a_tool_that_is_held_back_from_turning_is_noticed_through_noise(
    turned_rad: float, strained: bool
) -> None:
    guard, rng = ArmGuard(LIMITS, 0.01), np.random.default_rng(0)
    start = Rotation.from_quat(HOME[3:])
    guard.restart(HOME)
    turn = (start * Rotation.from_rotvec([0.0, 0.0, turned_rad])).as_quat()
    guard.accept(np.concatenate([HOME[:3], turn]))
    seen = []
    for _ in range(200):
        noise = Rotation.from_rotvec(1e-3 * rng.standard_normal(3))
        guard.step(np.concatenate([HOME[:3], (start * noise).as_quat()]))
        seen.append(guard.strained)
    assert all(seen[100:]) if strained else not any(seen)
    guard.restart(HOME)
    assert not guard.strained


class FakeLibrary:
    """Both libraries at once, as far as the drivers use them: an arm that is where it is told."""

    def __init__(self) -> None:
        self.pose, self.error, self.running = HOME.copy(), "", False

    # panda-python
    def Panda(self, hostname: str) -> "FakeLibrary":  # noqa: N802  # the library's name
        return self

    def CartesianImpedance(self, impedance: Array, filter_coeff: float) -> "FakeLibrary":  # noqa: N802
        assert impedance.shape == (6, 6) and 0 < filter_coeff <= 1
        return self

    def start_controller(self, controller: object) -> None:
        self.running = True

    def stop_controller(self) -> None:
        self.running = False

    def get_pose(self) -> Array:
        transform = np.eye(4)
        transform[:3, :3] = Rotation.from_quat(self.pose[3:]).as_matrix()
        transform[:3, 3] = self.pose[:3]
        return transform

    def set_control(self, position: Array, orientation: Array) -> None:
        self.pose = np.concatenate([position, orientation])

    def raise_error(self) -> None:
        if self.error:
            raise RuntimeError(self.error)

    def recover(self) -> None:
        self.error = ""

    # franky
    def Robot(self, hostname: str) -> "FakeLibrary":  # noqa: N802
        return self

    def CartesianImpedanceTracker(self, robot: object, **gains: float) -> "FakeLibrary":  # noqa: N802
        assert set(gains) == {"translational_stiffness", "rotational_stiffness"}
        self.running = True
        return self

    def Affine(self, translation: Array, quaternion: Array) -> Array:  # noqa: N802
        return np.concatenate([translation, quaternion])

    def set_target(self, pose: Array) -> None:
        self.pose = pose

    @property
    def current_pose(self) -> SimpleNamespace:
        parts = SimpleNamespace(translation=self.pose[:3], quaternion=self.pose[3:])
        return SimpleNamespace(end_effector_pose=parts)

    @property
    def has_errors(self) -> bool:
        return bool(self.error)

    recover_from_errors, stop = recover, stop_controller


@pytest.mark.parametrize("driver", [PandaArm, FrankyArm])
def test_a_driver_leads_the_arm_stops_at_a_fault_and_goes_on_when_rearmed(
    driver: type[PandaArm | FrankyArm], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeLibrary()
    for module in ("panda_py", "panda_py.controllers", "franky"):
        monkeypatch.setitem(sys.modules, module, library)
    arm = driver("10.0.0.2")
    arm.connect()
    goal = shifted(HOME, 0.05)
    arm.command(goal)
    np.testing.assert_allclose(arm.read().pose, goal, atol=1e-12)
    library.error = "reflex"
    assert arm.read().fault
    with pytest.raises(RuntimeError, match="the arm has stopped"):
        arm.command(HOME)
    np.testing.assert_array_equal(library.pose, goal)
    arm.rearm()
    arm.command(HOME)
    arm.hold()
    np.testing.assert_allclose(arm.read().pose, HOME, atol=1e-12)
    arm.close()
    assert not library.running
    arm.close()


@pytest.mark.parametrize("name", ARM_LIMIT_CEILINGS)
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, "more"])
def test_no_limit_can_be_off_or_absurd(name, bad) -> None:
    value = 1.001 * ARM_LIMIT_CEILINGS[name] if bad == "more" else bad
    with pytest.raises(ValueError, match=rf"limits\.{name}"):
        ArmLimits((0.2, -0.3, 0.05), (0.7, 0.3, 0.6), **{name: value})


@pytest.mark.parametrize(
    ("lower", "upper"),
    [((200, -300, 50), (700, 300, 600)), ((0.1, 0.1), (0.2, 0.2)), ((0, 0, np.nan), (1, 1, 1))],
)
def test_a_workspace_is_a_box_near_the_arm_in_metres(lower, upper) -> None:
    with pytest.raises(ValueError, match=r"limits\.lower_m .*(in metres|is no box)"):
        ArmLimits(lower, upper)


def test_every_field_that_is_a_number_has_a_ceiling() -> None:
    assert set(vars(LIMITS)) == {"lower_m", "upper_m", *ARM_LIMIT_CEILINGS}
