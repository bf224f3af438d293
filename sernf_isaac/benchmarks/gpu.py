"""What a GPU takes for decisions, updates and batches: parts of `scripts/gpu_report.py`.

Each is called in a process of its own, tells numbers as soon as it has them, and runs on a CPU with
small networks too. Times are in milliseconds, until the results are there.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from sernf_isaac.benchmarks.floors import floor_ms, flops_of, parameter_bytes
from sernf_isaac.benchmarks.full_size import full_size, policy_of, random_batch
from sernf_isaac.benchmarks.parts import Tell
from sernf_isaac.benchmarks.replay import full_replay
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.devices import use_tensor_cores
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE, Stage

PRECISIONS = ("float32", "tf32", "bf16")
"""Of matrix products in updates; a CPU has no TF32."""
WARM_UP = 3
"""Calls before the clock starts."""


def decisions(
    device: str,
    *,
    candidates: list[int],
    way: str,
    repetitions: int,
    small: bool = False,
    tell: Tell,
) -> None:
    """What a robot waits for: one observation from the CPU, one chunk back on the CPU.

    Args:
        device: Where the networks are.
        candidates: K of the decisions.
        way: "eager", "compiled", or "graphs" for compiled with CUDA graphs.
        repetitions: Timed decisions.
        small: Tiny networks.
        tell: Hears `{way}_{K}_p50_ms`, `_p99_ms`, `_floor_ms` and what compiling took.
    """
    use_tensor_cores(device)
    learner = full_size(device, small=small)
    policy, batch = policy_of(learner), random_batch(1, "cpu")
    generator = torch.Generator(device).manual_seed(0)
    if way != "eager":
        policy.compile(graphs=way == "graphs")
    for count in candidates:

        def decide(count: int = count) -> object:
            return policy.decide(
                batch.observation, batch.prefix, candidates=count, generator=generator
            )

        first_ms = _milliseconds(decide, device)
        times = _times(decide, device, repetitions)
        work = flops_of(decide) if way == "eager" else None
        name = f"{way}_{count}"
        found = {
            f"{name}_first_ms": first_ms,
            f"{name}_p50_ms": statistics.median(times),
            f"{name}_p99_ms": _percentile(times, 0.99),
        }
        if work:
            weights = parameter_bytes(learner.actor, learner.critics)
            found |= {f"{name}_gflop": work / 1e9}
            found |= {f"{name}_floor_ms": floor_ms(work, weights, device, "tf32")}
        tell(found | _memory(device))


def updates(
    device: str,
    *,
    batch: int,
    candidates: list[int],
    repetitions: int,
    stage: str = "rl",
    small: bool = False,
    tell: Tell,
) -> None:
    """One update, in each precision that the device has, beside the least its arithmetic takes.

    Args:
        device: Where to learn.
        batch: Rows.
        candidates: K of the policy's update; without effect in imitation.
        repetitions: Timed updates.
        stage: "rl" (stage III: critics, then policy) or "imitation" (stage I).
        small: Tiny networks.
        tell: Hears `{stage}_{K}_{precision}_ms`, `_floor_ms`, `_of_floor`, and TFLOP of a step.
    """
    on_gpu = torch.device(device).type == "cuda"
    rows = random_batch(batch, device)
    for precision in PRECISIONS if on_gpu else ("float32", "bf16"):
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
        learner = full_size(device, small=small, bf16=precision == "bf16")
        for count in candidates if stage == "rl" else [1]:
            step = _step(learner, rows, IMITATION if stage == "imitation" else OFFLINE, count)
            times = _times(step, device, repetitions)
            work = flops_of(step)
            weights = 3 * parameter_bytes(learner.actor, learner.critics)  # with both moments
            floor, spent = floor_ms(work, weights, device, precision), statistics.median(times)
            name = f"{stage}_{count}_{precision}" if stage == "rl" else f"{stage}_{precision}"
            found = {f"{name}_ms": spent, f"{name}_tflop": work / 1e12}
            found |= {f"{name}_rows_per_s": 1e3 * batch / spent, f"{name}_floor_ms": floor}
            if floor:
                found[f"{name}_of_floor"] = spent / floor
            tell(found | _memory(device))
        learner.check()


def replay_to_device(
    device: str, *, batch: int, batches: int, small: bool = False, tell: Tell
) -> None:
    """Batches per second out of replay: drawn, drawn and sent, and learnt from meanwhile.

    Args:
        device: Where they are sent.
        batch: Windows of each.
        batches: How many to time.
        small: Tiny networks.
        tell: Hears the rates, and what an update takes with fresh batches and with the same one.
    """
    use_tensor_cores(device)
    replay = full_replay()
    drawn = _rate(lambda: replay.sample(batch), device, batches)
    sent = _rate(lambda: replay.sample(batch).to(device), device, batches)
    learner, fixed = full_size(device, small=small), random_batch(batch, device)
    fresh = random_batch(batch, "cpu")  # as large as one from replay, and as far away
    same_ms = statistics.median(_times(lambda: IMITATION.update(learner, fixed), device, 5))
    fresh_ms = statistics.median(_times(lambda: IMITATION.update(learner, fresh), device, 5))
    tell(
        {
            "replay_drawn_per_s": drawn,
            "replay_on_device_per_s": sent,
            "update_of_batch_there_ms": same_ms,
            "update_of_batch_sent_ms": fresh_ms,
        }
        | _memory(device)
    )


def _step(learner: Learner, rows: ChunkBatch, stage: Stage, candidates: int) -> Callable:
    improvement = replace(learner.config.improvement, candidates=candidates)

    def step() -> object:
        learner.config = replace(learner.config, improvement=improvement)
        return stage.update(learner, rows)

    return step


def _times(call: Callable[[], object], device: str, repetitions: int) -> list[float]:
    """Milliseconds of each call, after some to warm up."""
    for _ in range(min(WARM_UP, repetitions)):
        call()
    return [_milliseconds(call, device) for _ in range(repetitions)]


def _milliseconds(call: Callable[[], object], device: str) -> float:
    started = now_s(device)
    call()
    return 1e3 * (now_s(device) - started)


def _rate(call: Callable[[], object], device: str, count: int) -> float:
    call()
    started = now_s(device)
    for _ in range(count):
        call()
    return count / (now_s(device) - started)


def now_s(device: str) -> float:
    """The time at which a device has done all it was told."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def _memory(device: str) -> dict[str, float]:
    """What torch has had of the GPU's memory at most [GiB]."""
    if torch.device(device).type != "cuda":
        return {}
    return {"torch_peak_gib": torch.cuda.max_memory_allocated() / 2**30}
