"""Experiments on the simulated table at a size for seconds."""

from dataclasses import replace

import numpy as np
import torch

from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.models.architecture import ActConfig, FlowMatchingConfig
from tasks.table.environment import Table
from tasks.table.operators import Operator


def shrunk(run: FourStageRun) -> FourStageRun:
    """The same run with networks and numbers of steps for tests."""
    learner = run.learner
    policy = replace(learner.policy, token_dim=16, width=16, num_couplings=4, num_heads=2)
    critic = replace(learner.critic, token_dim=16, num_heads=2, num_layers=1, feedforward=16)
    act = ActConfig(num_heads=2, num_layers=1, feedforward=16, style_dim=4)
    matching = FlowMatchingConfig(num_heads=2, num_layers=1, feedforward=16)
    return replace(
        run,
        learner=replace(learner, policy=policy, critic=critic),
        architecture=replace(run.architecture, act=act, flow_matching=matching),
        batch_size=8,
        rl_batch_size=8,
        imitation_steps=3,
        warm_up_steps=min(2, run.warm_up_steps),
        offline_steps=min(2, run.warm_up_steps),  # a stage that presets leave out
        log_every=1,
        save_every=1,
        successes_only=False,
        online=replace(run.online, updates_per_step=0.002, candidates=2),
    )


def perform(env: Table, operators: list[Operator]) -> tuple[np.ndarray, list[dict]]:
    """Rewards (T, N) of episodes in which these operators act, and all observations."""
    observation, rewards, seen = env.reset(), [], []
    over = torch.zeros(env.num_envs, dtype=torch.bool)
    while not over.all():
        rows = [
            operator({name: value[i].numpy() for name, value in observation.items()})
            for i, operator in enumerate(operators)
        ]
        observation, reward, terminated, truncated = env.step(torch.from_numpy(np.array(rows)))
        rewards.append(reward.numpy())
        seen.append(observation)
        over |= terminated | truncated
    return np.array(rewards), seen
