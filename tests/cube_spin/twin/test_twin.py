"""The twin: deterministic, randomised as told, honest about episodes, safe against bad numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from first_hand import CUBE_ORIGIN_M, JOINT_NAMES, V1
from scipy.spatial.transform import Rotation
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.config import (
    CONTROL_DT_S,
    HISTORY,
    MAX_SPEED,
    CommandConfig,
    EpisodeConfig,
    RewardConfig,
    TaskConfig,
    paper_task,
    tuned_task,
)
from tasks.cube_spin.grasps import GraspBank
from tasks.cube_spin.observations import observation_sizes, student_observations
from tasks.cube_spin.physics import DISTILLATION, NOMINAL, RANDOMIZED, WIDE, Physics
from tasks.cube_spin.rotations import rotate
from tasks.cube_spin.terms import REWARD_TERMS
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.scene import twin_spec
from tasks.cube_spin.twin.worlds import elliptic_worlds

MakeTwin = Callable[..., CubeSpinTwin]
JOINTS = len(JOINT_NAMES)
NOISY_AND_LATE = replace(
    DISTILLATION, observation_delay_steps=(0.0, 2.0), action_delay_steps=(0.0, 2.0)
)


def task_with(**episode: object) -> TaskConfig:
    """The tuned task with both directions, quick commands, and these episode settings."""
    command = CommandConfig(both_directions=True, hold_s=(0.5, 1.0))
    return replace(tuned_task(), command=command, episode=EpisodeConfig(**episode))


def wild_actions(steps: int, num_envs: int, seed: int = 5) -> Tensor:
    """Actions (T, N, 17) rough enough to drop cubes."""
    return torch.randn(steps, num_envs, JOINTS, generator=torch.Generator().manual_seed(seed))


def rollout(twin: CubeSpinTwin, actions: Tensor) -> dict[str, Tensor]:
    """Everything a learner sees, (T, N, ...), and the physics behind it."""
    rows: dict[str, list[Tensor]] = {"reward": [], "done": [], "world": []}
    for action in actions:
        observations, reward, done, _ = twin.step(action)
        for name, value in (*observations.items(), ("reward", reward), ("done", done)):
            rows.setdefault(name, []).append(value.clone())
        rows["world"].append(torch.from_numpy(twin.world.state.copy()))
    return {name: torch.stack(values) for name, values in rows.items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.fixture
def open_hand(tiny_bank: GraspBank) -> GraspBank:
    """A "grasp" that touches nothing: straight fingers over a cube on the platform."""
    straight = torch.zeros(1, JOINTS)
    upright = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    return GraspBank(straight, straight, torch.tensor(CUBE_ORIGIN_M)[None], upright)


# Determinism --------------------------------------------------------------------------------------


def test_same_seed_same_rollout_bit_for_bit_on_any_number_of_threads(make_twin: MakeTwin) -> None:
    task, actions = task_with(support_s=(0.0, 0.5)), wild_actions(60, 6)
    runs = [
        rollout(make_twin(6, task, NOISY_AND_LATE, seed=3, student=True, threads=threads), actions)
        for threads in (1, 1, 2)
    ]
    assert runs[0]["done"].sum() > 6, "no resets; this test would prove little"
    assert_same(runs[0], runs[1])
    assert_same(runs[0], runs[2])


def test_another_seed_gives_another_rollout(make_twin: MakeTwin) -> None:
    actions = wild_actions(5, 4)
    one, other = (rollout(make_twin(4, seed=seed), actions) for seed in (3, 4))
    assert not torch.allclose(one["world"][-1], other["world"][-1], atol=1e-3)


def test_reseeding_replays_everything_from_the_reset_on(make_twin: MakeTwin) -> None:
    twin, actions = make_twin(4, task_with(support_s=(0.0, 0.5)), seed=0), wild_actions(30, 4)
    runs = []
    for _ in range(2):
        twin.seed(11)
        twin.reset()
        runs.append(rollout(twin, actions))
    assert_same(*runs)


@pytest.mark.parametrize("physics", [RANDOMIZED, NOISY_AND_LATE], ids=["randomized", "noisy"])
def test_a_saved_twin_continues_bit_for_bit(
    make_twin: MakeTwin, tmp_path: Path, physics: Physics
) -> None:
    task, actions = task_with(support_s=(0.0, 0.5)), wild_actions(45, 4)
    twin = make_twin(4, task, physics, seed=1, student=True)
    rollout(twin, actions[:20])
    torch.save(twin.state_dict(), tmp_path / "twin.pt")
    seen = twin.get_observations().clone()
    expected = rollout(twin, actions[20:])
    assert expected["done"].any(), "no reset after the save; this test would prove little"
    other = make_twin(4, task, physics, seed=2, student=True)
    other.load_state_dict(torch.load(tmp_path / "twin.pt", weights_only=True))
    assert_same(dict(seen.items()), dict(other.get_observations().items()))
    assert_same(expected, rollout(other, actions[20:]))


# Randomisation ------------------------------------------------------------------------------------


def models_values(twin: CubeSpinTwin) -> dict[str, np.ndarray]:
    """What each world's MuJoCo model says about the randomised parameters, (N, ...)."""
    cube, geom = twin.world.nominal.body("cube").id, twin.world.nominal.geom("cube").id
    models, joints = twin.world.models, slice(0, JOINTS)
    read = {
        "cube_mass_kg": lambda m: m.body_mass[cube],
        "cube_size_m": lambda m: 2.0 * m.geom_size[geom, 0],
        "gravity_m_s2": lambda m: m.opt.gravity[2],
        "friction": lambda m: m.geom_friction[geom, 0],
        "link_friction": lambda m: m.geom_friction[m.geom_bodyid < cube, 0].copy(),
        "stiffness": lambda m: m.actuator_gainprm[:, 0].copy(),
        "position_feedback": lambda m: -m.actuator_biasprm[:, 1].copy(),
        "damping": lambda m: np.array([m.joint(name).damping[0] for name in JOINT_NAMES]),
        "limits": lambda m: m.jnt_range[joints].copy(),
        "link_mass": lambda m: m.body_mass[1:cube].copy(),
        "link_inertia": lambda m: m.body_inertia[1:cube].copy(),
    }
    return {name: np.array([value(model) for model in models]) for name, value in read.items()}


