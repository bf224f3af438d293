"""Simulated hands that all begin an episode together, as `learning/online` plays them."""

import math
from typing import Protocol

import torch
from torch import Tensor

from sernf_isaac.models.actor_critic import Observation
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.episodes import EpisodeEnv
from tasks.cube_spin.student.environment import GROUPS, StudentEnv, StudentObservationConfig
from tasks.cube_spin.terms import TaskState

QUARTER_RAD = math.pi / 2


class Simulated(EpisodeEnv, Protocol):
    """What either simulator also tells."""

    max_episode_length: int
    """Steps."""

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) steps of the current episodes; may be set, to be somewhere within them."""
        ...

    @episode_length_buf.setter
    def episode_length_buf(self, value: Tensor) -> None: ...

    @property
    def state(self) -> TaskState:
        """The truth after the last step."""
        ...

    def seed(self, seed: int) -> object:
        """Draw everything from this seed after the next reset."""
        ...


class LockstepHands:
    """N hands; one whose cube is lost waits for the next `reset`.

    Reward as on a robot: quarter turns in the commanded direction, without end (paper C.3); those
    that were turned back count negative, so that rocking earns nothing. The platform's time counts
    too, as the robot's does in what it records. Nothing else ends an episode; whoever plays them
    stops them.

    Args:
        inner: The simulator; built with `radian_constants` and the student's groups.
        observation: How observations are made.
        seed: Of the first episodes' cameras.
        device: Of the simulator.
        shape: Of the object, whose symmetries count.
    """

    def __init__(
        self,
        inner: Simulated,
        observation: StudentObservationConfig,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        shape: str = "cube",
    ) -> None:
        self._inner = inner
        self._env = StudentEnv(inner, observation, seed=seed, device=device, shape=shape)
        self.num_envs = inner.num_envs
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool, device="cpu")
        """(N,) never: a spin has no end."""
        self.hold = self._env.get_observations()["hold"].clone()
        """(N, 17) joint targets [rad] that keep the episodes' first pose."""

    def seed(self, seed: int) -> None:
        """Draw worlds, cameras and noise after the next `reset` from this seed."""
        self._inner.seed(seed)
        self._env.seed(seed)

    def reset(self) -> Observation:
        """Begin N episodes; groups (N, F) of this step."""
        self._env.reset()
        self.hold = self._env.get_observations()["hold"].clone()
        return self._seen()

    def step(self, action: Tensor) -> tuple[Observation, Tensor, Tensor, Tensor]:
        """Joint targets (N, 17) [rad] before smoothing to groups, quarter turns, lost, never."""
        command = self._inner.state.command.sign()
        _, _, _, extras = self._env.step(action)
        turned = self._inner.state.spin[:, 2] * command * CONTROL_DT_S / QUARTER_RAD
        lost = extras["terminated"].clone()
        return self._seen(), turned.clone(), lost, torch.zeros_like(lost)

    def state_dict(self) -> dict:
        """Nothing: `seed` says what comes."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Nothing to continue."""

    def close(self) -> None:
        """End the simulation."""
        self._env.close()

    def _seen(self) -> Observation:
        seen = self._env.get_observations()
        groups = {name: seen[name].clone() for name in GROUPS}
        return groups | {"history": groups["history"][:, -1]}
