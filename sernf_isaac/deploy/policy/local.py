"""A policy on this machine: loaded, tested, asked for chunks one observation at a time."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION
from sernf_isaac.data.pose_frame import absolute_from, pose_in
from sernf_isaac.deploy.protocols import Array
from sernf_isaac.policy import RANKS, ChunkPolicy, load_policy
from sernf_isaac.spec import Contract

RANGE_SLACK = 0.25
"""How far an action may lie outside its range, as a part of that range: squashing overshoots a
little, and what executes actions clips them."""
WARM_DECISIONS = 50
"""Timed before a policy is used; the cold ones before them do not count."""
COLD_DECISIONS = 5
SANITY_INPUTS = 16

Check = Callable[[ChunkPolicy, Contract], None]
"""Raises ValueError if this machine cannot run the policy."""


@dataclass
class DecisionSettings:
    """How chunks are chosen."""

    candidates: int = 24
    """K chunks per decision of a policy with critics (paper: 24)."""
    first_candidates: int = 1
    """The same for a policy that has none yet (paper: 64): of many, the likeliest chunk may stand
    still more often."""
    rank: str = "auto"
    """"value" (paper Alg. 2), "likelihood", or "auto": by value where the policy has critics."""
    device: str = "cpu"
    """Where the networks run: cpu or cuda:N."""
    threads: int = 1
    """Of torch."""
    seed: int = 0
    """Of the latents."""


@dataclass(frozen=True)
class LoadReport:
    """What is known of a policy that passed its tests."""

    path: str
    spec: ChunkSpec
    p50_s: float
    """Median time of a warm decision."""
    p99_s: float
    has_critics: bool
    candidates: int = 1
    """K chunks that each timed decision drew."""


class PolicyLink(Protocol):
    """Where decisions come from; never blocks but while loading."""

    def load(self, path: Path) -> LoadReport:
        """Test a policy file and use it from now on; after an error the old one stays.

        Raises:
            ValueError: If it must not be used; says why.
        """
        ...

    def request(self, observation: dict[str, Array], prefix: Array) -> None:
        """Ask for a chunk: groups (O, F) or (F,), prefix (P, A)."""
        ...

    def poll(self) -> Array | None:
        """The chunk (H, A) last asked for, once it is there; hands it out once."""
        ...

    @property
    def last_latency_s(self) -> float:
        """From request to chunk, of the newest chunk."""
        ...


@runtime_checkable
class Scoring(Protocol):
    """A `PolicyLink` that tells how it came to its newest chunk."""

    @property
    def last_scores(self) -> Array:
        """(K,) values or log-likelihoods of the candidates; none before the first decision."""
        ...


def check_latency(report: LoadReport, control_rate_hz: float) -> None:
    """Nothing if the prefix covers the time a decision takes.

    Raises:
        ValueError: If it does not; says what would help.
    """
    budget_s = report.spec.prefix / control_rate_hz
    if report.spec.prefix and report.p99_s > budget_s:
        raise ValueError(
            f"a decision takes {1e3 * report.p99_s:.0f} ms (p99; median {1e3 * report.p50_s:.0f}), "
            f"the prefix of {report.spec.prefix} steps covers {1e3 * budget_s:.0f} ms: "
            f"{_what_helps(report, budget_s)}"
        )


def _what_helps(report: LoadReport, budget_s: float) -> str:
    """What makes decisions fast enough; other programs are the cause if the median is."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if report.p50_s <= budget_s or load > cores:
        return (
            f"other programs keep this computer busy (load {load:.1f} on {cores} cores); end them"
        )
    fewer = f"fewer candidates than {report.candidates}, " if report.candidates > 1 else ""
    return f"use {fewer}a faster device or a smaller policy"