def test_drawn_parameters_arrive_in_the_models(make_twin: MakeTwin) -> None:
    twin = make_twin(8, physics=replace(RANDOMIZED, cube_size_m=(0.044, 0.046)))
    found, drawn, nominal = (
        models_values(twin),
        twin.world.drawn,
        models_values(make_twin(1, physics=NOMINAL)),
    )
    scale = drawn["link_mass_scale"][:, None]
    expected = {
        **{name: drawn[name] for name in ("cube_mass_kg", "cube_size_m", "gravity_m_s2")},
        "friction": (drawn["cube_friction"] + drawn["link_friction"]) / 2,
        "link_friction": drawn["link_friction"][:, None],
        "stiffness": nominal["stiffness"] * drawn["stiffness_scale"],
        "position_feedback": nominal["stiffness"] * drawn["stiffness_scale"],
        "damping": nominal["damping"] * drawn["damping_scale"],
        "limits": nominal["limits"] + drawn["joint_limit_offset_rad"],
        "link_mass": nominal["link_mass"] * scale,
        "link_inertia": nominal["link_inertia"] * scale[:, None],
    }
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        wanted = np.broadcast_to(values, found[name].shape)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6, err_msg=name)
        assert len(np.unique(found[name], axis=0)) == 8, f"{name} does not vary"


def test_negative_control_nothing_varies_in_nominal_physics(make_twin: MakeTwin) -> None:
    for name, values in models_values(make_twin(4, physics=NOMINAL)).items():
        assert (values == values[0]).all(), name


