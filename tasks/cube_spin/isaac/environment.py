"""What scripts use of Isaac Lab: build the environment, train a teacher in it."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import gymnasium as gym
import torch
from isaaclab.app import launch_simulation
from isaaclab_rl.rsl_rl import (
    RslRlOnPolicyRunnerCfg,
    RslRlVecEnvWrapper,
    check_rsl_rl_version,
    create_rsl_rl_runner,
    handle_deprecated_rsl_rl_cfg,
)
from isaaclab_tasks.utils import resolve_task_config
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from sernf_isaac.checkpoint import load_checkpoint
from tasks import ISAAC_TASKS
from tasks.cube_spin.config import TaskConfig
from tasks.cube_spin.episodes import EpisodeRecords
from tasks.cube_spin.isaac.env_cfg import CubeSpinEnvCfg, refuse_unknown
from tasks.cube_spin.isaac.mdp.state import TaskTracker, tracker
from tasks.cube_spin.isaac.overrides import fill
from tasks.cube_spin.teacher.policy import (
    TeacherPolicy,
    load_teacher,
    rsl_rl_weights,
    teacher_from_rsl_rl,
    with_teacher,
)
from tasks.cube_spin.terms import TaskConstants, TaskState

CRITIC_ITERATIONS = 10
"""Iterations in which only the critic learns, when a run begins with a teacher file."""
TRAIN_TASK = "Sernf-Orca-CubeSpin"
AGENT = "rsl_rl_cfg_entry_point"


class IsaacCubeSpin(RslRlVecEnvWrapper):
    """The environment as RSL-RL sees it, plus finished episodes; closing it ends the simulation."""

    def __init__(self, env: gym.Env, simulation: ExitStack) -> None:
        self._simulation = simulation
        super().__init__(env)  # type: ignore[arg-type]  # gym.make's type is the wrapper's

    @property
    def tracker(self) -> TaskTracker:
        """State shared by the manager terms."""
        return tracker(self.unwrapped)  # type: ignore[arg-type]  # always a ManagerBasedRLEnv

    @property
    def finished(self) -> EpisodeRecords | None:
        """Records of the episodes that ended in the last step, by ascending environment."""
        return self.tracker.finished

    @property
    def state(self) -> TaskState:
        """The truth after the last step; where an episode has just ended, of the next one."""
        return self.tracker.state

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """As RSL-RL's; `extras["terminated"]` (N,) bool tells lost cubes from time limits."""
        observations, reward, dones, extras = super().step(actions)
        extras["terminated"] = self.unwrapped.termination_manager.terminated
        return observations, reward, dones, extras

    def use_task(self, task: TaskConfig) -> None:
        """Go on with other commands or episodes, from new episodes.

        Raises:
            ValueError: If hand, observations, actions or rewards differ.
        """
        if task.differs_in_kind(self.tracker.task):
            raise ValueError("only command and episode settings can change while running")
        self.cfg.episode_length_s = task.episode.length_s
        self.cfg.is_finite_horizon = task.episode.finite_horizon
        self.max_episode_length = self.unwrapped.max_episode_length
        self.tracker.task = task
        self.reset()

    def close(self) -> None:
        """End the environment and whatever was launched for it."""
        super().close()
        self._simulation.close()


def isaac_configs(
    task_id: str = TRAIN_TASK,
    *,
    num_envs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    iterations: int | None = None,
    overrides: Sequence[str] = (),
) -> tuple[CubeSpinEnvCfg, RslRlOnPolicyRunnerCfg]:
    """Environment and agent settings; overrides like `env.task.reward.tilt=-1` win over the rest.

    Raises:
        ValueError: For an unknown task or setting, or a GPU that is not there.
    """
    if task_id not in ISAAC_TASKS:
        raise ValueError(f"unknown task '{task_id}'; known: {', '.join(ISAAC_TASKS)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device '{device}' was asked for, but PyTorch finds no GPU; use --device cpu"
        )
    env_cfg, agent_cfg = resolve_task_config(task_id, AGENT, overrides=list(overrides))
    refuse_unknown(env_cfg, "env")
    refuse_unknown(agent_cfg, "agent")
    values = {
        "env.scene.num_envs": num_envs,
        "env.seed": seed,
        "agent.seed": seed,
        "env.sim.device": device,
        "agent.device": device,
        "agent.max_iterations": iterations,
    }
    fill({"env": env_cfg, "agent": agent_cfg}, values, overrides)
    # Takes out the settings of older RSL-RL versions, which the installed one refuses.
    agent_cfg = handle_deprecated_rsl_rl_cfg(agent_cfg, check_rsl_rl_version())
    return env_cfg, agent_cfg  # type: ignore[return-value]  # the registry does not know the types


