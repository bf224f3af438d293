"""Isaac Lab's managers and the twin give the same numbers for the same states and draws."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import roma
import torch
from first_hand import CUBE_ORIGIN_M, FINGERTIP_BODIES, FINGERTIP_OFFSETS
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.config import CONTROL_DT_S, tuned_task
from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.cube_spin.isaac.mdp.events import write_state
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.terms import TaskState
from tasks.cube_spin.twin.environment import CubeSpinTwin

pytestmark = pytest.mark.sim
COUNT = 100
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def env() -> Iterator[IsaacCubeSpin]:
    env = make_isaac_env("Sernf-Orca-CubeSpin-Distill", COUNT, physics="nominal", seed=3)
    yield env
    env.close()


@pytest.fixture(scope="module")
def twin() -> CubeSpinTwin:
    return CubeSpinTwin(COUNT, tuned_task(), NOMINAL, seed=3, student=True)


class Scenario:
    """COUNT random moments of a step, not necessarily reachable."""

    def __init__(self, twin: CubeSpinTwin, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        constants = twin.constants
        span = constants.joint_upper - constants.joint_lower
        self.joint_pos = constants.joint_lower + span * torch.rand(COUNT, 17, generator=draw)
        self.joint_vel = 2.0 * torch.randn(COUNT, 17, generator=draw)
        self.cube_pos = torch.tensor(CUBE_ORIGIN_M) + 0.02 * torch.randn(COUNT, 3, generator=draw)
        self.cube_quat = roma.random_unitquat(COUNT)
        self.cube_vel = 0.2 * torch.randn(COUNT, 6, generator=draw)
        self.action = torch.randn(COUNT, 17, generator=draw)
        self.joint_target = self.joint_pos + 0.1 * torch.randn(COUNT, 17, generator=draw)
        self.command = torch.rand(COUNT, generator=draw) * 2.0 - 0.5
        self.support_left_s = 6.0 * torch.rand(COUNT, generator=draw)
        self.mean_spin = torch.randn(COUNT, generator=draw)


def before(state: TaskState, moment: Scenario) -> TaskState:
    """The same random past for both simulators."""
    names = ("joint_pos", "joint_vel", "cube_pos", "cube_quat", "action", "command", "mean_spin")
    past = {name: getattr(moment, name) for name in names}
    return TaskState(**{**vars(state), **past, "spin": moment.cube_vel[:, 3:]})


def play_in_isaac(env: IsaacCubeSpin, past: Scenario, now: Scenario) -> dict[str, Tensor]:
    """What the managers make of the step from `past` to `now`."""
    lab, shared = env.unwrapped, env.tracker
    shared._state = before(shared.state, past)
    shared.joint_target, shared.command = past.joint_target, now.command
    shared.mean_spin = past.mean_spin
    lab.episode_length_buf[:] = 1
    shared.support_s = now.support_left_s + CONTROL_DT_S
    lab.action_manager.process_action(now.action)
    envs = torch.arange(COUNT)
    write_state(
        lab,
        envs,
        joint_pos=now.joint_pos,
        cube_pos=now.cube_pos,
        cube_quat=now.cube_quat,
        cube_vel=now.cube_vel[:, :3],
    )
    hand, cube = lab.scene["robot"], lab.scene["cube"]
    hand.write_joint_velocity_to_sim_index(velocity=now.joint_vel, joint_ids=shared.joint_ids)
    cube.write_root_velocity_to_sim_index(root_velocity=now.cube_vel)
    lab.sim.forward()
    lab.common_step_counter += 1
    lost = lab.termination_manager.compute()
    reward = lab.reward_manager.compute(dt=lab.step_dt).clone()
    lab.observation_manager.reset(envs)
    return dict(lab.observation_manager.compute(update_history=True)) | {
        "reward": reward,
        "lost": lost.float(),
    }


def play_in_twin(twin: CubeSpinTwin, past: Scenario, now: Scenario) -> dict[str, Tensor]:
    """What the twin makes of the same step."""
    twin.joint_target = terms.joint_targets(
        now.action, past.joint_target, twin.constants, twin.task.action.smoothing
    )
    twin.mean_spin, twin.command = past.mean_spin, now.command
    twin.support_left_s = now.support_left_s
    local_spin = roma.quat_action(roma.quat_conjugation(now.cube_quat), now.cube_vel[:, 3:])
    wxyz = now.cube_quat[:, [3, 0, 1, 2]]
    qpos = torch.cat([now.joint_pos, now.cube_pos, wxyz], dim=1)
    qvel = torch.cat([now.joint_vel, now.cube_vel[:, :3], local_spin], dim=1)
    twin.world.state[:, 1:] = torch.cat([qpos, qvel], dim=1).double().numpy()
    twin.state = twin._state_after(before(twin.state, past), now.action)
    lost = terms.cube_lost(twin.state.cube_pos, twin.constants, twin.task.episode)
    reward, _ = terms.rewards(twin.state, twin.constants, twin.task.reward, lost)
    observations = twin._observe(torch.ones(COUNT, dtype=torch.bool))
    return dict(observations.items()) | {"reward": reward, "lost": lost.float()}


def test_random_states_give_the_same_observations_rewards_and_terminations(
    env: IsaacCubeSpin, twin: CubeSpinTwin
) -> None:
    past, now = Scenario(twin, 1), Scenario(twin, 2)
    isaac, ours = play_in_isaac(env, past, now), play_in_twin(twin, past, now)
    assert 0 < isaac["lost"].sum() < COUNT, "the scenario should hold both lost and held cubes"
    assert isaac["reward"].std() > 0.01
    assert isaac.keys() == ours.keys()
    for name, expected in ours.items():
        torch.testing.assert_close(
            isaac[name], expected, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_fingertips_are_isaac_labs_bodies(env: IsaacCubeSpin) -> None:
    env.reset()
    hand = env.unwrapped.scene["robot"]
    ids = [hand.body_names.index(name) for name in FINGERTIP_BODIES]
    quat = hand.data.body_quat_w.torch[:, ids]
    offset = torch.from_numpy(FINGERTIP_OFFSETS).float().expand(COUNT, -1, -1)
    tips = hand.data.body_pos_w.torch[:, ids] + roma.quat_action(quat, offset)
    relative = tips - hand.data.root_pos_w.torch[:, None]
    torch.testing.assert_close(env.tracker.state.tip_pos, relative, rtol=0.0, atol=TOLERANCE)


def test_same_actions_give_the_same_smoothed_targets(
    env: IsaacCubeSpin, twin: CubeSpinTwin
) -> None:
    env.reset()
    twin.reset()
    env.tracker.joint_target = twin.joint_target.clone()
    running = torch.ones(COUNT, dtype=torch.bool)
    draw = torch.Generator().manual_seed(0)
    for _ in range(5):
        action = 0.3 * torch.randn(COUNT, 17, generator=draw)
        running &= (env.step(action)[2] == 0) & (twin.step(action)[2] == 0)
        sent = env.unwrapped.scene["robot"].data.joint_pos_target.torch[:, env.tracker.joint_ids]
        torch.testing.assert_close(sent[running], twin.joint_target[running], rtol=0.0, atol=1e-6)
    assert running.sum() > COUNT // 2


def test_same_draws_give_the_same_commands_at_the_same_times(
    env: IsaacCubeSpin, twin: CubeSpinTwin
) -> None:
    spin = env.unwrapped.command_manager.get_term("spin")
    env.tracker.generator = torch.Generator().manual_seed(7)
    twin.generator.manual_seed(7)
    spin._resample(slice(None))
    twin._resample_commands(torch.arange(COUNT))
    changes = 0
    for _ in range(500):
        previous = twin.command
        spin.compute(CONTROL_DT_S)
        twin._command_left_s -= CONTROL_DT_S
        twin._resample_commands((twin._command_left_s <= 0.0).nonzero()[:, 0])
        torch.testing.assert_close(spin.command[:, 0], twin.command, rtol=0.0, atol=1e-7)
        changes += int((previous != twin.command).sum())
    assert changes >= 2 * COUNT, "every command should have changed twice in 25 s"


def test_rewards_use_the_old_command_and_observations_the_new_one(env: IsaacCubeSpin) -> None:
    env.reset()
    shared, spin = env.tracker, env.unwrapped.command_manager.get_term("spin")
    old = shared.command.clone()
    spin.time_left[:] = 0.5 * CONTROL_DT_S
    seen: list[Tensor] = []
    reward_manager = env.unwrapped.reward_manager
    compute = reward_manager.compute

    def spy(dt: float) -> Tensor:
        seen.append(shared.state.command.clone())
        return compute(dt)

    reward_manager.compute = spy
    try:
        observations = env.step(torch.zeros(COUNT, 17))[0]
    finally:
        reward_manager.compute = compute
    torch.testing.assert_close(seen[0], old)
    assert (shared.command != old).all()
    torch.testing.assert_close(observations["student_current"][:, -1], shared.command)


def test_platform_carries_the_cube_and_then_leaves(env: IsaacCubeSpin) -> None:
    task = env.tracker.task
    short = replace(task, episode=replace(task.episode, support_s=(0.3, 0.3)))
    env.use_task(short)
    lab = env.unwrapped
    hand, platform = lab.scene["robot"], lab.scene["platform"]
    open_hand = torch.zeros(COUNT, 17)
    origin = torch.tensor(CUBE_ORIGIN_M).expand(COUNT, -1)
    upright = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(COUNT, -1)
    still = torch.zeros(COUNT, 3)
    write_state(
        lab,
        torch.arange(COUNT),
        joint_pos=open_hand,
        cube_pos=origin,
        cube_quat=upright,
        cube_vel=still,
    )
    env.tracker.joint_target = open_hand.clone()
    task.action.smoothing, smoothing = 1e-6, task.action.smoothing  # the hand stays open
    heights, platforms = [], []
    for _ in range(12):
        env.step(torch.zeros(COUNT, 17))
        heights.append(env.tracker.state.cube_pos[:, 2].mean().item())
        platforms.append((platform.data.root_pos_w.torch - hand.data.root_pos_w.torch)[0, 2].item())
    task.action.smoothing = smoothing
    env.use_task(task)
    assert heights[4] == pytest.approx(CUBE_ORIGIN_M[2] - 0.001, abs=5e-4)
    assert platforms[4] == pytest.approx(-0.0926, abs=1e-3)
    assert min(platforms) < -0.5
    assert min(heights) < CUBE_ORIGIN_M[2] - 0.01, "without the platform the cube should fall"


def test_a_diverged_environment_is_reset_and_harms_no_other(env: IsaacCubeSpin) -> None:
    env.reset()
    hand = env.unwrapped.scene["robot"]
    broken = torch.tensor([5])
    nan = torch.full((1, 17), torch.nan)
    hand.write_joint_position_to_sim_index(
        position=nan, joint_ids=env.tracker.joint_ids, env_ids=broken
    )
    observations, reward, done, _ = env.step(torch.zeros(COUNT, 17))
    assert done[5] == 1
    assert torch.isfinite(reward).all()
    for _ in range(3):
        assert all(torch.isfinite(group).all() for group in observations.values())
        observations, _, done, _ = env.step(torch.zeros(COUNT, 17))
    assert done[5] == 0, "the environment should live on after its reset"


def test_actions_that_are_not_finite_are_refused(env: IsaacCubeSpin) -> None:
    actions = torch.zeros(COUNT, 17)
    actions[3, 4] = torch.nan
    with pytest.raises(ValueError, match="environment 3, right_thumb_dip"):
        env.step(actions)