def different_arrays(one: mujoco.MjModel, other: mujoco.MjModel) -> set[str]:
    """Names of the numeric arrays in which two models differ."""
    arrays = {
        name: (getattr(one, name), getattr(other, name))
        for name in dir(one)
        if isinstance(getattr(one, name), np.ndarray) and getattr(one, name).dtype.kind in "if"
    }
    return {
        name
        for name, (mine, theirs) in arrays.items()
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=1e-6, atol=1e-12)
    }


def test_an_edited_cube_is_the_same_as_a_compiled_one(make_twin: MakeTwin) -> None:
    """Every array the compiler derives from mass and size must be edited with them.

    `dof_M0` once was not: cubes fell with the wrong acceleration, having the nominal inertia.
    """
    mass, size = 0.02, 0.05
    physics = replace(NOMINAL, cube_mass_kg=(mass, mass), cube_size_m=(size, size))
    edited, spec = make_twin(1, physics=physics).world.models[0], twin_spec(V1)
    spec.geom("cube").size, spec.geom("cube").mass = [size / 2] * 3, mass
    compiled = spec.compile()
    assert "dof_M0" in different_arrays(make_twin(1).world.nominal, compiled)  # negative control
    unused = {"dof_length", "body_subtreemass", "geom_friction"}  # sleeping, cameras, drawn apart
    assert different_arrays(edited, compiled) <= unused


def test_a_share_of_the_worlds_has_the_other_contacts_and_nothing_else_changes(
    make_twin: MakeTwin,
) -> None:
    plain, mixed = (
        make_twin(4, physics=replace(RANDOMIZED, elliptic_cone=share)) for share in (0.0, 0.5)
    )
    for name, values in plain.world.drawn.items():
        if name != "elliptic_cone":
            np.testing.assert_array_equal(values, mixed.world.drawn[name], err_msg=name)
    for _ in range(10):
        plain.step(torch.zeros(4, JOINTS))
        mixed.step(torch.zeros(4, JOINTS))
    same = (plain.world.state == mixed.world.state).all(axis=1)
    assert same.tolist() == [True, False, True, False]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.5, 4), (2 / 3, 5), (1.0, 8)])
def test_the_other_contacts_are_spread_evenly(share: float, count: int) -> None:
    worlds = np.flatnonzero(elliptic_worlds(8, share))
    assert len(worlds) == count
    assert max(np.diff(worlds), default=0) <= np.ceil(1 / max(share, 0.125))


def test_a_falling_cube_feels_the_gravity_that_was_drawn(
    make_twin: MakeTwin, open_hand: GraspBank
) -> None:
    far = replace(open_hand, cube_pos=torch.tensor([[0.0, 0.6, 0.0]]))
    twin = make_twin(6, physics=RANDOMIZED, bank=far, auto_reset=False)
    before = twin.state.cube_lin_vel[:, 2].numpy()
    twin.step(torch.zeros(6, JOINTS))
    gained = twin.state.cube_lin_vel[:, 2].numpy() - before
    np.testing.assert_allclose(gained, twin.world.drawn["gravity_m_s2"] * CONTROL_DT_S, rtol=1e-4)


def test_resets_redraw_what_belongs_to_the_episode_and_keep_the_hand(make_twin: MakeTwin) -> None:
    twin = make_twin(4, physics=WIDE)
    before = {name: values.copy() for name, values in twin.world.drawn.items()}
    twin._reset(torch.tensor([1]))
    for name, values in twin.world.drawn.items():
        changed = (values != before[name]).reshape(4, -1).any(axis=1)
        lasting = ("link_friction", "link_mass_scale", "elliptic_cone", "hull_collisions")
        assert changed.tolist() == [False, name not in lasting, False, False], name


