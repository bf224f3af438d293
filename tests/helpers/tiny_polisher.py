"""RL in simulation small enough for a test: points that are paid for going right, and may fall."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.config import (
    CriticConfig,
    ImprovementConfig,
    LearnerConfig,
    OptimizerConfig,
    PolicyConfig,
)
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.online.polishing import Polisher, PolishPlan
from sernf_isaac.learning.workers import Workers
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

SPEC = ChunkSpec(history=1, prefix=1, horizon=4, discount=0.9, history_keys=("place",))
EDGE = 1.5
SCALE = Normalizer({"place": (-np.ones(1), np.ones(1)), ACTION: (-np.ones(1), np.ones(1))})


class Line:
    """Points on a line; reward is the action, whoever leaves [-EDGE, EDGE] is over."""

    def __init__(self, num_envs: int = 16) -> None:
        self.num_envs = num_envs
        self.generator = torch.Generator()
        self.succeeded = torch.zeros(num_envs, dtype=torch.bool)
        self.hold = torch.zeros(num_envs, 1)
        self.seeds: list[int] = []

    def seed(self, seed: int) -> None:
        self.seeds.append(seed)
        self.generator.manual_seed(seed)

    def reset(self) -> dict[str, Tensor]:
        self.place = torch.rand(self.num_envs, 1, generator=self.generator) - 0.5
        return {"place": self.place}

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        self.place = 0.9 * self.place + 0.1 * action
        over = self.place[:, 0].abs() > EDGE
        return {"place": self.place}, action[:, 0].clone(), over, torch.zeros_like(over)

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        del state


def tiny_polisher(
    run_dir: Path,
    env: Line | None = None,
    *,
    workers: Workers | None = None,
    dropout: float = 0.0,
    device: str = "cpu",
    **plan: object,
) -> Polisher:
    """A polisher whose flow is fresh, so that it draws actions around 0."""
    settings = PolishPlan(
        **{
            "warm_up_rounds": 2,
            "online_rounds": 2,
            "updates_per_round": 4,
            "critic_updates": 1,
            "batch_size": 32,
            "episode_steps": 12,
            "candidates": 4,
            "save_every": 1,
        }
        | plan  # type: ignore[arg-type]
    )
    config = LearnerConfig(
        policy=PolicyConfig(
            token_dim=8, width=8, num_couplings=2, num_heads=2, noise_std=0.05, rl_dropout=dropout
        ),
        critic=CriticConfig(
            support=(-10.0, 10.0),
            token_dim=8,
            num_heads=2,
            num_layers=1,
            feedforward=8,
            dropout=0.0,
        ),
        optimizer=OptimizerConfig(rl_learning_rate=3e-3),
        improvement=ImprovementConfig(candidates=4, sigma=0.7, imitation_weight=0.05),
    )
    layout = PolicyLayout({"place": 1}, 1, SPEC, config.policy, config.critic, 0)
    learner = build_learner(layout, config, device=device)
    scale = SCALE.to(device)
    policy = ChunkPolicy(layout, learner.actor, learner.critics, scale, sigma=0.7)
    run_dir.mkdir(parents=True, exist_ok=True)
    return Polisher(env or Line(), policy, learner, settings, run_dir, workers=workers)


def weights(polisher: Polisher) -> Tensor:
    """All of actor and critics, flat."""
    parts = (*polisher.learner.actor.parameters(), *polisher.learner.critics.parameters())
    return torch.cat([part.detach().flatten() for part in parts])
