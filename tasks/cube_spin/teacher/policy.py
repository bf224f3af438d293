"""The teacher as a file: observation filter, network and the contract it was trained under."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rsl_rl.modules import MLP
from tensordict import TensorDict
from torch import Tensor, nn

from sernf_isaac.checkpoint import load_checkpoint, save_checkpoint
from sernf_isaac.spec import Contract
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.config import CONTROL_DT_S, TaskConfig
from tasks.cube_spin.grasps import joint_limits
from tasks.cube_spin.observations import command_column, observation_sizes
from tasks.cube_spin.terms import TaskConstants
from tasks.orca.hands import load_hand, with_hand

OBSERVATION_GROUP = "teacher"
COUNTERCLOCKWISE, CLOCKWISE = "mlp.counterclockwise.", "mlp.clockwise."
"""How the layers of a network per direction are named (`two_way.py`)."""


class TeacherPolicy(nn.Module):
    """Deterministic policy: normalised teacher observations (N, D) to actions (N, A).

    It may have a second network, `clockwise`, that acts for negative commands.

    Args:
        task: The task it was trained on; tells which observations it wants.
        centre, scale: Action centre and scale (A,) [rad].
        hidden: Hidden layer sizes.
        observation_dim: D.
    """

    action_centre: Tensor
    action_scale: Tensor
    observation_mean: Tensor
    observation_scale: Tensor

    def __init__(
        self,
        task: TaskConfig,
        centre: Tensor,
        scale: Tensor,
        hidden: tuple[int, ...],
        observation_dim: int,
    ) -> None:
        super().__init__()
        self.task, self.hidden = task, hidden
        self._command_column = command_column(task.observation, load_hand(task.hand))
        self.register_buffer("action_centre", centre)
        self.register_buffer("action_scale", scale)
        self.register_buffer("observation_mean", torch.zeros(observation_dim))
        self.register_buffer("observation_scale", torch.ones(observation_dim))
        # Weights are loaded right after; drawing them must not disturb a training that exports.
        with torch.random.fork_rng(devices=[]):
            self.mlp = MLP(observation_dim, len(centre), list(hidden), "elu")
        self.clockwise: TeacherPolicy | None = None
        """The policy for negative commands; this one when None."""

    def forward(self, observations: TensorDict) -> Tensor:
        """Mean action for the "teacher" group of an environment's observations."""
        seen = observations[OBSERVATION_GROUP]
        action = self.mlp((seen - self.observation_mean) / self.observation_scale)
        if self.clockwise is None:
            return action
        commanded = seen[:, self._command_column, None]
        return torch.where(commanded < 0.0, self.clockwise(observations), action)

    @property
    def constants(self) -> TaskConstants:
        """Constants of the task with this policy's own action centre and scale."""
        lower, upper = joint_limits(hand := load_hand(self.task.hand))
        return TaskConstants(
            joint_lower=lower,
            joint_upper=upper,
            cube_origin=torch.tensor(hand.grasp_point_m),
            action_centre=self.action_centre,
            action_scale=self.action_scale,
            shape=self.task.object.shape,
            size_ratio=self.task.object.ratio,
        )


def teacher_from_rsl_rl(
    actor: nn.Module, task: TaskConfig, constants: TaskConstants
) -> TeacherPolicy:
    """A trained RSL-RL actor (`MLPModel` with observation normalisation) as a `TeacherPolicy`."""
    eps = actor.obs_normalizer.eps  # type: ignore[union-attr]  # RSL-RL's normaliser
    return teacher_from_weights(actor.state_dict(), float(eps), task, constants)  # type: ignore[arg-type]


def teacher_from_weights(
    weights: Mapping[str, Tensor], eps: float, task: TaskConfig, constants: TaskConstants
) -> TeacherPolicy:
    """The same from the actor's state dict; `eps` is added to the deviations of observations."""
    if not any(name.startswith(CLOCKWISE) for name in weights):
        return _with_network(weights, "mlp.", eps, task, constants)
    policy = _with_network(weights, COUNTERCLOCKWISE, eps, task, constants)
    policy.clockwise = _with_network(weights, CLOCKWISE, eps, task, constants)
    return policy