def test_a_hand_with_both_kinds_of_shapes_uses_one(make_twin: MakeTwin) -> None:
    both = make_twin(4, physics=replace(RANDOMIZED, hull_collisions=0.5))
    alone = {
        share: make_twin(4, physics=replace(RANDOMIZED, hull_collisions=share))
        for share in (0.0, 1.0)
    }
    for _ in range(5):
        for twin in (both, *alone.values()):
            twin.step(torch.zeros(4, JOINTS))
    has_hulls = both.world.drawn["hull_collisions"]
    assert sorted(has_hulls) == [0.0, 0.0, 1.0, 1.0]
    for env, share in enumerate(has_hulls):
        expected = alone[share].world.state[env]
        np.testing.assert_allclose(both.world.state[env], expected, atol=1e-6)
        other = alone[1.0 - share].world.state[env]
        assert np.abs(both.world.state[env] - other).max() > 1e-4


def test_a_lopsided_cube_hangs_under_its_centre_of_mass(
    make_twin: MakeTwin, open_hand: GraspBank
) -> None:
    far = replace(open_hand, cube_pos=torch.tensor([[0.0, 0.6, 0.0]]))
    physics = replace(NOMINAL, cube_centre_offset_m=(0.004, 0.0), cube_mass_kg=(0.1, 0.1))
    twin = make_twin(1, physics=physics, bank=far, auto_reset=False)
    model, cube = twin.world.models[0], twin.world.nominal.body("cube").id
    np.testing.assert_allclose(model.body_ipos[cube], 0.004, rtol=1e-6)
    # Spinning freely, a body turns about its centre of mass, which moves on a straight line.
    twin.world.state[0, -3:] = (0.0, 0.0, 5.0)
    start, centres = twin.world.read()["cube_quat"], []
    for _ in range(3):
        twin.world.step(twin.joint_target, torch.zeros(1, dtype=torch.bool))
        now = twin.world.read()
        centre = now["cube_pos"] + rotate(now["cube_quat"], torch.full((1, 3), 0.004))
        centres.append(centre[0, :2])
    assert (now["cube_quat"] @ start.T).abs() < 0.96, "it has turned by more than 0.5 rad"
    first, second = centres[1] - centres[0], centres[2] - centres[1]
    torch.testing.assert_close(first, second, atol=2e-5, rtol=0.0)


def test_contact_laws_reach_the_models(make_twin: MakeTwin) -> None:
    twin = make_twin(6, physics=WIDE)
    drawn, geom = twin.world.drawn, twin.world.nominal.geom("cube").id
    for env, model in enumerate(twin.world.models):
        assert model.opt.impratio == drawn["impratio"][env]
        softness = drawn["contact_time_constant_s"][env], drawn["contact_damping_ratio"][env]
        assert tuple(model.geom_solref[geom]) == softness
        assert model.geom_friction[geom, 1] == drawn["torsional_friction_m"][env]
        strength = twin.world.nominal.actuator_forcerange * drawn["motor_strength_scale"][env]
        np.testing.assert_array_equal(model.actuator_forcerange, strength)
        np.testing.assert_array_equal(
            model.dof_frictionloss[:JOINTS], drawn["joint_friction_nm"][env]
        )
        assert model.opt.cone == drawn["elliptic_cone"][env]


def test_a_twin_refuses_worlds_it_has_no_room_for(make_twin: MakeTwin) -> None:
    twin = make_twin(2, physics=RANDOMIZED)
    with pytest.raises(ValueError, match=r"action_delay_steps, .*joint_play_rad.*hull_collisions"):
        twin.draw_from(twin.task.command, WIDE)
    make_twin(2, physics=WIDE).draw_from(twin.task.command, WIDE.grown(0.0))


def test_parameters_are_never_scaled_twice(make_twin: MakeTwin) -> None:
    twin = make_twin(2, physics=replace(NOMINAL, stiffness_scale=(1.5, 1.5)))
    once = models_values(twin)
    for _ in range(3):
        twin.reset()
    for name, values in models_values(twin).items():
        np.testing.assert_array_equal(values, once[name], err_msg=name)


