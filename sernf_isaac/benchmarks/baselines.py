"""What each kind of policy costs at the paper's sizes: parameters, a step of imitation, a decision.

Sizes of observation and action are those of the scissors without cameras; every kind sees the same.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from sernf_isaac.config import CriticConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD, OfflineRun, as_baseline
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.models.architecture import KINDS
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.selection import best_by_likelihood

FEATURES, ACTION_DIM = {"joints": 17, "pose": 7}, 24
SPEC = ChunkSpec(history=1, prefix=3, horizon=10, history_keys=())
CANDIDATES = 64
"""Of a decision by likelihood (paper G); kinds without one draw a single chunk."""


def baseline_speed(batch_size: int, repetitions: int, device: str = "cpu") -> dict[str, float]:
    """Parameters without encoder, and the least milliseconds of all repetitions, by kind.

    On a CPU it is the time the process was computing, on a GPU the time until results are there.
    """
    result: dict[str, float] = {"batch": batch_size, "threads": torch.get_num_threads()}
    for kind in tqdm(KINDS, unit="kind", leave=False):
        run = as_baseline(OfflineRun(spec=SPEC), kind)
        learner = _learner(run, device)
        result[f"{kind}_parameters"] = sum(p.numel() for p in learner.actor.flow.parameters())
        rows, one = (_random_batch(run.spec, size).to(device) for size in (batch_size, 1))
        count = 1 if kind in WITHOUT_LIKELIHOOD else CANDIDATES
        calls = {
            "imitation": lambda learner=learner, rows=rows: learner.update_imitation(rows),
            "decision": lambda learner=learner, one=one, n=count: _decide(learner, one, n),
        }
        for name, call in calls.items():
            times = [_milliseconds(call, device) for _ in range(repetitions + 1)]
            result[f"{kind}_{name}_ms"] = min(times[1:])  # the first warms up
    return result


def baseline_table(result: Mapping[str, float]) -> str:
    """A line per kind."""
    batch = f"step, batch {result['batch']:.0f}"
    lines = [f"{'':14s} {'parameters':>12s} {batch + ' ms':>20s} {'decision ms':>12s}"]
    for kind in KINDS:
        step, decision = (result[f"{kind}_{name}_ms"] for name in ("imitation", "decision"))
        parameters = f"{result[f'{kind}_parameters']:,.0f}"
        lines.append(f"{kind:14s} {parameters:>12s} {step:20.1f} {decision:12.1f}")
    return "\n".join(lines)


def _learner(run: OfflineRun, device: str) -> Learner:
    small = CriticConfig(num_layers=1)  # critics play no part
    config = replace(run.learner, critic=small)
    sizes = (run.spec, config.policy, small, run.seed, run.architecture)
    return build_learner(PolicyLayout(FEATURES, ACTION_DIM, *sizes), config, device=device)


@torch.no_grad()
def _decide(learner: Learner, batch: ChunkBatch, candidates: int) -> Tensor:
    """The likeliest of so many chunks for one observation."""
    actor, sigma = learner.actor.eval(), learner.config.improvement.sigma
    assert sigma is not None, "the default settings have one"
    context = actor.flow.context(actor.encoder(seen(batch.observation, batch.prefix)))
    latents = actor.flow.draw_latents(context, candidates, sigma, learner.generator)
    return best_by_likelihood(actor.flow, context, latents)[0]


def _random_batch(spec: ChunkSpec, size: int) -> ChunkBatch:
    draw = torch.Generator().manual_seed(size)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(size, *shape, generator=draw) - 1

    observation = {name: uniform(count) for name, count in FEATURES.items()}
    yes = torch.ones(size, dtype=torch.bool)
    return ChunkBatch(
        observation=observation,
        prefix=uniform(spec.prefix, ACTION_DIM),
        chunk=uniform(spec.horizon, ACTION_DIM),
        reward=uniform(),
        discount=torch.ones(size),
        next_observation=observation,
        next_prefix=uniform(spec.prefix, ACTION_DIM),
        imitate=yes,
        is_offline=yes,
        succeeded=yes,
    )


def _milliseconds(call: Callable[[], object], device: str) -> float:
    on_gpu = torch.device(device).type == "cuda"

    def now_s() -> float:
        if not on_gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    started = now_s()
    call()
    return 1e3 * (now_s() - started)
