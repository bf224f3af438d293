"""A distiller small enough for a test: points in the plane that are pulled off a moving goal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.config import CriticConfig, LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.learning.distill.distiller import Distiller
from sernf_isaac.learning.workers import Workers
from sernf_isaac.models.build import build_reflex
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import ChunkPolicy

SPEC = ChunkSpec(history=2, prefix=1, horizon=4)
FEATURES = {"history": 2, "goal": 1}
ENVS = 6


class Drift:
    """Points pulled off a moving goal; the teacher knows the pull, the student sees positions."""

    num_envs = ENVS

    def __init__(self, length: int = 17, remembers: bool = True, seed: int = 0) -> None:
        self.length, self._remembers = length, remembers
        self.generator = torch.Generator().manual_seed(seed)
        self.executed: list[Tensor] = []
        self._age = torch.arange(ENVS) % length
        self._state = torch.zeros(ENVS, 2)
        self._goal = torch.zeros(ENVS, 1)
        self._history = torch.zeros(ENVS, 2, 2)
        self._see(torch.ones(ENVS, dtype=torch.bool))

    def _see(self, fresh: Tensor) -> None:
        if fresh.any():
            draws = torch.rand(ENVS, 1, generator=self.generator) - 0.5
            self._goal = torch.where(fresh[:, None], draws, self._goal)
            self._state = torch.where(fresh[:, None], 0.0, self._state)
        self._history = torch.cat([self._history[:, 1:], self._state[:, None]], dim=1)
        self._history[fresh] = self._state[fresh, None]
        self._seen = {
            "history": self._history,
            "goal": self._goal,
            "hold": self._state,
            "fresh": fresh,
        }

    def get_observations(self) -> dict[str, Tensor]:
        return self._seen

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict]:
        self.executed.append(actions)
        noise = 0.01 * torch.randn(ENVS, 2, generator=self.generator)
        self._state = (0.5 * self._state + 0.5 * actions + noise).clamp(-1, 1)
        self._age = self._age + 1
        done = self._age >= self.length
        self._age = torch.where(done, 0, self._age)
        self._see(done)
        return self._seen, torch.zeros(ENVS), done.long(), {"log": {"distance": self._state.norm()}}

    def state_dict(self) -> dict:
        if not self._remembers:
            return {}
        kept = ("_age", "_state", "_goal", "_history")
        values = {name: getattr(self, name).clone() for name in kept}
        seen = {k: v.clone() for k, v in self._seen.items()}
        return values | {"seen": seen, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        for name in ("_age", "_state", "_goal", "_history") if state else ():
            setattr(self, name, state[name].clone())
        if state:
            self._seen = state["seen"]
            self.generator.set_state(state["generator"])


def teacher(seen: dict[str, Tensor]) -> Tensor:
    """Towards the goal, from where the point is."""
    return (torch.cat([seen["goal"], -seen["goal"]], 1) - 0.5 * seen["history"][:, -1]).clamp(-1, 1)


def tiny_distiller(
    run_dir: Path,
    env: Drift | None = None,
    *,
    seed: int = 0,
    workers: Workers | None = None,
    reflex: ReflexConfig | None = None,
    **settings: object,
) -> Distiller:
    """A distiller of two joints that saves after every second iteration."""
    quick = {"iterations": 4, "rollout_steps": 20, "updates_per_iteration": 3}
    learner_config = LearnerConfig(
        policy=PolicyConfig(token_dim=16, width=16, num_couplings=3, num_heads=2),
        critic=CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=11),
        optimizer=OptimizerConfig(imitation_learning_rate=5e-3),
    )
    ones = np.ones(2)
    ranges = {"history": (-ones, ones), "goal": (-ones[:1], ones[:1]), ACTION: (-ones, ones)}
    layout = PolicyLayout(FEATURES, 2, SPEC, learner_config.policy, learner_config.critic, seed)
    layout = replace(layout, reflex=reflex or ReflexConfig())
    learner = build_learner(layout, learner_config)
    return Distiller(
        env or Drift(),
        teacher,
        ChunkPolicy(layout, learner.actor, None, Normalizer(ranges), reflex=build_reflex(layout)),
        learner,
        DistillConfig(**quick | {"save_every": 2} | settings),
        run_dir,
        batch_size=16,
        action_names=("x", "y"),
        seed=seed,
        workers=workers,
    )


def weights(distiller: Distiller) -> Tensor:
    return torch.cat([p.detach().flatten() for p in distiller.learner.actor.parameters()])