def test_episodes_start_in_grasps_of_the_bank_with_every_face_up(
    make_twin: MakeTwin, tiny_bank: GraspBank
) -> None:
    twin = make_twin(64, physics=NOMINAL)
    apart = (twin.state.joint_pos[:, None] - tiny_bank.joint_pos).abs().amax(2)
    assert apart.amin(1).max() < 1e-5 and len(apart.argmin(1).unique()) == len(tiny_bank)
    up = Rotation.from_quat(twin.state.cube_quat.numpy()).inv().apply([0.0, 0.0, 1.0])
    faces = {(int(np.abs(u).argmax()), bool(u[np.abs(u).argmax()] > 0)) for u in up}
    assert len(faces) == 6


# Commands and support -----------------------------------------------------------------------------


def test_commands_are_held_and_then_drawn_anew(make_twin: MakeTwin) -> None:
    task = replace(tuned_task(), command=CommandConfig(hold_s=(0.52, 0.52)))
    twin, commands = make_twin(3, task), []
    for _ in range(34):
        commands.append(twin.command.clone())
        observations, *_ = twin.step(torch.zeros(3, JOINTS))
        offset = sum(list(observation_sizes(task.observation, twin.hand).values())[:6])
        assert torch.equal(observations["teacher"][:, offset], twin.command)
    changed = (torch.stack(commands).diff(dim=0) != 0).all(dim=1).nonzero()[:, 0]
    assert changed.tolist() == [10, 21, 32]  # every 0.52 s, on the next control step


def test_a_reward_is_paid_for_the_command_that_was_in_force(make_twin: MakeTwin) -> None:
    task = replace(tuned_task(), command=CommandConfig(both_directions=True, hold_s=(0.1, 0.1)))
    twin = make_twin(3, task)
    for action in wild_actions(8, 3):
        command, mean_spin = twin.command.clone(), twin.mean_spin.clone()
        _, reward, done, _ = twin.step(0.1 * action)
        assert not done.any()
        paid_for = replace(twin.state, command=command)
        expected, _ = terms.rewards(paid_for, twin.constants, task.reward, torch.zeros(3).bool())
        torch.testing.assert_close(reward, expected)
        torch.testing.assert_close(
            twin.mean_spin, terms.updated_mean_spin(mean_spin, twin.state.spin, task.reward)
        )


def test_the_platform_carries_the_cube_and_then_leaves(
    make_twin: MakeTwin, open_hand: GraspBank
) -> None:
    twin = make_twin(2, task_with(support_s=(1.0, 1.0)), NOMINAL, bank=open_hand, auto_reset=False)
    heights, lost_at = [], None
    for step in range(30):
        *_, done, extras = twin.step(torch.zeros(2, JOINTS))
        heights.append(float(twin.state.cube_pos[0, 2]) - CUBE_ORIGIN_M[2])
        if done.all():
            lost_at = step
            break
        assert not done.any()
    assert lost_at is not None and extras["terminated"].all()
    assert all(-0.003 < height < 0.0 for height in heights[:20])  # it rests 1 mm lower
    assert 20 < lost_at <= 20 + 3  # 35 mm of free fall take 85 ms
    assert heights[-1] < -0.035
    assert twin.finished is not None and twin.finished.dropped.tolist() == [1.0, 1.0]
    assert twin.finished.airborne_s.max() < 0.16


@pytest.mark.parametrize("seconds", [0.05, 1.3, 2.0, 6.0])
def test_the_platform_stays_for_whole_control_steps(make_twin: MakeTwin, seconds: float) -> None:
    twin = make_twin(1, task_with(support_s=(seconds, seconds)), NOMINAL)
    steps = 0
    while twin.state.support_left_s[0] > 0.0:
        twin.step(torch.zeros(1, JOINTS))
        steps += 1
    assert steps == round(seconds / CONTROL_DT_S)


