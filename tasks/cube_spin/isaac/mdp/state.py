"""The task's state in Isaac Lab: read from the scene once per step, remembered between steps."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

from dataclasses import replace

import torch
from isaaclab.envs import ManagerBasedEnv, ManagerBasedRLEnv
from torch import Tensor

from tasks.cube_spin import rotations, terms, world_terms
from tasks.cube_spin.actuation import Actuation
from tasks.cube_spin.config import CONTROL_DT_S, MAX_SPEED, TaskConfig
from tasks.cube_spin.episodes import EpisodeAccounts, EpisodeRecords
from tasks.cube_spin.grasps import GraspBank, load_grasps, task_constants
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.sensors import SensorModel
from tasks.cube_spin.terms import TaskConstants, TaskState
from tasks.orca.hand import hand_spec
from tasks.orca.hands import load_hand
from tasks.orca.kinematics import FingertipKinematics

EnvIds = Tensor | slice | None
"""Environments as Isaac Lab's managers name them; None is all."""


class TaskTracker:
    """What the manager terms share. The spin command owns it; `tracker(env)` finds it.

    Within a step the scene is read after the physics, for terminations and rewards, and again where
    environments were reset, for observations.
    """

    def __init__(self, env: ManagerBasedRLEnv, task: TaskConfig, randomization: str) -> None:
        self._env, self._device, count = env, env.device, env.num_envs
        self.task, self.physics = task, load_physics(randomization, task.object)
        self.generator = default_generator(env.device)
        self.hand = load_hand(task.hand)
        bank = load_grasps(self.hand, held=task.object)
        self.bank = GraspBank(**{k: v.to(env.device) for k, v in vars(bank).items()})
        self.use_constants(task_constants(task, bank))
        self.sensors = SensorModel(count, self.hand.num_joints, self.physics, self.generator)
        self.actuation = Actuation(count, self.hand.num_joints, self.physics, self.generator)
        self.drawn = {n: self._zeros() + value for n, value in shared_by_all(env.cfg).items()}
        """Parameters in force (N, ...), by name in `physics.py`."""
        self.recorder = EpisodeAccounts(count, env.device)
        self.finished: EpisodeRecords | None = None
        """Records of the episodes that ended in the last step, by ascending environment."""
        self._lost = self._zeros(dtype=torch.bool)
        names = env.scene["robot"].joint_names
        self.joint_ids = torch.tensor(self.hand.index_of(names), device=env.device)
        """(A,) Isaac Lab's indices of our joints."""
        self._tips_of = FingertipKinematics(
            hand_spec(self.hand, visual=False).compile(), self.hand, env.device
        )
        self.joint_target = self._zeros(self.hand.num_joints)
        self.command = self._zeros()
        self.support_s = self._zeros()
        """(N,) how long the platform stays, counted from the start of the episode."""
        self.mean_spin = self._zeros()
        self._told = self._zeros(world_terms.SIZE)
        self._state = self._rest()
        self._seen: TaskState | None = None
        self._step = env.common_step_counter
        self._restarted = self._zeros(dtype=torch.bool)
        self._any_restarted = False

    def use_constants(self, constants: TaskConstants) -> None:
        """Take over action centre and limits, for instance those of a trained policy."""
        self.constants = constants.to(self._device)

    def draw(self, name: str, envs: Tensor, *shape: int) -> Tensor:
        """Draw a parameter of environments `envs` (K,), (K, *shape), and remember it."""
        values = self.physics.sample(name, (len(envs), *shape), self.generator)
        everywhere = self.drawn.get(name, self._zeros(*shape)).clone()
        everywhere[envs] = values
        self.drawn[name] = everywhere
        return values

    # Reading --------------------------------------------------------------------------------------

    @property
    def state(self) -> TaskState:
        """The true state now."""
        self._refresh()
        return self._state

    @property
    def lost(self) -> Tensor:
        """(N,) bool: in the last step the cube was lost, or the simulation left all bounds."""
        self._refresh()
        return self._lost

    @property
    def seen(self) -> TaskState:
        """The state as the sensors report it; one reading per step, however many groups ask."""
        if not self.physics.has_sensor_model:
            return self.state
        if self._seen is None:
            sensed = self.sensors.read(self.state)
            self._seen = replace(sensed, tip_pos=self._tips_of(sensed.joint_pos))
        return self._seen

    @property
    def support_left_s(self) -> Tensor:
        """(N,) time until the platform leaves."""
        passed = self._env.episode_length_buf * CONTROL_DT_S
        return terms.time_left(self.support_s, passed)

    # Events of a step -----------------------------------------------------------------------------

    def restart(self, env_ids: Tensor | slice) -> None:
        """These environments were reset: close their episodes and forget their history."""
        envs = torch.arange(self._env.num_envs, device=self._device)[env_ids]
        self.finished = self.recorder.finish(envs)
        self.sensors.reset(envs)
        self.mean_spin = self.mean_spin.clone()
        self.mean_spin[envs] = 0.0
        self._restarted[envs], self._any_restarted = True, True
        self._seen = None

    def show_commands(self) -> None:
        """Command and support of the next step are set: observations shall show them."""
        commands = {"command": self.command, "support_left_s": self.support_left_s}
        self._state, self._seen = replace(self.state, **commands), None

    def _refresh(self) -> None:
        if self._env.common_step_counter != self._step:
            self._step = self._env.common_step_counter
            self._advance(self._state)
        if self._any_restarted:
            self._settle(self._state)

    def _advance(self, before: TaskState) -> None:
        """The physics ran: read the scene, update the spin, critics the cube."""
        now = self._read()
        diverged = ~_is_sane(now)
        spin = rotations.spin_between(before.cube_quat, now["cube_quat"])
        self.mean_spin = terms.updated_mean_spin(self.mean_spin, spin, self.task.reward)
        state = TaskState(
            **now,
            tip_pos=self._tips_of(now["joint_pos"]),
            joint_target=self.joint_target,
            action=self._env.action_manager.action.clone(),
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
        self._lost = diverged | terms.cube_lost(now["cube_pos"], self.constants, self.task.episode)
        # What has diverged must not reach rewards, records or the observation filter.
        self._state = state.replaced(diverged, before)
        self.finished, self._seen = None, None
        tilt_rad = terms.tilt_rad(self._state, self.constants)
        self.recorder.update(self._state, tilt_rad, self._lost)

    def _settle(self, running: TaskState) -> None:
        """Replace the part of the state that belongs to restarted environments."""
        everything = self.drawn | self.actuation.drawn
        count, held = self._env.num_envs, self.task.object
        self._told = world_terms.world_terms(everything, count, self._device, held)
        self._state = running.replaced(self._restarted, self._rest())
        self._restarted[:], self._any_restarted = False, False

    def _rest(self) -> TaskState:
        """The state right after a reset: true poses, no history."""
        now, still, spin = self._read(), self._zeros(self.hand.num_joints), self._zeros(3)
        return TaskState(
            **now,
            tip_pos=self._tips_of(now["joint_pos"]),
            joint_target=self.joint_target,
            action=still,
            previous_action=still,
            joint_acc=still,
            spin=spin,
            previous_spin=spin,
            mean_spin=self._zeros(),
            command=self.command,
            support_left_s=self.support_left_s,
            earlier_targets=self.joint_target[:, None].expand(-1, 2, -1),
            world=self._told,
        )

    def _read(self) -> dict[str, Tensor]:
        """Joints in our order, and the cube relative to the hand's root in world-aligned axes."""
        hand, cube = self._env.scene["robot"].data, self._env.scene["cube"].data
        return {
            "joint_pos": hand.joint_pos.torch[:, self.joint_ids],
            "joint_vel": hand.joint_vel.torch[:, self.joint_ids],
            "cube_pos": cube.root_pos_w.torch - hand.root_pos_w.torch,
            "cube_quat": cube.root_quat_w.torch.clone(),
            "cube_lin_vel": cube.root_lin_vel_w.torch.clone(),
            "cube_ang_vel": cube.root_ang_vel_w.torch.clone(),
        }

    def _zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros((self._env.num_envs, *shape), dtype=dtype, device=self._device)


def tracker(env: ManagerBasedEnv) -> TaskTracker:
    """The task tracker of a cube-spin environment."""
    return env.command_manager.get_term("spin").tracker


def selected(env: ManagerBasedEnv, env_ids: EnvIds) -> Tensor:
    """Environment indices (K,) as a tensor."""
    every = torch.arange(env.num_envs, device=env.device)
    return every if env_ids is None else every[env_ids]


def default_generator(device: str | torch.device) -> torch.Generator:
    """Torch's global generator of a device: the one Isaac Lab seeds."""
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.init()  # the generators do not exist before
        index = device.index if device.index is not None else torch.cuda.current_device()
        return torch.cuda.default_generators[index]
    return torch.default_generator


def shared_by_all(cfg: object) -> dict[str, float]:
    """What one Isaac Lab scene has in common: contact solver and collision shapes."""
    physics = load_physics(cfg.randomization)
    shared = {"hull_collisions": float(physics.hull_collisions > 0.5)}
    if (solver := getattr(cfg.sim.physics, "solver_cfg", None)) is not None:
        shared |= {"elliptic_cone": float(solver.cone == "elliptic"), "impratio": solver.impratio}
    return shared


def _is_sane(now: dict[str, Tensor]) -> Tensor:
    """(N,) bool: everything is finite and nothing is absurdly fast."""
    fast = torch.cat([now["joint_vel"], now["cube_lin_vel"], now["cube_ang_vel"]], dim=1)
    placed = torch.cat([now["joint_pos"], now["cube_pos"], now["cube_quat"]], dim=1)
    return placed.isfinite().all(dim=1) & (fast.abs().amax(dim=1) < MAX_SPEED)