def _with_network(
    weights: Mapping[str, Tensor],
    prefix: str,
    eps: float,
    task: TaskConfig,
    constants: TaskConstants,
) -> TeacherPolicy:
    """A policy of the network whose layers begin with `prefix`."""
    layers = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    order = sorted(int(name.split(".")[0]) for name in layers if name.endswith("weight"))
    hidden = tuple(len(layers[f"{layer}.weight"]) for layer in order[:-1])
    mean, std = weights["obs_normalizer._mean"][0], weights["obs_normalizer._std"][0]
    policy = TeacherPolicy(
        task, constants.action_centre, constants.action_scale, hidden, observation_dim=len(mean)
    )
    policy.observation_mean.copy_(mean)
    policy.observation_scale.copy_(std + eps)
    policy.mlp.load_state_dict(layers)
    return policy.cpu().eval()


def rsl_rl_weights(teacher: TeacherPolicy, eps: float, steps: int) -> dict[str, Tensor]:
    """The inverse of `teacher_from_weights`: entries of an RSL-RL actor's state dict.

    Args:
        teacher: The policy.
        eps: What RSL-RL adds to the deviations of observations.
        steps: How many observations the scaling was measured on.
    """
    networks = {"mlp.": teacher}
    if teacher.clockwise is not None:
        networks = {COUNTERCLOCKWISE: teacher, CLOCKWISE: teacher.clockwise}
    weights = {
        prefix + name: value
        for prefix, policy in networks.items()
        for name, value in policy.mlp.state_dict().items()
    }
    mean, std = teacher.observation_mean[None], teacher.observation_scale[None] - eps
    scaling = {"_mean": mean, "_std": std, "_var": std.square(), "count": torch.tensor(steps)}
    return weights | {f"obs_normalizer.{name}": value for name, value in scaling.items()}


def with_teacher(
    actor: nn.Module, critic: nn.Module, weights: dict[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """RSL-RL networks that act as `rsl_rl_weights` say; the critic shares the scaling only."""
    scaling = {name: value for name, value in weights.items() if "obs_normalizer" in name}
    return {
        "actor_state_dict": actor.state_dict() | weights,
        "critic_state_dict": critic.state_dict() | scaling,
    }


def teacher_contract(task: TaskConfig, constants: TaskConstants) -> Contract:
    """What a policy file promises: joints, rates, observation layout and action meaning."""
    hand = load_hand(task.hand)
    return Contract(
        kind="teacher",
        task="cube_spin",
        joint_names=hand.joint_names,
        joint_lower_rad=hand.driver.lower_rad,
        joint_upper_rad=hand.driver.upper_rad,
        control_rate_hz=1.0 / CONTROL_DT_S,
        quaternion_order="xyzw",
        observations=observation_sizes(task.observation, hand),
        action={
            "mode": task.action.mode,
            "smoothing": task.action.smoothing,
            "centre_rad": constants.action_centre.tolist(),
            "scale_rad": constants.action_scale.tolist(),
        },
        hand=hand.label,
        object="" if task.object.is_first else task.object.label,
    )


def save_teacher(path: Path, policy: TeacherPolicy, notes: dict) -> None:
    """Write a policy file.

    Args:
        path: Target; replaced atomically.
        policy: The policy.
        notes: Plain values to keep beside it: command, seed, commit, results.
    """
    save_checkpoint(
        path,
        contract=teacher_contract(policy.task, policy.constants),
        config={"task": asdict(policy.task), "hidden": list(policy.hidden), "notes": notes},
        weights=policy.state_dict(),
    )


def load_teacher(path: Path | str = DEFAULT_TEACHER) -> TeacherPolicy:
    """Read a policy file and hold it against this task.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no policy file, or joints, limits, rate or observations differ; the
            message names each difference.
    """
    content = load_checkpoint(path)
    contract, config = with_hand(content.contract), content.config
    try:
        merged = OmegaConf.merge(OmegaConf.structured(TaskConfig), config["task"])
    except OmegaConfBaseException as error:
        raise ValueError(f"{path} holds settings this version does not know: {error}") from error
    task = OmegaConf.to_object(merged)
    weights = content.weights
    policy = TeacherPolicy(
        task,  # type: ignore[arg-type]  # OmegaConf.to_object is typed loosely
        weights["action_centre"],
        weights["action_scale"],
        tuple(config["hidden"]),
        observation_dim=len(weights["observation_mean"]),
    )
    expected = teacher_contract(policy.task, policy.constants)
    if differences := contract.differences(expected):
        raise ValueError(f"{path} does not fit this task: {'; '.join(differences)}")
    if any(name.startswith("clockwise.") for name in weights):
        policy.clockwise = TeacherPolicy(
            policy.task,
            weights["action_centre"],
            weights["action_scale"],
            tuple(config["hidden"]),
            observation_dim=len(weights["observation_mean"]),
        )
    policy.load_state_dict(weights)
    return policy.eval()


POLICY_FILE = "teacher.pt"