def test_fingers_pass_through_the_platform(make_twin: MakeTwin) -> None:
    geoms = make_twin(1).world.nominal
    platform, cube = geoms.geom("platform").id, geoms.geom("cube").id

    def collide(one: int, other: int) -> bool:
        kind, affinity = geoms.geom_contype, geoms.geom_conaffinity
        return bool(kind[one] & affinity[other] or kind[other] & affinity[one])

    touching = {other for other in range(geoms.ngeom) if collide(platform, other)}
    assert touching - {platform} == {cube}


# Episodes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("finite_horizon", [True, False])
def test_the_horizon_is_640_steps_and_a_timeout_only_if_it_is_not_an_end(
    make_twin: MakeTwin, open_hand: GraspBank, finite_horizon: bool
) -> None:
    task = task_with(support_s=(40.0, 40.0), finite_horizon=finite_horizon)
    twin = make_twin(1, task, NOMINAL, bank=open_hand)
    assert twin.max_episode_length == 640
    for _ in range(639):
        _, _, done, extras = twin.step(torch.zeros(1, JOINTS))
        assert not done.any()
    _, _, done, extras = twin.step(torch.zeros(1, JOINTS))
    assert done.tolist() == [1] and extras["terminated"].tolist() == [False]
    if finite_horizon:
        assert "time_outs" not in extras
    else:
        assert extras["time_outs"].tolist() == [True]
    assert twin.finished is not None
    assert float(twin.finished.length_s) == pytest.approx(32.0, abs=1e-3)
    assert twin.finished.dropped.tolist() == [0.0] and twin.episode_length_buf.tolist() == [0]


def test_a_lost_cube_is_no_timeout(make_twin: MakeTwin, open_hand: GraspBank) -> None:
    task = task_with(support_s=(0.0, 0.0), finite_horizon=False)
    twin = make_twin(1, task, NOMINAL, bank=open_hand)
    for _ in range(4):
        *_, done, extras = twin.step(torch.zeros(1, JOINTS))
        if done.any():
            break
    assert extras["terminated"].all() and not extras["time_outs"].any()


def test_records_agree_with_an_independent_integration(make_twin: MakeTwin) -> None:
    task = task_with(support_s=(0.0, 0.4), length_s=2.0)
    twin = make_twin(12, task, NOISY_AND_LATE, auto_reset=False)
    turned, commanded, aloft_s, length_s = (np.zeros(12) for _ in range(4))
    open_episodes = np.ones(12, dtype=bool)
    previous = Rotation.from_quat(twin.world.read()["cube_quat"].numpy())
    ended = {True: 0, False: 0}
    for action in wild_actions(40, 12):
        command = twin.command.numpy().copy()
        *_, done, extras = twin.step(0.4 * action)
        now = Rotation.from_quat(twin.world.read()["cube_quat"].numpy())
        turn = (now * previous.inv()).as_rotvec()[:, 2]
        previous, lost = now, extras["terminated"].numpy()
        aloft = (twin.support_left_s.numpy() <= 0.0) & ~lost
        turned += np.where(aloft & open_episodes, turn * np.sign(command), 0.0)
        commanded += np.where(aloft & open_episodes, np.abs(command) * CONTROL_DT_S, 0.0)
        aloft_s += np.where(aloft & open_episodes, CONTROL_DT_S, 0.0)
        length_s += np.where(open_episodes, CONTROL_DT_S, 0.0)
        if twin.finished is None:
            continue
        for row, env in enumerate(done.nonzero()[:, 0].tolist()):
            if not open_episodes[env]:
                continue
            record, open_episodes[env] = twin.finished, False
            ended[bool(lost[env])] += 1
            assert bool(record.dropped[row]) == bool(lost[env])
            found = (record.turned_rad, record.commanded_rad, record.airborne_s, record.length_s)
            expected = (turned[env], commanded[env], aloft_s[env], length_s[env])
            np.testing.assert_allclose([float(f[row]) for f in found], expected, atol=1e-4)
    assert not open_episodes.any() and min(ended.values()) > 0, ended
    assert np.abs(turned).max() > 0.05