def open_isaac_env(
    env_cfg: CubeSpinEnvCfg, launcher: argparse.Namespace | None = None
) -> IsaacCubeSpin:
    """Start the simulation these settings need and build the environment.

    Args:
        env_cfg: Settings.
        launcher: Parsed arguments of `isaaclab.app.add_launcher_args`; nothing is shown without.
    """
    with ExitStack() as simulation:
        args = launcher or argparse.Namespace(device=env_cfg.sim.device)
        simulation.enter_context(launch_simulation(env_cfg, args))
        return IsaacCubeSpin(gym.make(TRAIN_TASK, cfg=env_cfg), simulation.pop_all())
    raise AssertionError("launch_simulation swallowed an exception")


def make_isaac_env(
    task_id: str = TRAIN_TASK,
    num_envs: int | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    physics: str | None = None,
    task: TaskConfig | None = None,
    constants: TaskConstants | None = None,
    overrides: Sequence[str] = (),
) -> IsaacCubeSpin:
    """An environment in one call; close it before the next one is made.

    Args:
        task_id: One of `tasks.ISAAC_TASKS`.
        num_envs: N; the task's own number by default.
        seed: Seed of Isaac Lab and of every draw.
        device: "cpu" or "cuda:0".
        physics: Preset or YAML file of `load_physics`; the task's own by default.
        task: Task settings; the task's own by default.
        constants: Action centre and limits of a trained policy, if they are not the bank's.
        overrides: `env.key=value`, `physics=newton_mjwarp`, ...
    """
    env_cfg, _ = isaac_configs(
        task_id, num_envs=num_envs, seed=seed, device=device, overrides=overrides
    )
    env_cfg.task = task or env_cfg.task
    env_cfg.randomization = physics or env_cfg.randomization
    env = open_isaac_env(env_cfg)
    if constants is not None:
        env.tracker.use_constants(constants)
        env.reset()
    return env


def train_isaac(
    env: IsaacCubeSpin,
    agent_cfg: RslRlOnPolicyRunnerCfg,
    run_dir: Path,
    *,
    resume: Path | None = None,
    start_from: Path | None = None,
) -> OnPolicyRunner:
    """PPO by RSL-RL's own runner for `agent_cfg.max_iterations` more iterations.

    A teacher file has no critic, and a fresh one would spoil the actor: the critic learns alone for
    the first `CRITIC_ITERATIONS`.

    Args:
        env: The environment.
        agent_cfg: From `isaac_configs`.
        run_dir: Where TensorBoard events and `model_*.pt` go.
        resume: A `model_*.pt` to go on from, optimiser included.
        start_from: A teacher file to begin with; the settings must ask for its network.

    Raises:
        ValueError: If the teacher file does not fit the settings, or a run is resumed as well.
    """
    if resume is not None and start_from is not None:
        raise ValueError(f"a resumed run keeps its networks; leave out start_from={start_from}")
    runner = create_rsl_rl_runner(env, agent_cfg, log_dir=str(run_dir))
    if start_from is not None:
        _begin_with(runner, load_teacher(start_from), start_from)
        runner.alg.actor.requires_grad_(False)
        runner.learn(CRITIC_ITERATIONS, init_at_random_ep_len=False)
        runner.alg.actor.requires_grad_(True)
    if resume is not None:
        runner.load(str(resume), map_location=agent_cfg.device)
    runner.learn(agent_cfg.max_iterations, init_at_random_ep_len=agent_cfg.init_at_random_ep_len)
    return runner


def _begin_with(runner: OnPolicyRunner, teacher: TeacherPolicy, path: Path) -> None:
    """Give the runner's actor the mean actions of a teacher that was read from `path`."""
    if teacher.clockwise is not None:
        raise ValueError(f"{path} has a network per direction; Isaac Lab's runner trains one")
    algorithm = runner.alg
    steps = load_checkpoint(path).config["notes"]["env_steps"]
    eps = float(algorithm.actor.obs_normalizer.eps)  # type: ignore[arg-type]  # untyped there
    weights = rsl_rl_weights(teacher, eps, steps)
    networks = with_teacher(algorithm.actor, algorithm.critic, weights)
    try:
        algorithm.load(networks, {"actor": True, "critic": True}, True)
    except RuntimeError as error:
        raise ValueError(
            f"{path} does not fit these settings; it needs agent.actor.hidden_dims="
            f"{list(teacher.hidden)}, the same for agent.critic, and its observations: {error}"
        ) from error


def trained_policy(runner: OnPolicyRunner, env: IsaacCubeSpin) -> TeacherPolicy:
    """The runner's actor as a policy file's content."""
    return teacher_from_rsl_rl(runner.alg.get_policy(), env.tracker.task, env.tracker.constants)
