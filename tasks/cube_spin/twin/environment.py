"""The cube-spin task on plain MuJoCo: a vectorised environment (RSL-RL `VecEnv`) for CPUs.

Order within a step, the same as Isaac Lab's managers: action, physics, spin, terminations, rewards,
resets, commands, observations.
"""

from dataclasses import asdict, replace

import roma
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin import rotations, terms
from tasks.cube_spin.actuation import Actuation, refuse_infinite
from tasks.cube_spin.config import CONTROL_DT_S, HISTORY, CommandConfig, TaskConfig
from tasks.cube_spin.episodes import EpisodeAccounts, EpisodeRecords
from tasks.cube_spin.grasps import GraspBank, load_grasps, task_constants
from tasks.cube_spin.observations import student_observations, teacher_observations
from tasks.cube_spin.physics import RANDOMIZED, Physics
from tasks.cube_spin.sensors import SensorModel
from tasks.cube_spin.terms import TaskConstants, TaskState
from tasks.cube_spin.twin import resume_point
from tasks.cube_spin.twin.worlds import TwinPhysics
from tasks.cube_spin.world_terms import world_terms
from tasks.orca.hands import load_hand
from tasks.orca.kinematics import FingertipKinematics


class CubeSpinTwin(VecEnv):
    """N cube-spin environments; observation groups "teacher", "student_history", "student_current".

    Args:
        num_envs: N.
        task: Task settings.
        physics: What is randomised, and how good the sensors are; `RANDOMIZED` by default.
        seed: Seed of every draw; same seed, same rollout, whatever the number of threads.
        threads: Physics threads; all cores by default.
        student: Also compute the student's observation groups.
        teacher_sensed: The teacher sees what the sensors report; else the truth (distillation).
        bank: Start states; those of hand and object by default.
        constants: Action centre and limits of a trained policy, if they are not the bank's.
        auto_reset: Start the next episode within the step that ends one.
    """

    def __init__(
        self,
        num_envs: int,
        task: TaskConfig,
        physics: Physics | None = None,
        *,
        seed: int = 0,
        threads: int | None = None,
        student: bool = False,
        teacher_sensed: bool = True,
        bank: GraspBank | None = None,
        constants: TaskConstants | None = None,
        auto_reset: bool = True,
    ) -> None:
        self.task, self.num_envs, self.device = task, num_envs, "cpu"
        self.hand = load_hand(task.hand)
        self.num_actions = self.hand.num_joints
        self.cfg = asdict(task)
        self.max_episode_length = round(task.episode.length_s / CONTROL_DT_S)
        self.generator = torch.Generator().manual_seed(seed)
        physics, self.held = physics or RANDOMIZED.for_object(task.object), task.object
        self.bank = bank or load_grasps(self.hand, held=self.held)
        self.constants = constants or task_constants(task, self.bank)
        self.world = TwinPhysics(self.hand, num_envs, physics, self.generator, threads, self.held)
        self.sensors = SensorModel(num_envs, self.num_actions, physics, self.generator)
        self.recorder = EpisodeAccounts(num_envs)
        self.finished: EpisodeRecords | None = None
        """Records of the episodes that ended in the last step."""
        self.diverged_count = 0
        """Worlds that were reset because the simulation left all bounds."""
        self._student, self._teacher_sensed, self._auto_reset = student, teacher_sensed, auto_reset
        self._tips_of = FingertipKinematics(self.world.nominal, self.hand)
        self._built_for = physics
        self._actuation = Actuation(num_envs, self.num_actions, physics, self.generator)
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        count = self.num_envs
        self.episode_length_buf = torch.zeros(count, dtype=torch.long)
        self.joint_target = torch.zeros(count, self.num_actions)
        self.command = torch.zeros(count)
        self._command_left_s = torch.zeros(count)
        self.support_left_s = torch.zeros(count)
        self.mean_spin = torch.zeros(count)
        self._history = torch.zeros(count, HISTORY, self.num_actions + 7)

    # VecEnv ---------------------------------------------------------------------------------------

    def reset(self) -> tuple[TensorDict, dict]:
        """Start a new episode everywhere."""
        everywhere = torch.arange(self.num_envs)
        self.recorder.finish(everywhere)  # an interrupted episode must not count into the next
        self._reset(everywhere)
        self.state = self._resting_state()
        return self._observe(torch.ones(self.num_envs, dtype=torch.bool)), {}

    def seed(self, seed: int) -> None:
        """Restart the random numbers and redraw what is drawn once; call `reset` afterwards."""
        self.generator.manual_seed(seed)
        self.world.draw_startup()

    def command_all(self, spin_rad_s: float) -> None:
        """Command all worlds a spin, until the next reset or command that the task draws."""
        self.command = torch.full_like(self.command, spin_rad_s)
        self.state = replace(self.state, command=self.command)

    def use_task(self, task: TaskConfig) -> None:
        """Go on with other commands or support times, from new episodes.

        Raises:
            ValueError: If hand, object, observations, actions or rewards differ.
        """
        if task.differs_in_kind(self.task):
            raise ValueError("only command and episode settings can change while running")
        self.task = task
        self.max_episode_length = round(task.episode.length_s / CONTROL_DT_S)
        self.reset()

    def draw_from(self, command: CommandConfig, physics: Physics) -> None:
        """Draw commands and worlds from other ranges from now on; running episodes go on.

        Raises:
            ValueError: If the worlds were not built for it; names the parameters.
        """
        if lacking := self._built_for.lacks_room_for(physics):
            raise ValueError(f"these worlds were built for less of: {', '.join(lacking)}")
        self.task = replace(self.task, command=command)
        self.world.physics = physics

    def close(self) -> None:
        """Stop the physics threads."""
        self.world.close()

    def get_observations(self) -> TensorDict:
        """Observation groups after the last step or reset."""
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """One control step of 50 ms.

        Args:
            actions: (N, A), grasp-centred or over the joint limits (`ActionConfig.mode`).

        Raises:
            ValueError: If the action has another shape or holds a value that is not finite.
        """
        actions = self._checked(actions)
        before = self.state
        self._send(actions)
        self.state = self._state_after(before, actions)
        self.episode_length_buf += 1
        diverged = self.world.diverged()
        lost = terms.cube_lost(self.state.cube_pos, self.constants, self.task.episode) | diverged
        timeout = (self.episode_length_buf >= self.max_episode_length) & ~lost
        if diverged.any():  # its numbers must not reach rewards, records or the observation filter
            self.state = self.state.replaced(diverged, before)
            self.diverged_count += int(diverged.sum())
        reward, parts = terms.rewards(self.state, self.constants, self.task.reward, lost)
        self.recorder.update(self.state, terms.tilt_rad(self.state, self.constants), lost)
        done = lost | timeout
        extras = self._finish(done, parts)
        if not self.task.episode.finite_horizon:
            extras["time_outs"] = timeout
        extras["terminated"] = lost
        return self._observe(done & self._auto_reset), reward, done.long(), extras

    def state_dict(self) -> dict:
        """All that later steps depend on; `load_state_dict` continues bit for bit."""
        return resume_point.saved(self)

    def load_state_dict(self, saved: dict) -> None:
        """Continue from `state_dict()` of an environment built with the same arguments."""
        resume_point.restore(self, saved)

    # Parts of a step ------------------------------------------------------------------------------

    def _checked(self, actions: Tensor) -> Tensor:
        if actions.shape != (expected := (self.num_envs, self.num_actions)):
            raise ValueError(f"actions have shape {tuple(actions.shape)}, expected {expected}")
        refuse_infinite(actions, self.hand)
        return actions.detach().to("cpu", torch.float32)

    def _send(self, actions: Tensor) -> None:
        """Smooth the targets, hold them back as the servos do, and run the physics."""
        smoothing = self.task.action.smoothing
        self.joint_target = terms.joint_targets(
            actions, self.joint_target, self.constants, smoothing
        )
        self.world.step(self._actuation(self.joint_target), self.support_left_s > 0.0)
        self.support_left_s = terms.time_left(self.support_left_s, CONTROL_DT_S)

    def _state_after(self, before: TaskState, actions: Tensor) -> TaskState:
        now = self.world.read()
        spin = rotations.spin_between(before.cube_quat, now["cube_quat"])
        self.mean_spin = terms.updated_mean_spin(self.mean_spin, spin, self.task.reward)
        return TaskState(
            **now,
            tip_pos=self._tips_of(now["joint_pos"]),
            joint_target=self.joint_target,
            action=actions,
            previous_action=before.action,
            joint_acc=(now["joint_vel"] - before.joint_vel) / CONTROL_DT_S,
            spin=spin,
            previous_spin=before.spin,
            mean_spin=self.mean_spin,
            command=self.command,
            support_left_s=self.support_left_s,
            earlier_targets=terms.remembered_targets(before),
            world=self._told,
        )

    def _finish(self, done: Tensor, parts: dict[str, Tensor]) -> dict:
        """Log, account for and restart the episodes that are over; advance all commands."""
        log = {f"Reward/{name}": value.mean() / CONTROL_DT_S for name, value in parts.items()}
        self.finished = None
        envs = done.nonzero()[:, 0]
        if len(envs):
            self.finished = self.recorder.finish(envs)
            log |= self.finished.log()
            if self._auto_reset:
                self._reset(envs)
                self.state = self.state.replaced(done, self._resting_state())
        self._command_left_s = terms.time_left(self._command_left_s, CONTROL_DT_S)
        self._resample_commands((self._command_left_s <= 0.0).nonzero()[:, 0])
        self.state = replace(self.state, command=self.command, support_left_s=self.support_left_s)
        log["Twin/diverged"] = torch.tensor(float(self.diverged_count))
        return {"log": log}

    def _reset(self, envs: Tensor) -> None:
        """New world parameters, start state, command and support for environments `envs` (K,)."""
        count, sample, generator = len(envs), self.world.physics.sample, self.generator
        pick = torch.randint(len(self.bank), (count,), generator=generator)
        turned = rotations.random_symmetry(count, generator, self.held.shape)
        quat = roma.quat_product(self.bank.cube_quat[pick], turned)
        wobble = sample("reset_rotation_rad", (count, 3), generator)
        self.world.randomize(envs.numpy())
        nudge = sample("reset_joint_rad", (count, self.num_actions), generator)
        self.world.write(
            envs.numpy(),
            joint_pos=self.bank.joint_pos[pick] + nudge,
            cube_pos=self.bank.cube_pos[pick] + sample("reset_position_m", (count, 3), generator),
            cube_quat=roma.quat_product(roma.rotvec_to_unitquat(wobble), quat),
            cube_vel=sample("reset_velocity_m_s", (count, 3), generator),
        )
        self.joint_target[envs] = self.bank.joint_target[pick]
        self._actuation.reset(envs, self.bank.joint_target[pick], self.world.physics)
        drawn = self.world.told() | self._actuation.drawn
        self._told = world_terms(drawn, self.num_envs, held=self.held)
        self.sensors.reset(envs)
        shortest, longest = self.task.episode.support_s
        support = shortest + (longest - shortest) * torch.rand(count, generator=generator)
        self.support_left_s[envs] = support
        self.episode_length_buf[envs], self.mean_spin[envs] = 0, 0.0
        self._resample_commands(envs)

    def _resample_commands(self, envs: Tensor) -> None:
        if len(envs) == 0:
            return
        uniform = torch.rand((len(envs), 3), generator=self.generator)
        command, hold_s = terms.command_from_uniform(uniform, self.task.command)
        self.command = self.command.clone()
        self.command[envs], self._command_left_s[envs] = command, hold_s

    def _resting_state(self) -> TaskState:
        """The state right after a reset: true poses, no history."""
        now = self.world.read()
        zeros, spin = torch.zeros(self.num_envs, self.num_actions), torch.zeros(self.num_envs, 3)
        return TaskState(
            **now,
            tip_pos=self._tips_of(now["joint_pos"]),
            joint_target=self.joint_target,
            action=zeros,
            previous_action=zeros,
            joint_acc=zeros,
            spin=spin,
            previous_spin=spin,
            mean_spin=self.mean_spin,
            command=self.command,
            support_left_s=self.support_left_s,
            earlier_targets=self.joint_target[:, None].expand(-1, 2, -1),
            world=self._told,
        )

    def _observe(self, fresh: Tensor) -> TensorDict:
        """Observation groups; `fresh` (N,) bool marks environments whose history restarts."""
        sensed = self.world.physics.has_sensor_model
        seen = self.sensors.read(self.state) if sensed else self.state
        if sensed:
            seen = replace(seen, tip_pos=self._tips_of(seen.joint_pos))
        told = seen if self._teacher_sensed else self.state
        teacher = teacher_observations(told, self.constants, self.task.observation)
        groups = {"teacher": torch.cat(list(teacher.values()), dim=1)}
        if self._student:
            row, groups["student_current"] = student_observations(seen, self.constants)
            self._history = torch.cat([self._history[:, 1:], row[:, None]], dim=1)
            self._history[fresh] = row[fresh, None]
            groups["student_history"] = self._history
        self._observations = TensorDict(groups, batch_size=[self.num_envs])
        return self._observations