def test_a_reset_in_the_middle_starts_the_accounts_again(make_twin: MakeTwin) -> None:
    task = task_with(support_s=(0.0, 0.0), length_s=0.5)
    twin = make_twin(2, task, NOMINAL)
    for _ in range(6):
        twin.step(torch.zeros(2, JOINTS))
    twin.reset()
    for _ in range(10):
        assert twin.finished is None
        twin.step(torch.zeros(2, JOINTS))
    assert twin.finished is not None
    torch.testing.assert_close(twin.finished.length_s, torch.full((2,), 0.5))


def test_another_task_starts_new_episodes_but_must_look_the_same(make_twin: MakeTwin) -> None:
    twin = make_twin(2, task_with(length_s=0.5))
    twin.step(torch.zeros(2, JOINTS))
    twin.use_task(replace(twin.task, command=CommandConfig.fixed(-0.7)))
    assert twin.command.tolist() == pytest.approx([-0.7] * 2)
    assert twin.episode_length_buf.tolist() == [0, 0]
    for other in (paper_task(), replace(twin.task, reward=RewardConfig())):
        with pytest.raises(ValueError, match="only command and episode settings"):
            twin.use_task(other)


def test_the_log_names_every_paid_reward(make_twin: MakeTwin) -> None:
    twin = make_twin(2)
    *_, extras = twin.step(torch.zeros(2, JOINTS))
    named = {name.removeprefix("Reward/") for name in extras["log"] if name.startswith("Reward/")}
    assert named == {*REWARD_TERMS, "fall"}


# Bad numbers --------------------------------------------------------------------------------------


def test_actions_that_are_not_finite_are_refused_by_joint(make_twin: MakeTwin) -> None:
    twin = make_twin(4)
    before = twin.world.state.copy()
    for bad in (float("nan"), float("inf"), -float("inf")):
        actions = torch.zeros(4, JOINTS)
        actions[2, JOINT_NAMES.index("right_index_pip")] = bad
        with pytest.raises(ValueError, match=r"environment 2, right_index_pip is not finite"):
            twin.step(actions)
    np.testing.assert_array_equal(twin.world.state, before)


@pytest.mark.parametrize("shape", [(4, 16), (3, 17), (17,), (4, 17, 1)])
def test_actions_of_another_shape_are_refused(make_twin: MakeTwin, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(4, 17\)"):
        make_twin(4).step(torch.zeros(shape))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e3 * MAX_SPEED])
def test_a_diverged_world_is_reset_counted_and_harms_no_other(
    make_twin: MakeTwin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log of its warnings
    actions = 0.1 * wild_actions(10, 4)
    healthy, sick = (make_twin(4, physics=NOISY_AND_LATE, student=True) for _ in range(2))
    sick.world.state[1, -1] = bad
    others = [0, 2, 3]
    for step, action in enumerate(actions):
        expected = healthy.step(action)
        found = sick.step(action)
        assert all(torch.isfinite(value).all() for value in (found[1], *found[0].values()))
        assert found[2].tolist() == ([0, 1, 0, 0] if step == 0 else [0] * 4)
        assert torch.equal(found[1][others], expected[1][others])
        assert np.array_equal(sick.world.state[others], healthy.world.state[others])
        assert all(torch.isfinite(value).all() for value in found[3]["log"].values())
    assert sick.diverged_count == 1 and healthy.diverged_count == 0
    assert torch.isfinite(sick.mean_spin).all()


# Latency ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_an_action_delay_holds_targets_back_by_whole_steps(
    make_twin: MakeTwin, monkeypatch: pytest.MonkeyPatch, delay: int
) -> None:
    steps = (float(delay), float(delay))
    twin = make_twin(3, physics=replace(NOMINAL, action_delay_steps=steps))
    sent, wanted, step_physics = [], [twin.joint_target.clone()] * delay, twin.world.step

    def recorded(target: Tensor, supported: Tensor) -> None:
        sent.append(target.clone())
        step_physics(target, supported)

    monkeypatch.setattr(twin.world, "step", recorded)
    for action in 0.2 * wild_actions(8, 3):
        _, _, done, _ = twin.step(action)
        assert not done.any()
        wanted.append(twin.joint_target.clone())
    for target, expected in zip(sent, wanted, strict=False):
        assert torch.equal(target, expected)


