"""What lies between a joint's target and its servo: latency, late packets, play."""

import torch
from torch import Tensor

from tasks.cube_spin.physics import Physics
from tasks.orca.description import Hand

_MEMORY = ("_sent", "_goal", "_delay", "_jitter", "_play")


def refuse_infinite(actions: Tensor, hand: Hand) -> None:
    """Stop before a number that is not finite reaches a servo.

    Raises:
        ValueError: If one of the actions (N, A) is not finite; names environment and joint.
    """
    if not torch.isfinite(actions).all():
        env, joint = (~torch.isfinite(actions)).nonzero()[0].tolist()
        raise ValueError(f"action of environment {env}, {hand.joint_names[joint]} is not finite")


class Actuation:
    """Targets (N, A) [rad] as they reach the joints; the same on both simulators.

    A target arrives `action_delay_steps` control steps late, and one step later still in a share
    `action_delay_jitter` of the steps: the joint then keeps the target before it. Play is the
    classical play operator: the joint stays until its target has crossed half of it on either side.
    """

    def __init__(
        self, num_envs: int, num_joints: int, physics: Physics, generator: torch.Generator
    ) -> None:
        device = generator.device
        self._generator = generator
        self._jitters, self._plays = (
            physics.action_delay_jitter[1] > 0,
            physics.joint_play_rad[1] > 0,
        )
        room = int(physics.action_delay_steps[1]) + 1 + self._jitters
        self._everywhere = torch.arange(num_envs, device=device)
        self._sent = torch.zeros(room, num_envs, num_joints, device=device)  # newest first
        self._goal = torch.zeros(num_envs, num_joints, device=device)
        self._delay = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._jitter = torch.zeros(num_envs, device=device)
        self._play = torch.zeros(num_envs, num_joints, device=device)

    def reset(self, envs: Tensor, target: Tensor, physics: Physics) -> None:
        """Draw latency and play of environments `envs` (K,) anew; nothing is under way there.

        Args:
            envs: Indices (K,).
            target: Joint targets (K, A) [rad] that the joints rest at.
            physics: Ranges to draw from.
        """
        # Copies: the tensors may come from inference mode, where nothing may be edited later.
        self._sent, self._goal = self._sent.clone(), self._goal.clone()
        self._sent[:, envs], self._goal[envs] = target, target
        self._delay[envs] = self._draw(physics, "action_delay_steps", len(envs)).long()
        self._jitter[envs] = self._draw(physics, "action_delay_jitter", len(envs))
        self._play[envs] = self._draw(physics, "joint_play_rad", len(envs), self._play.shape[1])

    def __call__(self, target: Tensor) -> Tensor:
        """Queue the newest targets (N, A) [rad]; returns what the joints' servos follow now."""
        if len(self._sent) > 1:
            self._sent = torch.cat([target[None], self._sent[:-1]])
            arrived = self._sent[self._age(), self._everywhere]
        else:
            arrived = target
        if not self._plays:
            return arrived
        half = self._play / 2
        self._goal = self._goal.clamp(arrived - half, arrived + half)
        return self._goal

    @property
    def drawn(self) -> dict[str, Tensor]:
        """Values in force: latency (N,) [steps], share of late packets (N,), play (N, A) [rad]."""
        return {
            "action_delay_steps": self._delay.float(),
            "action_delay_jitter": self._jitter,
            "joint_play_rad": self._play,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Targets under way and what was drawn."""
        return {name: getattr(self, name).clone() for name in _MEMORY}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continue from `state_dict()`."""
        for name in _MEMORY:
            setattr(self, name, saved[name].clone())

    def _age(self) -> Tensor:
        """How many steps old (N,) the target is that arrives now."""
        if not self._jitters:
            return self._delay
        draw = torch.rand(len(self._delay), generator=self._generator, device=self._delay.device)
        return self._delay + (draw < self._jitter)

    def _draw(self, physics: Physics, name: str, *shape: int) -> Tensor:
        return physics.sample(name, shape, self._generator)
