"""The task's mathematics against hand-computed numbers and invariances."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from math import cos, exp, radians, sin

import pytest
import roma
import torch
from first_hand import CUBE_ORIGIN_M, V1
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin import observations, terms, world_terms
from tasks.cube_spin.config import (
    CONTROL_DT_S,
    ActionConfig,
    CommandConfig,
    EpisodeConfig,
    ObservationConfig,
    RewardConfig,
    TaskConfig,
    evaluation_task,
    paper_task,
    training_task,
    tuned_task,
    wide_task,
)
from tasks.cube_spin.terms import TaskConstants, TaskState

N = 64
PAPER_WEIGHTS = {  # Table III
    "object_position": 10.0,
    "rotation_magnitude": 10.0,
    "rotation_direction": 30.0,
    "angular_acceleration": 1.0,
    "reaching": 15.0,
    "pose_closure": 2.0,
    "joint_velocity": -1e-4,
    "action": -5e-4,
    "action_rate": -1e-2,
    "joint_acceleration": -1e-7,
}


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def constants() -> TaskConstants:
    lower, upper = torch.linspace(-1.0, -0.2, 17), torch.linspace(0.5, 2.0, 17)
    origin = torch.tensor(CUBE_ORIGIN_M)
    return TaskConstants(lower, upper, origin, torch.full((17,), 0.1), torch.full((17,), 0.4))


@pytest.fixture
def config() -> RewardConfig:
    return RewardConfig()


def state(count: int = 1, **values: object) -> TaskState:
    """A still, empty-handed state with the cube at its origin; keywords replace entries."""
    zeros, three = torch.zeros(count, 17), torch.zeros(count, 3)
    one = torch.zeros(count)
    calm = TaskState(
        joint_pos=zeros,
        joint_vel=zeros,
        cube_pos=torch.tensor(CUBE_ORIGIN_M).expand(count, -1),
        cube_quat=torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(count, -1),
        cube_lin_vel=three,
        cube_ang_vel=three,
        tip_pos=torch.zeros(count, 5, 3),
        joint_target=zeros,
        action=zeros,
        previous_action=zeros,
        joint_acc=zeros,
        spin=three,
        previous_spin=three,
        mean_spin=one,
        command=one,
        support_left_s=one,
        earlier_targets=torch.zeros(count, 2, 17),
        world=torch.zeros(count, world_terms.SIZE),
    )
    made = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in values.items()}
    return replace(calm, **made)


def random_rotations(count: int = N) -> Tensor:
    return roma.random_unitquat(count, dtype=torch.float64)


def cube_at(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Tensor:
    return (torch.tensor(CUBE_ORIGIN_M) + torch.tensor([x, y, z]))[None]


# Actions ------------------------------------------------------------------------------------------


def wrist_first() -> Tensor:
    return torch.arange(17) == 0


def test_limit_actions_map_one_to_the_joint_limits(constants: TaskConstants) -> None:
    lower, upper = constants.joint_lower, constants.joint_upper
    centre, scale = terms.action_centre_and_scale(
        ActionConfig(mode="limits"), lower, upper, torch.zeros(17), wrist_first()
    )
    torch.testing.assert_close(centre + scale, upper)
    torch.testing.assert_close(centre - scale, lower)


def test_grasp_actions_are_centred_on_the_grasp_with_a_small_wrist(
    constants: TaskConstants,
) -> None:
    grasp = torch.linspace(0.0, 1.0, 17)
    config = ActionConfig(finger_scale_rad=0.4, wrist_scale_rad=0.1)
    centre, scale = terms.action_centre_and_scale(
        config, constants.joint_lower, constants.joint_upper, grasp, wrist_first()
    )
    torch.testing.assert_close(centre, grasp)
    assert scale.tolist() == [0.1] + [0.4] * 16


def test_a_constant_action_converges_geometrically(constants: TaskConstants) -> None:
    action, target = torch.full((1, 17), 0.5), torch.zeros(1, 17)
    wanted = 0.1 + 0.4 * 0.5
    for step in range(1, 8):
        target = terms.joint_targets(action, target, constants, smoothing=0.25)
        torch.testing.assert_close(wanted - target, torch.full((1, 17), wanted * 0.75**step))


def test_without_smoothing_the_target_is_reached_at_once(constants: TaskConstants) -> None:
    target = terms.joint_targets(torch.zeros(1, 17), torch.ones(1, 17), constants, smoothing=1.0)
    torch.testing.assert_close(target, torch.full((1, 17), 0.1))


def test_targets_never_leave_the_limits(constants: TaskConstants) -> None:
    target = torch.zeros(N, 17)
    for _ in range(20):
        target = terms.joint_targets(20.0 * torch.randn(N, 17), target, constants, 0.5)
        assert (target >= constants.joint_lower).all() and (target <= constants.joint_upper).all()


# Commands -----------------------------------------------------------------------------------------


def test_commands_fill_their_range_and_hold_times_theirs() -> None:
    config = CommandConfig(speed_rad_s=(0.3, 1.5), hold_s=(8.0, 12.0))
    command, hold_s = terms.command_from_uniform(torch.rand(4000, 3), config)
    assert 0.3 <= command.min() < 0.31 and 1.49 < command.max() <= 1.5
    assert 8.0 <= hold_s.min() < 8.1 and 11.9 < hold_s.max() <= 12.0
    assert command.mean() == pytest.approx(0.9, abs=0.03)


def test_log_uniform_commands_have_their_median_at_the_geometric_mean() -> None:
    config = CommandConfig(speed_rad_s=(0.3, 3.0), log_uniform=True)
    command, _ = terms.command_from_uniform(torch.rand(20_000, 3), config)
    assert 0.3 <= command.min() < 0.31 and 2.95 < command.max() <= 3.0
    assert command.median() == pytest.approx((0.3 * 3.0) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "positive_share"),
    [({}, 1.0), ({"clockwise": True}, 0.0), ({"both_directions": True}, 0.5)],
)
def test_commands_turn_the_way_they_are_asked_to(settings: dict, positive_share: float) -> None:
    command, _ = terms.command_from_uniform(torch.rand(4000, 3), CommandConfig(**settings))
    assert (command > 0).double().mean() == pytest.approx(positive_share, abs=0.03)
    assert command.abs().min() >= 0.3


@pytest.mark.parametrize("spin", [0.5, -1.5])
def test_fixed_commands_are_fixed(spin: float) -> None:
    command, _ = terms.command_from_uniform(torch.rand(5, 3), CommandConfig.fixed(spin))
    torch.testing.assert_close(command, torch.full((5,), spin))


# Mean spin ----------------------------------------------------------------------------------------


def test_mean_spin_follows_the_vertical_component_only(config: RewardConfig) -> None:
    spin = torch.tensor([[5.0, -5.0, 2.0]])
    mean = torch.zeros(1)
    for step in range(1, 6):
        mean = terms.updated_mean_spin(mean, spin, config)
        assert float(mean) == pytest.approx(2.0 * (1 - (1 - config.spin_smoothing) ** step))


# Observations -------------------------------------------------------------------------------------


def test_joint_limits_are_plus_and_minus_one(constants: TaskConstants) -> None:
    ends = torch.stack([constants.joint_lower, constants.joint_upper])
    seen = observations.normalised_joints(ends, constants)
    torch.testing.assert_close(seen, torch.tensor([-1.0, 1.0])[:, None].expand(2, 17))


def test_the_papers_teacher_sees_83_numbers() -> None:
    assert sum(observations.observation_sizes(paper_task().observation, V1).values()) == 83
    assert sum(observations.observation_sizes(tuned_task().observation, V1).values()) == 83 + 15 + 1
    assert sum(observations.observation_sizes(wide_task().observation, V1).values()) == 99 + 34 + 19


@pytest.mark.parametrize("chosen", range(16))
def test_observation_sizes_are_what_the_terms_have(constants: TaskConstants, chosen: int) -> None:
    names = ("fingertips", "mean_spin", "earlier_targets", "world")
    config = ObservationConfig(**{n: bool(chosen >> i & 1) for i, n in enumerate(names)})
    seen = observations.teacher_observations(state(3), constants, config)
    sizes = observations.observation_sizes(config, V1)
    assert [(name, value.shape) for name, value in seen.items()] == [
        (name, (3, size)) for name, size in sizes.items()
    ]


def test_targets_are_remembered_newest_first() -> None:
    before = state(2, joint_target=torch.full((2, 17), 3.0), earlier_targets=torch.ones(2, 2, 17))
    remembered = terms.remembered_targets(before)
    assert remembered[:, 0].unique().tolist() == [3.0]
    assert remembered[:, 1].unique().tolist() == [1.0]


def test_the_cube_is_seen_relative_to_its_origin(constants: TaskConstants) -> None:
    seen = observations.teacher_observations(
        state(cube_pos=cube_at(0.01, 0.0, -0.02)), constants, ObservationConfig()
    )
    torch.testing.assert_close(seen["cube_pos"], torch.tensor([[0.01, 0.0, -0.02]]))


def test_both_signs_of_a_quaternion_look_the_same(constants: TaskConstants) -> None:
    quat = random_rotations(N)
    config = ObservationConfig(symmetric_rotation=False)
    for form in (config, ObservationConfig()):
        one = observations.teacher_observations(state(N, cube_quat=quat), constants, form)
        other = observations.teacher_observations(state(N, cube_quat=-quat), constants, form)
        torch.testing.assert_close(one["cube_quat"], other["cube_quat"])


def test_the_student_sees_24_numbers_of_history_and_35_of_now(constants: TaskConstants) -> None:
    now = state(
        2,
        action=torch.full((2, 17), 0.3),
        command=torch.tensor([1.0, 2.0]),
        cube_pos=cube_at(0.01).expand(2, 3),
    )
    history, current = observations.student_observations(now, constants)
    assert history.shape == (2, 24) and current.shape == (2, 35)
    assert torch.equal(history[:, :17], now.joint_pos)
    torch.testing.assert_close(history[:, 17:20], torch.tensor([[0.01, 0, 0]]).expand(2, 3))
    torch.testing.assert_close(current[:, :17], now.action)
    assert current[:, -1].tolist() == [1.0, 2.0]


def test_targets_and_actions_undo_each_other_within_the_limits(constants: TaskConstants) -> None:
    action = 0.1 * torch.randn(5, 17)
    target = terms.targets_of(action, constants)
    torch.testing.assert_close(terms.actions_of(target, constants), action)
    assert torch.equal(terms.joint_targets(action, target, constants, 0.5), target)
    assert (terms.targets_of(torch.full((1, 17), 99.0), constants) == constants.joint_upper).all()


def test_the_student_sees_neither_velocities_nor_the_platform(constants: TaskConstants) -> None:
    fast = {"joint_vel": torch.ones(1, 17), "cube_ang_vel": torch.ones(1, 3)}
    hidden = fast | {"cube_lin_vel": torch.ones(1, 3), "support_left_s": torch.ones(1)}
    still = observations.student_observations(state(), constants)
    moving = observations.student_observations(state(**hidden), constants)
    for one, other in zip(still, moving, strict=True):
        assert torch.equal(one, other)


# Rewards ------------------------------------------------------------------------------------------


def test_default_weights_are_table_three() -> None:
    weights = asdict(RewardConfig())
    assert {name: weights[name] for name in PAPER_WEIGHTS} == PAPER_WEIGHTS
    assert set(terms.REWARD_TERMS) == {*PAPER_WEIGHTS, "tilt"}
    assert weights["tilt"] == weights["fall"] == 0.0  # ours, off by default


def test_the_papers_task_has_its_literal_forms() -> None:
    task = paper_task()
    assert task.action.mode == "limits" and task.reward.form == "alignment"
    assert task.episode == EpisodeConfig(32.0, (6.0, 6.0), True, 0.035, 0.05)
    assert task.command == CommandConfig(speed_rad_s=(0.3, 1.5), hold_s=(8.0, 12.0))


def test_evaluation_restores_the_papers_episode_and_commands() -> None:
    trained = training_task()
    task = evaluation_task(trained)
    assert task.episode == EpisodeConfig() and task.command == CommandConfig()
    assert task.action == trained.action and task.observation == trained.observation
    assert trained.episode != EpisodeConfig()
    assert evaluation_task(wide_task()).command == CommandConfig(both_directions=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"action": ActionConfig(mode="velocity")},
        {"reward": RewardConfig(form="cosine")},
        {"action": ActionConfig(smoothing=0.0)},
        {"command": CommandConfig(speed_rad_s=(1.5, 0.3))},
        {"command": CommandConfig(speed_rad_s=(0.0, 1.5), log_uniform=True)},
        {"episode": EpisodeConfig(support_s=(-1.0, 2.0))},
    ],
)
def test_settings_without_a_meaning_are_refused_by_name(settings: dict) -> None:
    (group,) = settings
    with pytest.raises(ValueError, match=rf"{group}\.\w+.* is not a valid setting"):
        TaskConfig(**settings)


@pytest.mark.parametrize(("away_m", "expected"), [(0.0, 1.0), (0.02, exp(-1)), (0.04, exp(-4))])
def test_object_position_is_a_gaussian(
    constants: TaskConstants, config: RewardConfig, away_m: float, expected: float
) -> None:
    for cube in (cube_at(away_m), cube_at(0, 0, -away_m)):
        value = terms.object_position(state(cube_pos=cube), constants, config)
        assert float(value) == pytest.approx(expected)


def test_rotation_magnitude_is_one_on_the_command(
    constants: TaskConstants, config: RewardConfig
) -> None:
    mean_spin = torch.tensor([-1.0, -0.5, 0.0, 1.0])
    now = state(4, mean_spin=mean_spin, command=torch.full((4,), -1.0))
    value = terms.rotation_magnitude(now, constants, config)
    torch.testing.assert_close(value, torch.tensor([1.0, exp(-1), exp(-4), exp(-16)]))


def test_the_papers_magnitude_is_blind_to_the_axis(constants: TaskConstants) -> None:
    rolling = state(cube_ang_vel=[[1.0, 0.0, 0.0]], command=[1.0], mean_spin=[0.0])
    literal = terms.rotation_magnitude(rolling, constants, RewardConfig(form="alignment"))
    ours = terms.rotation_magnitude(rolling, constants, RewardConfig())
    assert float(literal) == pytest.approx(1.0) and float(ours) == pytest.approx(exp(-4))


@pytest.mark.parametrize("command", [-1.5, -0.7, 0.6, 1.0, 3.0])
def test_tracking_peaks_exactly_at_the_command(
    constants: TaskConstants, config: RewardConfig, command: float
) -> None:
    offsets = torch.linspace(-2.0, 2.0, 401)
    now = state(401, mean_spin=command + offsets, command=torch.full((401,), command))
    for term in (terms.rotation_direction, terms.rotation_magnitude):
        value = term(now, constants, config)
        assert offsets[value.argmax()] == pytest.approx(0.0, abs=1e-9)
        assert float(value.max()) == pytest.approx(1.0)


def test_tracking_is_linear_zero_at_rest_and_bounded_below(
    constants: TaskConstants, config: RewardConfig
) -> None:
    mean_spin = torch.tensor([0.0, 0.5, 1.0, 1.5, -1.0, -9.0])
    now = state(6, mean_spin=mean_spin, command=torch.ones(6))
    value = terms.rotation_direction(now, constants, config)
    torch.testing.assert_close(value, torch.tensor([0.0, 0.5, 1.0, 0.5, -1.0, -2.0]))


def test_tracking_a_slow_command_is_judged_on_a_fixed_scale(
    constants: TaskConstants, config: RewardConfig
) -> None:
    now = state(2, mean_spin=torch.tensor([0.1, 0.35]), command=torch.full((2,), 0.1))
    value = terms.rotation_direction(now, constants, config)
    torch.testing.assert_close(value, torch.tensor([1.0, 0.5]))  # 0.25 off, over 0.5


def test_rolling_about_other_axes_costs_a_little(
    constants: TaskConstants, config: RewardConfig
) -> None:
    spin = torch.tensor([[3.0, 4.0, 9.0], [30.0, 40.0, 0.0]])
    now = state(2, spin=spin, mean_spin=torch.ones(2), command=torch.ones(2))
    value = terms.rotation_direction(now, constants, config)
    torch.testing.assert_close(value, torch.full((2,), 1.0 - 0.02 * 5.0))


def test_alignment_is_blind_to_speed_and_pays_slipping_back(constants: TaskConstants) -> None:
    """Why the paper's cosine does not learn: creeping forward, slipping back once, is paid 80 %."""
    config = RewardConfig(form="alignment")
    creeping = state(10, cube_ang_vel=torch.tensor([0.0, 0.0, 0.01]).expand(10, 3).clone())
    creeping.cube_ang_vel[-1, 2] = -0.09  # net rotation: exactly nothing
    creeping = replace(creeping, command=torch.ones(10))
    paid = terms.rotation_direction(creeping, constants, config)
    assert float(creeping.cube_ang_vel[:, 2].sum()) == pytest.approx(0.0, abs=1e-9)
    assert float(paid.mean()) == pytest.approx(0.8)
    faster = replace(creeping, cube_ang_vel=100.0 * creeping.cube_ang_vel)
    torch.testing.assert_close(terms.rotation_direction(faster, constants, config), paid)
    # Ours looks at the net rotation and pays nothing for the same motion.
    ours = terms.rotation_direction(creeping, constants, RewardConfig())
    assert float(ours.mean()) == pytest.approx(0.0, abs=1e-9)