def test_delays_are_drawn_per_episode(make_twin: MakeTwin) -> None:
    twin = make_twin(60, physics=replace(NOMINAL, action_delay_steps=(0.0, 2.0)))
    first = twin._actuation.drawn["action_delay_steps"].clone()
    assert first.unique().tolist() == [0, 1, 2]
    twin.reset()
    assert not torch.equal(twin._actuation.drawn["action_delay_steps"], first)


# Observations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [paper_task(), tuned_task()], ids=["paper", "tuned"])
def test_the_teacher_sees_what_the_contract_says(make_twin: MakeTwin, task: TaskConfig) -> None:
    twin = make_twin(3, task)
    seen = twin.get_observations()
    assert isinstance(seen, TensorDict) and set(seen.keys()) == {"teacher"}
    size = sum(observation_sizes(task.observation, twin.hand).values())
    assert seen["teacher"].shape == (3, size) and seen["teacher"].dtype == torch.float32


def test_the_students_history_runs_from_old_to_new(make_twin: MakeTwin) -> None:
    twin = make_twin(3, physics=NOMINAL, student=True)
    seen = twin.get_observations()
    assert seen["student_history"].shape == (3, HISTORY, 24)
    assert seen["student_current"].shape == (3, 35)
    first, _ = student_observations(twin.state, twin.constants)
    rows = [first] * HISTORY  # an episode's first step stands in for the missing past
    for action in 0.2 * wild_actions(6, 3):
        torch.testing.assert_close(seen["student_history"], torch.stack(rows[-HISTORY:], dim=1))
        seen, *_ = twin.step(action)
        row, current = student_observations(twin.state, twin.constants)
        rows.append(row)
        torch.testing.assert_close(seen["student_current"], current)
    assert not torch.allclose(rows[-1], rows[-2])


def test_a_new_episode_forgets_the_history_of_the_old_one(
    make_twin: MakeTwin, open_hand: GraspBank
) -> None:
    task = task_with(support_s=(0.0, 0.0))
    twin = make_twin(1, task, NOMINAL, bank=open_hand, student=True)
    for _ in range(4):
        seen, _, done, _ = twin.step(torch.zeros(1, JOINTS))
        if done.any():
            break
    assert done.all()
    history = seen["student_history"][0]
    assert (history == history[-1]).all()


def test_sensors_disturb_observations_but_not_rewards_or_records(make_twin: MakeTwin) -> None:
    noise = replace(NOMINAL, cube_position_noise_m=(0.01, 0.01), joint_noise_rad=(0.05, 0.05))
    clear, noisy = make_twin(3, physics=NOMINAL), make_twin(3, physics=noise)
    for name, value in vars(clear.state).items():  # the same start, whatever the noise drew
        setattr(noisy.state, name, value.clone())
    noisy.load_state_dict(noisy.state_dict() | {"world": clear.world.state_dict()})
    for name in ("joint_target", "command", "support_left_s", "mean_spin"):
        setattr(noisy, name, getattr(clear, name).clone())
    expected, found = clear.step(torch.zeros(3, JOINTS)), noisy.step(torch.zeros(3, JOINTS))
    torch.testing.assert_close(found[1], expected[1])
    assert (found[0]["teacher"] - expected[0]["teacher"])[:, :17].abs().max() > 0.01
