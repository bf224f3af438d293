"""Distillation on a GPU that is pretended: what waits per step, and what does not."""

from pathlib import Path

import pytest
import torch
from pretend_gpu import pretend_gpu
from torch import Tensor

from sernf_isaac.config import LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.learning.distill.distiller import Distiller
from sernf_isaac.learning.distill.memory import RolloutMemory
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

ENVS, STEPS = 6, 5
FEATURES = {"history": 2, "goal": 1}
SPEC = ChunkSpec(history=2, prefix=1, horizon=4)
PER_STEP = {
    # Who decides, and whose episode is new, makes the number of rows: asked in one copy.
    "sernf_isaac/chunk_queue.py:ChunkActor.__call__": 1,
    # Refuses a chunk that is not finite before it is queued.
    "sernf_isaac/chunk_queue.py:ChunkQueue.push": 1,
    # Refuses observations that are not finite before their chunk is used.
    "sernf_isaac/policy.py:_require_finite": 1,
}
PER_ROLLOUT = {
    # How many windows a rollout holds.
    "sernf_isaac/learning/distill/memory.py:RolloutMemory._find_starts": 1,
    # Logged: the error of every action, and the environments' own numbers.
    "sernf_isaac/learning/distill/distiller.py:Distiller._collect": 2,
}


class Machines:
    """Environments whose tensors are on the GPU."""

    num_envs = ENVS

    def get_observations(self) -> dict[str, Tensor]:
        seen = {name: torch.zeros(ENVS, size, device="cuda") for name, size in FEATURES.items()}
        seen["history"] = torch.zeros(ENVS, 2, 2, device="cuda")
        fresh = torch.zeros(ENVS, dtype=torch.bool, device="cuda")
        return seen | {"hold": torch.zeros(ENVS, 2, device="cuda"), "fresh": fresh}

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict]:
        assert actions.device.type == "cuda"
        rewards = actions.sum(dim=1)
        return self.get_observations(), rewards, rewards > 0, {"log": {"reward": rewards.mean()}}

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


def distiller_there(run_dir: Path, scale: Normalizer, **settings: object) -> Distiller:
    config = LearnerConfig(
        policy=PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
    )
    layout = PolicyLayout(FEATURES, 2, SPEC, config.policy, config.critic, 0)
    learner = build_learner(layout, config, device="cuda")
    return Distiller(
        Machines(),
        lambda seen: seen["hold"] + seen["goal"],
        ChunkPolicy(layout, learner.actor, None, scale.to("cuda")),
        learner,
        DistillConfig(**{"rollout_steps": STEPS, "updates_per_iteration": 3} | settings),
        run_dir,
        batch_size=4,
        action_names=("x", "y"),
    )


@pytest.fixture
def scale() -> Normalizer:
    ends = {name: (-torch.ones(n).numpy(), torch.ones(n).numpy()) for name, n in FEATURES.items()}
    return Normalizer(ends | {ACTION: ends["history"]})


@pytest.mark.parametrize("turns", [{}, {"turns": "chunks", "least_teacher_share": 0.2}])
def test_a_rollout_waits_for_whoever_decides_and_for_nothing_else(
    turns: dict, scale: Normalizer, tmp_path: Path
) -> None:
    with pretend_gpu() as gpu:
        distiller = distiller_there(tmp_path, scale, **turns)
        gpu.forget()
        distiller._collect()
        per_step = {place: STEPS * count for place, count in PER_STEP.items()}
        assert dict(gpu.waits) == per_step | PER_ROLLOUT


def test_updates_wait_for_nothing_but_logged_numbers(scale: Normalizer, tmp_path: Path) -> None:
    with pretend_gpu() as gpu:
        waits = []
        for updates in (1, 2):
            distiller = distiller_there(tmp_path, scale, updates_per_iteration=updates)
            distiller._collect()
            gpu.forget()
            distiller._learn()
            waits.append(dict(gpu.waits))
        assert waits[0] == waits[1], "as many for one update as for two"
        assert set(waits[0]) == {
            # Whether all were finite, once; then the means of what is logged.
            "sernf_isaac/learning/descent.py:GuardedAdamW.skipped",
            "sernf_isaac/learning/distill/distiller.py:Distiller._learn",
        }


def test_memory_read_from_a_file_is_on_the_gpu_with_the_next_step(scale: Normalizer) -> None:
    """Resume points are read into the CPU's memory."""
    with pretend_gpu() as gpu:
        there, here = Machines().get_observations(), {}
        seen = {name: there[name] for name in FEATURES}
        action, done = there["hold"], there["fresh"]
        memory = RolloutMemory(SPEC, 6, rollouts=2)
        for _ in range(6):
            memory.add(seen, action, action, done)
        saved = memory.state_dict()
        here = saved | {
            "rows": {name: value.cpu() for name, value in saved["rows"].items()},
            "starts": [starts.cpu() for starts in saved["starts"]],
        }
        again = RolloutMemory(SPEC, 6, rollouts=2)
        again.load_state_dict(here)
        again.add(seen, action, action, done)
        gpu.forget()
        batch = again.sample(3, torch.Generator())
        assert batch.chunk.device.type == batch.observation["goal"].device.type == "cuda"
        assert not gpu.waits