def test_alignment_is_the_cosine_with_the_commanded_axis(constants: TaskConstants) -> None:
    velocity = torch.tensor([[0.0, 3.0, 3.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    now = state(4, cube_ang_vel=velocity, command=torch.full((4,), -1.0))
    value = terms.rotation_direction(now, constants, RewardConfig(form="alignment"))
    torch.testing.assert_close(value, torch.tensor([-(0.5**0.5), -1.0, 0.0, 0.0]))


def test_steady_spin_has_no_angular_acceleration(
    constants: TaskConstants, config: RewardConfig
) -> None:
    fast = torch.tensor([[0.0, 0.0, 7.0]])
    steady = terms.angular_acceleration(state(spin=fast, previous_spin=fast), constants, config)
    # A change of 1.5 rad/s within 50 ms is the kernel's width of 30 rad/s^2.
    jerky = terms.angular_acceleration(
        state(spin=fast, previous_spin=fast + torch.tensor([1.5, 0.0, 0.0])), constants, config
    )
    assert float(steady) == 1.0 and float(jerky) == pytest.approx(exp(-1))


def test_reaching_is_the_mean_over_fingertips(
    constants: TaskConstants, config: RewardConfig
) -> None:
    cube = torch.tensor(CUBE_ORIGIN_M)
    tips = cube.repeat(1, 5, 1)
    assert float(terms.reaching(state(tip_pos=tips), constants, config)) == 1.0
    tips[0, 0, 1] += 0.03  # one width away
    value = terms.reaching(state(tip_pos=tips), constants, config)
    assert float(value) == pytest.approx((4 + exp(-1)) / 5)
    assert float(terms.reaching(state(tip_pos=tips + 10.0), constants, config)) < 1e-6


@pytest.mark.parametrize(("angle_deg", "expected"), [(180, 1.0), (90, 0.0), (0, -1.0), (120, 0.5)])
def test_pose_closure_compares_the_thumb_with_the_fingers(
    constants: TaskConstants, config: RewardConfig, angle_deg: float, expected: float
) -> None:
    cube, angle = torch.tensor(CUBE_ORIGIN_M), radians(angle_deg)
    fingers = cube + torch.tensor([0.04, 0.0, 0.0])
    thumb = cube + 0.02 * torch.tensor([cos(angle), sin(angle), 0.0])
    tips = torch.stack([thumb, *[fingers] * 4])[None]
    value = terms.pose_closure(state(tip_pos=tips), constants, config)
    assert float(value) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("term", "values", "expected"),
    [
        ("joint_velocity", {"joint_vel": [[2.0] * 17]}, 68.0),
        ("action", {"action": [[0.5] * 17]}, 4.25),
        ("action_rate", {"action": [[1.0] * 17], "previous_action": [[-1.0] * 17]}, 68.0),
        ("action_rate", {"action": [[1.0] * 17], "previous_action": [[1.0] * 17]}, 0.0),
        ("joint_acceleration", {"joint_acc": [[10.0] * 17]}, 1700.0),
    ],
)
def test_penalties_are_sums_of_squares(
    constants: TaskConstants, config: RewardConfig, term: str, values: dict, expected: float
) -> None:
    unweighted = terms.REWARD_TERMS[term]
    assert float(unweighted(state(**values), constants, config)) == pytest.approx(expected)
    assert float(unweighted(state(), constants, config)) == 0.0


def test_tilt_is_the_squared_sine(constants: TaskConstants, config: RewardConfig) -> None:
    leaning = Rotation.from_rotvec([[30, 0, 0], [0, 0, 45]], degrees=True).as_quat()
    value = terms.tilt(state(2, cube_quat=leaning), constants, config)
    torch.testing.assert_close(value, torch.tensor([0.25, 0.0]))


def test_rewards_are_the_sum_of_their_weighted_parts(
    constants: TaskConstants, config: RewardConfig
) -> None:
    now = state(3, action=torch.randn(3, 17), mean_spin=torch.rand(3), command=torch.ones(3))
    now = replace(now, tip_pos=torch.tensor(CUBE_ORIGIN_M) + 0.03 * torch.randn(3, 5, 3))
    total, parts = terms.rewards(now, constants, config, torch.zeros(3, dtype=torch.bool))
    assert set(parts) == set(PAPER_WEIGHTS)  # our two terms have no weight by default
    for name, weight in PAPER_WEIGHTS.items():
        term = terms.REWARD_TERMS[name](now, constants, config)
        torch.testing.assert_close(parts[name], weight * CONTROL_DT_S * term)
    torch.testing.assert_close(total, torch.stack(list(parts.values())).sum(0))


def test_falling_is_paid_once_and_only_by_the_lost(constants: TaskConstants) -> None:
    lost = torch.tensor([True, False])
    _, parts = terms.rewards(state(2), constants, RewardConfig(fall=-40.0), lost)
    assert parts["fall"].tolist() == [-40.0 * CONTROL_DT_S, 0.0]


# Terminations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "lost"),
    [
        ((0.0, 0.0, 0.0), False),
        ((0.0, 0.0, -0.034), False),
        ((0.0, 0.0, -0.036), True),
        ((0.0, 0.0, 0.2), False),
        ((0.034, 0.034, 0.0), False),
        ((0.036, 0.036, 0.0), True),
        ((float("nan"), 0.0, 0.0), True),
        ((0.0, 0.0, float("nan")), True),
        ((0.0, float("inf"), 0.0), True),
    ],
)
def test_a_cube_is_lost_below_beside_or_not_finite(
    constants: TaskConstants, offset: tuple[float, float, float], lost: bool
) -> None:
    found = terms.cube_lost(cube_at(*offset), constants, EpisodeConfig())
    assert found.tolist() == [lost]
