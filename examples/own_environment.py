"""The four stages on your own Gymnasium environment: python examples/own_environment.py FOLDER"""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import torch

import sernf_isaac as sernf

SPEC = sernf.ChunkSpec(history=1, prefix=0, horizon=4, history_keys=())
STEP_BY_STEP = sernf.ChunkSpec(history=1, prefix=0, horizon=1, history_keys=())
STILL = torch.zeros(2)
torch.manual_seed(0)


class Reach(gymnasium.Env):  # a point has 30 steps to reach the middle of a square
    observation_space = action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1, 2), 0
        return self.place, {}

    def step(self, action):
        self.place, self.steps = np.clip(self.place + 0.1 * action, -1, 1), self.steps + 1
        there = bool(np.linalg.norm(self.place) < 0.1)
        return self.place, float(there), there, self.steps == 30, {"success": there}


def operator(seen, queue):  # demonstrates, and mostly aims beside the goal
    aim = torch.tensor([0.1, 0.0]) + 0.15 * torch.randn(len(seen["state"]), 2)
    return (3 * (aim - seen["state"])).clamp(-1, 1)[:, None]


def envs(count, seed):
    return sernf.GymnasiumEnvs([Reach() for _ in range(count)], seed=seed)


def report(at):
    episodes = sernf.collect(envs(100, seed=9), sernf.act(at.policy, 8, 0), SPEC, hold=STILL)
    print(at.stage, f"{np.mean([e.outcome == 'success' for e in episodes]):.0%} of 100 succeed")


shown = sernf.collect(envs(100, seed=0), operator, STEP_BY_STEP, hold=STILL)
scale = sernf.Normalizer({name: (-np.ones(2), np.ones(2)) for name in ("state", "action")})
problem = sernf.Problem({str(i): e for i, e in enumerate(shown)}, scale, {"state": 2}, 2)
policy = sernf.PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
critic = sernf.CriticConfig(support=(0, 1), token_dim=16, num_heads=2, num_layers=1, feedforward=32)
learner = sernf.LearnerConfig(policy, critic, sernf.OptimizerConfig(2e-3, 1e-3))
sizes = {"batch_size": 64, "rl_batch_size": 64}
steps = {"imitation_steps": 200, "warm_up_steps": 300, "offline_steps": 100}
online = sernf.OnlineSchedule(env_steps=1_000, candidates=8)
common = {"spec": SPEC, "learner": learner, "online": online, "evaluate_every": 1_000}
run = sernf.FourStageRun(**common, **sizes, **steps)
stages = sernf.FourStages(run, problem, Path(sys.argv[1]), report)
stages.train_offline()
stages.train_online(envs(10, seed=5), hold=STILL)
