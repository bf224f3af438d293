"""Measures the learner at the paper's size: as it works, and the plain way, in one run.

Plain is: the context computed again for every candidate, critics that compute all rows of their
last layer and share none, an optimiser that is not fused, gradients through every candidate.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sernf_isaac.benchmarks.full_size import full_size, policy_of, random_batch, sigma_of
from sernf_isaac.benchmarks.replay import replay_speed
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import imitation_loss, improvement_loss
from sernf_isaac.learning.stages import OFFLINE
from sernf_isaac.models.actor_critic import Observation, seen
from sernf_isaac.models.critic import ChunkCritic

MANY = 24
"""Candidates of an RL step (paper G)."""
WAYS = ("plain", "fast", "compiled")
Call = Callable[[], object]


@dataclass(frozen=True)
class SpeedRequest:
    """What to measure, and how patiently."""

    candidates: tuple[int, ...] = (24, 64, 128)
    """K of a decision."""
    imitation_batch: int = 64
    rl_batch: int = 32
    decision_repetitions: int = 7
    step_repetitions: int = 3
    device: str = "cpu"
    compile: bool = False
    """Measure compiled decisions, too; compiling takes minutes."""


def learner_speed(request: SpeedRequest) -> dict[str, float]:
    """Milliseconds: the least of all repetitions, and under `..._median_ms` their median.

    On a CPU it is the time the process was computing, on a GPU the time until results are there.
    Also how many batches of 512 windows per second replay gives.
    """
    learner = full_size(request.device)
    measure = _Stopwatch(request.device)
    ways = WAYS if request.compile else WAYS[:2]
    for count in request.candidates:
        calls = {f"decision_{count}_{way}": _Decision(learner, count, way) for way in ways}
        chunks = torch.stack([call() for call in calls.values()])  # compiles, too
        measure(calls, request.decision_repetitions)
        difference = (chunks - chunks[0]).abs().max()
        measure.result[f"decision_{count}_difference"] = float(difference)
    batch = random_batch(request.imitation_batch, request.device)
    measure(
        {
            "imitation_plain": lambda: _imitate_unfused(learner, batch),
            "imitation_fast": lambda: learner.update_imitation(batch),
        },
        request.step_repetitions,
    )
    rows = random_batch(request.rl_batch, request.device)
    measure(
        {
            "rl_1_fast": lambda: _improve(learner, rows, 1),
            f"rl_{MANY}_fast": lambda: _improve(learner, rows, MANY),
        },
        request.step_repetitions,
    )
    measure({f"rl_{MANY}_plain": lambda: improve_through_all(learner, rows, MANY)}, 1)
    return measure.result | {
        "imitation_batch": request.imitation_batch,
        "rl_batch": request.rl_batch,
        "threads": torch.get_num_threads(),
        "replay_batches_per_s": replay_speed(),
    }


def speed_table(result: Mapping[str, float]) -> str:
    """Times and ratios, one line per thing measured."""
    names = [name.removesuffix("_fast_ms") for name in result if name.endswith("_fast_ms")]
    head = ("plain ms", "fast ms", "ratio", "compiled ms")
    lines = [f"{'least of all repetitions':32s} " + " ".join(f"{name:>11s}" for name in head)]
    for name in names:
        plain, fast, compiled = (result.get(f"{name}_{way}_ms") for way in WAYS)
        ratio = fast / plain if fast and plain else None
        cells = [_cell(plain, 1), _cell(fast, 1), _cell(ratio, 2), _cell(compiled, 1)]
        lines.append(f"{name:32s} " + " ".join(cells))
    one, many = result["rl_1_fast_ms"], result[f"rl_{MANY}_fast_ms"]
    naive = result[f"rl_{MANY}_plain_ms"]
    lines.append(f"RL step, {MANY} candidates over 1: {many / one:.2f}; naively {naive / one:.2f}")
    differences = [value for name, value in result.items() if name.endswith("_difference")]
    if differences:
        lines.append(f"largest difference between plain and fast decisions: {max(differences):.1e}")
    lines.append(f"replay: {result['replay_batches_per_s']:.0f} batches of 512 windows per second")
    return "\n".join(lines)


def choose_plainly(
    learner: Learner, observation: Observation, candidates: int, generator: torch.Generator
) -> Tensor:
    """Alg. 2 for one observation as if every candidate had one of its own; the chunk (1, H, A)."""
    rows = {name: value.expand(candidates, *value.shape[1:]) for name, value in observation.items()}
    flow, critic = learner.actor.flow, learner.critics.critic
    tokens = learner.actor.encoder(rows)
    sigma = sigma_of(learner.config)
    latents = flow.draw_latents(tokens[:1], candidates, sigma, generator)
    chunks, _ = flow.decode(latents[0], tokens)
    with _unpruned(critic):
        values = critic.value(chunks, learner.critics.encoder(rows)).amin(dim=0)  # (K,)
    return chunks[values.argmax()][None]


def improve_through_all(learner: Learner, batch: ChunkBatch, candidates: int) -> None:
    """A step of stage III in which gradients pass through all candidates."""
    improvement = learner.config.improvement
    learner.update_critic(batch)
    flow, critics = learner.actor.flow, learner.critics
    learner.actor.train()
    critics.eval().requires_grad_(False)
    observation = seen(batch.observation, batch.prefix)
    context = flow.context(learner.actor.encoder(observation))
    latents = flow.draw_latents(context, candidates, sigma_of(learner.config), learner.generator)
    chunks, _ = flow.decode(latents, context)
    values = critics.critic.value_of_candidates(chunks, critics.encoder(observation))  # (E, B, K)
    best = values.amin(dim=0).amax(dim=1, keepdim=True).T  # (1, B)
    likelihood = flow.log_prob(batch.chunk, context, add_noise=True)
    imitation, _ = imitation_loss(likelihood, batch.imitate)
    weight = improvement.imitation_weight
    loss, _ = improvement_loss(best, imitation, imitation_weight=weight)
    learner.actor_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(learner.actor.parameters(), 1.0)
    learner.actor_optimizer.step()
    critics.requires_grad_(True)


def _cell(value: float | None, digits: int) -> str:
    return " " * 11 if value is None else f"{value:11.{digits}f}"


class _Decision:
    """One decision of the policy and its critics; the same candidates each time."""

    def __init__(self, learner: Learner, candidates: int, way: str) -> None:
        self._learner, self._candidates, self._plain = learner, candidates, way == "plain"
        self._policy = policy_of(learner)
        if way == "compiled":
            self._policy.compile()
        self._batch = random_batch(1, str(learner.device))

    @torch.no_grad()
    def __call__(self) -> Tensor:
        self._learner.actor.eval()
        self._learner.critics.eval()
        batch, generator = self._batch, torch.Generator(self._learner.device).manual_seed(0)
        if self._plain:
            observation = seen(batch.observation, batch.prefix)
            return choose_plainly(self._learner, observation, self._candidates, generator)
        return self._policy.decide(
            batch.observation, batch.prefix, candidates=self._candidates, generator=generator
        )


class _Stopwatch:
    """Times calls in turns, so that all meet the same machine; fills `result`."""

    def __init__(self, device: str) -> None:
        self._on_gpu = torch.device(device).type == "cuda"
        self.result: dict[str, float] = {}

    def __call__(self, calls: Mapping[str, Call], repetitions: int) -> None:
        times_ms: dict[str, list[float]] = {name: [] for name in calls}
        for _ in tqdm(range(repetitions), desc=next(iter(calls)), unit="round", leave=False):
            for name, call in calls.items():
                started = self._now_s()
                call()
                times_ms[name].append(1e3 * (self._now_s() - started))
        for name, values in times_ms.items():
            self.result[f"{name}_ms"] = min(values)
            self.result[f"{name}_median_ms"] = statistics.median(values)

    def _now_s(self) -> float:
        if not self._on_gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def _improve(learner: Learner, batch: ChunkBatch, candidates: int) -> None:
    improvement = replace(learner.config.improvement, candidates=candidates)
    learner.config = replace(learner.config, improvement=improvement)
    OFFLINE.update(learner, batch)


def _imitate_unfused(learner: Learner, batch: ChunkBatch) -> None:
    with _unfused(learner):
        learner.update_imitation(batch)


@contextmanager
def _unfused(learner: Learner) -> Iterator[None]:
    """The same optimiser, parameter by parameter."""
    optimizer = learner.actor_optimizer
    groups, fused_step = optimizer.param_groups, optimizer.step

    def step() -> None:
        optimizer.found_inf = None  # type: ignore[attr-defined]  # only fused ones can look at it
        fused_step()

    optimizer.step = step  # type: ignore[method-assign]
    before = [(group["fused"], group["foreach"]) for group in groups]
    for group in groups:
        group["fused"] = group["foreach"] = False
    try:
        yield
    finally:
        optimizer.step = fused_step  # type: ignore[method-assign]
        for group, (fused, foreach) in zip(groups, before, strict=True):
            group["fused"], group["foreach"] = fused, foreach


@contextmanager
def _unpruned(critic: ChunkCritic) -> Iterator[None]:
    critic.prune = False
    try:
        yield
    finally:
        critic.prune = True