class LocalPolicy:
    """Loads, tests and runs policies in this process.

    Args:
        settings: How chunks are chosen.
        check: Whether this machine can run a policy.
        control_rate_hz: Refuse policies whose prefix is too short for this rate; None: time is
            not real here.
        limits: Least and largest action (A,) of this machine, in its units; None: those of the
            policy's contract, which `check` compares with the machine's.
    """

    def __init__(
        self,
        settings: DecisionSettings,
        check: Check,
        control_rate_hz: float | None = None,
        limits: tuple[Array, Array] | None = None,
    ) -> None:
        if settings.rank not in ("auto", *RANKS):
            raise ValueError(f"rank must be auto or one of {RANKS}, not '{settings.rank}'")
        self._settings, self._check, self._rate_hz = settings, check, control_rate_hz
        self._limits = limits
        self._generator = torch.Generator(settings.device).manual_seed(settings.seed)
        self._policy: ChunkPolicy | None = None
        self._examined: ChunkPolicy | None = None

    def load(self, path: Path) -> LoadReport:
        """As in `PolicyLink`."""
        report = self.examine(path)
        self.use()
        return report

    def examine(self, path: Path) -> LoadReport:
        """Test a policy file; the policy in use stays, until `use` is called.

        Raises:
            ValueError: If it must not be used; says why.
        """
        self._examined = None
        try:
            return self._passed(path)
        except (ValueError, FileNotFoundError):
            raise
        except Exception as error:  # a whole file may hold anything, and so fail in any way
            raise ValueError(
                f"{path} is no policy that works here: {type(error).__name__}: {error}"
            ) from error

    def use(self) -> None:
        """Decide with the policy that was examined last, if it passed."""
        if self._examined is not None:
            self._policy, self._examined = self._examined, None

    def _passed(self, path: Path) -> LoadReport:
        policy, contract = load_policy(path, self._settings.device)
        self._check(policy, contract)
        limits = self._limits or (contract.joint_lower_rad, contract.joint_upper_rad)
        lower, upper = (np.asarray(limit, np.float64) for limit in limits)
        seconds = self._try_out(policy, path, lower, upper)
        p50_s, p99_s = np.quantile(seconds, [0.5, 0.99]).tolist()
        has_critics = policy.critics is not None
        candidates = _candidates(self._settings, policy)
        report = LoadReport(str(path), policy.layout.spec, p50_s, p99_s, has_critics, candidates)
        if self._rate_hz is not None:
            check_latency(report, self._rate_hz)
        self._examined = policy
        return report

    @property
    def last_scores(self) -> Array:
        """As in `Scoring`."""
        scores = None if self._policy is None else self._policy.scores
        return np.zeros(0) if scores is None else scores[0].double().cpu().numpy()

    def decide(self, observation: dict[str, Array], prefix: Array) -> Array:
        """A chunk (H, A) for one observation.

        Raises:
            ValueError: If no policy is loaded, or as `ChunkPolicy.decide`.
        """
        if self._policy is None:
            raise ValueError("no policy is loaded")
        return self._chunk(self._policy, observation, prefix)

    def _chunk(self, policy: ChunkPolicy, observation: dict[str, Array], prefix: Array) -> Array:
        settings = self._settings
        best = "likelihood" if policy.critics is None else "value"
        rank = best if settings.rank == "auto" else settings.rank
        chunk = policy.decide(
            {name: torch.from_numpy(value)[None] for name, value in observation.items()},
            torch.from_numpy(prefix)[None].float(),
            candidates=_candidates(settings, policy),
            rank=rank,
            generator=self._generator,
        )
        return chunk[0].double().numpy()

    def _try_out(self, policy: ChunkPolicy, path: Path, lower: Array, upper: Array) -> list[float]:
        """Seconds per warm decision on random inputs of the scale the policy knows.

        Raises:
            ValueError: If a chunk is not finite or far outside the range of this machine's actions.
        """
        slack = RANGE_SLACK * (upper - lower)
        draw = torch.Generator().manual_seed(0)
        inputs = [_random_input(policy, draw) for _ in range(SANITY_INPUTS)]
        seconds = []
        for number in range(COLD_DECISIONS + WARM_DECISIONS):
            observation, prefix = inputs[number % SANITY_INPUTS]
            began_s = time.perf_counter()
            chunk = self._chunk(policy, observation, prefix)
            seconds.append(time.perf_counter() - began_s)
            inside = (chunk >= lower - slack) & (chunk <= upper + slack)  # false for nan
            if not inside.all():
                step, joint = np.argwhere(~inside)[0]
                raise ValueError(
                    f"{path} gives chunks that are not finite or leave the range of actions: "
                    f"number {joint} is {chunk[step, joint]:.4g}, its range {lower[joint]:.4g} to "
                    f"{upper[joint]:.4g} (radians and metres)"
                )
        return seconds[COLD_DECISIONS:]


def _pose(observation: dict[str, Array], frame: str) -> torch.Tensor:
    """(1, 7) the observed pose."""
    return pose_in({frame: torch.from_numpy(observation[frame])[None]}, frame)


def _random_input(policy: ChunkPolicy, draw: torch.Generator) -> tuple[dict[str, Array], Array]:
    """An observation and a prefix, uniform over the ranges of the normaliser."""
    layout, normalizer = policy.layout, policy.normalizer
    spec = layout.spec

    def uniform(group: str, *shape: int) -> Array:
        unit = 2.0 * torch.rand(shape, generator=draw) - 1.0
        device = next(policy.actor.parameters()).device
        return normalizer.denormalize(group, unit.to(device)).cpu().numpy()

    observation = {
        name: uniform(name, *((spec.history,) if name in spec.history_keys else ()), size)
        for name, size in layout.features.items()
    }
    prefix = uniform(ACTION, spec.prefix, layout.action_dim)
    if spec.pose_frame is not None:  # the range is that of relative poses, the queue's are not
        queued = torch.from_numpy(prefix)[None]
        prefix = absolute_from(_pose(observation, spec.pose_frame), queued)[0].numpy()
    return observation, prefix


def _candidates(settings: DecisionSettings, policy: ChunkPolicy) -> int:
    return settings.first_candidates if policy.critics is None else settings.candidates
