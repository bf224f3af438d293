"""PPO on the twin with exact resume: RSL-RL's algorithm, our loop around it.

RSL-RL's own runner restarts its random numbers, environments and logs on resume; a laptop that is
closed and opened again should not change the result, so the loop here saves all of them.
"""

import io
import math
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.modules.distribution import GaussianDistribution
from tensordict import TensorDict
from torch import Tensor
from tqdm import tqdm

from sernf_isaac.checkpoint import load_checkpoint, read_whole, write_whole
from sernf_isaac.metrics import MetricsWriter
from tasks.cube_spin.observations import command_column
from tasks.cube_spin.teacher.policy import load_teacher, rsl_rl_weights, with_teacher
from tasks.cube_spin.teacher.two_way import TwoWayModel, followed, scaled_within_directions
from tasks.cube_spin.twin.environment import CubeSpinTwin

STATE_FILE = "training_state.pt"
LEAST_NOISE = 0.9
"""Of the noise's bound, with a network per direction: they share the noise, which the
direction that turns first would lead down before the other one has begun."""


@dataclass
class PpoConfig:
    """PPO settings; the defaults learn fastest on a few CPU cores. `paper_ppo()` is Table IV."""

    rollout_steps: int = 24
    """Steps per environment and iteration (Table IV)."""
    hidden: tuple[int, ...] = (256, 128, 128)
    """Hidden layers of actor and critic; the paper uses 512, 512, 256, 128."""
    separate_directions: bool = True
    """Where both directions are commanded: a network for each, in actor and critic."""
    initial_std: float = 0.5
    """Initial standard deviation of the actions; the paper uses 1."""
    final_std: float | None = 0.15
    """Upper bound that the standard deviation is led to in the middle half of the run.
    Without it the policy's own noise turns the cube, which stands still when the noise is off."""
    learning_rate: float = 2.5e-4
    """At the beginning (Table IV: 1e-4)."""
    schedule: str = "linear"
    """"fixed", "linear" (falls to a tenth over the run) or "adaptive" (Table IV: a target KL)."""
    desired_kl: float = 0.01
    """Of the adaptive schedule (Table IV)."""
    epochs: int = 4
    """Passes over a rollout (Table IV: 5)."""
    minibatches: int = 4
    """Per pass (Table IV)."""
    gamma: float = 0.99
    """Discount per step (Table IV)."""
    gae_lambda: float = 0.95
    """Of the advantage estimate (Table IV)."""
    clip: float = 0.2
    """Of the probability ratio (Table IV)."""
    entropy_coefficient: float = 1e-4
    """Weight of the entropy bonus (Table IV)."""
    value_coefficient: float = 1.0
    """Weight of the value loss (Table IV)."""
    max_grad_norm: float = 1.0
    """Bound on the gradient's norm (Table IV)."""


SCHEDULES = ("fixed", "linear", "adaptive")


def paper_ppo() -> PpoConfig:
    """Table IV."""
    return PpoConfig(
        hidden=(512, 512, 256, 128),
        initial_std=1.0,
        final_std=None,
        learning_rate=1e-4,
        schedule="adaptive",
        epochs=5,
    )


def build_ppo(env: CubeSpinTwin, config: PpoConfig) -> PPO:
    """RSL-RL's algorithm for this environment's "teacher" observations.

    Raises:
        ValueError: For an unknown learning-rate schedule.
    """
    if config.schedule not in SCHEDULES:
        raise ValueError(f"ppo.schedule must be one of {SCHEDULES}, not '{config.schedule}'")
    network = {
        "class_name": "MLPModel",
        "hidden_dims": list(config.hidden),
        "activation": "elu",
        "obs_normalization": True,
    }
    if env.task.command.both_directions and config.separate_directions:
        column = command_column(env.task.observation, env.hand)
        network |= {"class_name": TwoWayModel, "command_column": column}
    noise = {
        "class_name": "GaussianDistribution",
        "init_std": config.initial_std,
        "std_type": "log",
    }
    settings = {
        "multi_gpu": None,
        "num_steps_per_env": config.rollout_steps,
        "obs_groups": {"actor": ["teacher"], "critic": ["teacher"]},
        "actor": network | {"distribution_cfg": noise},
        "critic": dict(network),
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": config.epochs,
            "num_mini_batches": config.minibatches,
            "learning_rate": config.learning_rate,
            "schedule": "adaptive" if config.schedule == "adaptive" else "fixed",
            "desired_kl": config.desired_kl,
            "gamma": config.gamma,
            "lam": config.gae_lambda,
            "clip_param": config.clip,
            "entropy_coef": config.entropy_coefficient,
            "value_loss_coef": config.value_coefficient,
            "use_clipped_value_loss": True,
            "max_grad_norm": config.max_grad_norm,
        },
    }
    with redirect_stdout(io.StringIO()):  # it prints both networks layer by layer
        return PPO.construct_algorithm(env.get_observations(), env, settings, str(env.device))


@dataclass
class TrainingProgress:
    """What a resumed run needs to know besides networks and environments."""

    iteration: int = 0
    wall_s: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class TeacherTraining:
    """Collect, update, log, save; `run` may be interrupted anywhere and continued exactly.

    Args:
        env: The environments.
        config: PPO settings.
        run_dir: Where TensorBoard events, checkpoints and the resume state go.
        export: Called with (actor, iteration) whenever a policy file should be written.
        save_every: Iterations between resume points.
    """

    def __init__(
        self,
        env: CubeSpinTwin,
        config: PpoConfig,
        run_dir: Path,
        export: Callable[[torch.nn.Module, int], None],
        save_every: int = 25,
    ) -> None:
        self.env, self.config, self.run_dir = env, config, run_dir
        self.export, self.save_every = export, save_every
        self.ppo = build_ppo(env, config)
        self.progress = TrainingProgress()
        self.before_iteration: Callable[[float], None] = lambda _: None
        """Hook run with the share of the run that is done, for a curriculum."""
        self.after_save: Callable[[TeacherTraining], dict[str, float]] = lambda _: {}
        """Hook run at every resume point, for evaluation; its numbers are logged."""

    def run(self, iterations: int, max_wall_s: float = float("inf")) -> None:
        """Train until `iterations` in total are done, or the training time is used up."""
        self.ppo.train_mode()
        writer = MetricsWriter(self.run_dir, first_step=self.progress.iteration + 1)
        total = iterations if max_wall_s == math.inf else None  # else time may end it first
        bar = tqdm(total=total, initial=self.progress.iteration, desc="teacher", unit="it")
        with writer, bar:
            while self.progress.iteration < iterations and self.progress.wall_s < max_wall_s:
                started = time.monotonic()
                done = self.progress.iteration / iterations
                self.before_iteration(done)
                self._follow_schedules(done)
                metrics = self._collect() | self._update()
                self.progress.wall_s += time.monotonic() - started
                self.progress.iteration += 1
                self._log(writer, bar, metrics)
                last = self.progress.iteration == iterations or self.progress.wall_s >= max_wall_s
                if last or self.progress.iteration % self.save_every == 0:
                    writer.flush()
                    self.save()
                    writer.write(self.progress.iteration, self.after_save(self))

    def _follow_schedules(self, done: float) -> None:
        """Learning rate and noise bound for this share of the run, and of nothing else."""
        if self.config.schedule == "linear":
            self.ppo.learning_rate = self.config.learning_rate * (1.0 - 0.9 * done)
            for group in self.ppo.optimizer.param_groups:
                group["lr"] = self.ppo.learning_rate
        if self.config.final_std is not None:
            led = min(max(2.0 * (done - 0.25), 0.0), 1.0)
            bound = self.config.initial_std + led * (
                self.config.final_std - self.config.initial_std
            )
            noise = self.ppo.actor.distribution
            assert isinstance(noise, GaussianDistribution)
            least = LEAST_NOISE * bound if isinstance(self.ppo.actor, TwoWayModel) else 1e-6
            noise.log_std_param.data.clamp_(math.log(least), math.log(bound))

    @torch.inference_mode()
    def _collect(self) -> dict[str, float]:
        """One rollout; returns the means of what the environment logged."""
        started = time.monotonic()
        sums: dict[str, list[float]] = defaultdict(list)
        observations: TensorDict = self.env.get_observations()
        for _ in range(self.config.rollout_steps):
            actions: Tensor = self.ppo.act(observations)
            observations, rewards, dones, extras = self.env.step(actions)
            self.ppo.process_env_step(observations, rewards, dones, extras)
            for name, value in extras["log"].items():
                sums[name].append(float(value))
            sums["Train/reward"].append(float(rewards.mean()))
            for name, share in followed(self.env.state.mean_spin, self.env.state.command).items():
                sums[name].append(share)
        self.ppo.compute_returns(observations)
        if isinstance(actor := self.ppo.actor, TwoWayModel):
            storage = self.ppo.storage
            command = storage.observations["teacher"][..., actor.command_column]
            storage.advantages = scaled_within_directions(storage.advantages, command)
        means = {name: sum(values) / len(values) for name, values in sums.items()}
        return means | {"Time/collect_s": time.monotonic() - started}

    def _update(self) -> dict[str, float]:
        started = time.monotonic()
        losses = {f"Loss/{name}": float(value) for name, value in self.ppo.update().items()}
        losses["Loss/learning_rate"] = self.ppo.learning_rate
        losses["Policy/std"] = float(self.ppo.actor.output_std.detach().mean())
        return losses | {"Time/learn_s": time.monotonic() - started}

    def _log(self, writer: MetricsWriter, bar: tqdm, metrics: dict[str, float]) -> None:
        steps = self.progress.iteration * self.config.rollout_steps * self.env.num_envs
        per_s = self.config.rollout_steps * self.env.num_envs
        per_s /= metrics["Time/collect_s"] + metrics["Time/learn_s"]
        metrics |= {"Time/env_steps_per_s": per_s, "Time/wall_s": self.progress.wall_s}
        writer.write(self.progress.iteration, metrics)
        shown = ("Episode/hold_s", "Episode/rpm", "Episode/spin_ratio", "Episode/dropped")
        row = {name.split("/")[1]: metrics[name] for name in shown if name in metrics}
        self.progress.history.append(row | {"env_steps": steps, "reward": metrics["Train/reward"]})
        bar.set_postfix({k: f"{v:.2f}" for k, v in row.items()} | {"steps": f"{steps / 1e6:.2f}M"})
        bar.update()

    # Resume ---------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the resume point by one rename, and export the policy."""
        state = {
            "ppo": self.ppo.save(),
            "learning_rate": self.ppo.learning_rate,
            "env": self.env.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "progress": vars(self.progress),
        }
        write_whole(self.run_dir / STATE_FILE, state)
        self.export(self.ppo.actor, self.progress.iteration)

    def start_from(self, path: Path) -> None:
        """Begin with the networks of a resume point, or the actor of a teacher file.

        A teacher file has no critic, and a fresh one would spoil the actor: let it learn first, in
        a few iterations with `ppo.clip=0.02`, and start from their resume point.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or its networks are of another size.
        """
        if not path.is_file():
            raise FileNotFoundError(f"nothing to start from: {path} does not exist")
        networks = _read_state(path)["ppo"] if path.name == STATE_FILE else self._with_actor(path)
        try:
            self.ppo.load(networks, {"actor": True, "critic": True}, True)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this network: {error}") from error

    def _with_actor(self, path: Path) -> dict[str, dict[str, Tensor]]:
        """This run's networks, with a teacher file's mean actions and scaling of observations."""
        teacher = load_teacher(path)
        eps: float = self.ppo.actor.obs_normalizer.eps  # type: ignore[assignment]  # untyped there
        steps = load_checkpoint(path).config["notes"]["env_steps"]
        return with_teacher(self.ppo.actor, self.ppo.critic, rsl_rl_weights(teacher, eps, steps))

    def resume(self, run_dir: Path) -> None:
        """Continue a run from its last resume point.

        Raises:
            FileNotFoundError: If the folder holds none.
            ValueError: If it is damaged, or of another network or number of environments.
        """
        path = run_dir / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(f"nothing to resume: {path} does not exist")
        state = _read_state(path)
        saved_envs = len(state["env"]["memory"]["command"])
        if saved_envs != self.env.num_envs:
            raise ValueError(
                f"{path} was trained with {saved_envs} environments, not {self.env.num_envs}"
            )
        try:
            self.ppo.load(state["ppo"], None, True)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this network: {error}") from error
        self.ppo.learning_rate = state["learning_rate"]
        self.env.load_state_dict(state["env"])
        torch.set_rng_state(state["torch_rng"])
        self.progress = TrainingProgress(**state["progress"])


def _read_state(path: Path) -> dict:
    state = read_whole(path)
    if not isinstance(state, dict) or not {"ppo", "env", "progress"} <= state.keys():
        raise ValueError(f"{path} is no resume point of a training run")
    return state
