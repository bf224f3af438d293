"""Policies at work in robosuite: the rollouts of the paper's Table II (App. A)."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.acting import Decide, TemporalAggregation, every_step
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.policy import ChunkPolicy, load_policy
from sernf_isaac.spec import Contract
from tasks.manipulation.protocol import Trial, trials_of
from tasks.robomimic.client import SERVER, RobosuiteClient, RobosuiteSettings
from tasks.robomimic.environment import MAX_STEPS, RobosuiteEnv
from tasks.robomimic.report import report

FIRST_SEED = 1_000_000
"""Of the first rollout's start; every `seed` has so many of its own."""
IMAGE = "_image"


def roll_out(
    policy_file: Path,
    world: RobosuiteSettings,
    *,
    python: Path | None = None,
    server: Path = SERVER,
    processes: int = 1,
    episodes: int,
    candidates: int,
    seed: int = 0,
    max_steps: int = MAX_STEPS,
    device: str = "cpu",
) -> dict:
    """The report on a policy file: starts the processes, tries the policy, ends them.

    Args:
        policy_file: Of any kind of chunk policy.
        world: The environment; what to see of it follows from the policy.
        python: Interpreter, as for `RobosuiteClient`.
        server: What it runs.
        processes: That simulate at once.
        episodes: How many trials.
        candidates: K chunks per decision.
        seed: Of starts and candidates.
        max_steps: Of an episode.
        device: Where the policy runs.

    Raises:
        FileNotFoundError: If policy or interpreter are missing.
        ValueError: If the policy is damaged or does not fit, or a number is below 1.
        RobosuiteError: If a process fails.
    """
    if processes < 1:
        raise ValueError(f"processes ({processes}) must be at least 1")
    policy, contract = load_policy(policy_file, device)
    settings = settings_for(policy, world)
    asked = {
        "episodes": episodes,
        "candidates": candidates,
        "seed": seed,
        "max_steps": max_steps,
    }
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RobosuiteClient(settings, python, server=server))
            for _ in range(min(processes, episodes))
        ]
        trials = evaluate(clients, policy, contract, device=device, **asked)
    notes = load_checkpoint(policy_file).config.get("notes", {})
    about = {"policy": str(policy_file), "stage": str(notes.get("stage", "unknown")), **asked}
    return report(trials, clients[0], about)


def settings_for(policy: ChunkPolicy, world: RobosuiteSettings) -> RobosuiteSettings:
    """The environment with what a policy looks at, and nothing else.

    Raises:
        ValueError: If the policy has a camera that is not one of robosuite's, or of another shape.
    """
    cameras = policy.layout.architecture.vision.cameras
    if odd := [name for name in cameras if not name.endswith(IMAGE)]:
        raise ValueError(f"the policy sees {odd}; robosuite's images are called <camera>{IMAGE}")
    sizes = {tuple(size) for size in cameras.values()}
    if len(sizes) > 1 or any(size[1] != size[2] for size in sizes):
        raise ValueError(f"the policy's images are {cameras}; all must be squares of one size")
    return replace(
        world,
        cameras=tuple(name.removesuffix(IMAGE) for name in cameras),
        image_size=next(iter(sizes))[1] if sizes else world.image_size,
        keys=(*policy.layout.features, *cameras),
    )


def check_fits(policy: ChunkPolicy, contract: Contract, client: RobosuiteClient) -> None:
    """An error unless the policy can act in this environment.

    Raises:
        ValueError: Naming what differs.
    """
    layout, name = policy.layout, client.env_args["env_name"]
    if contract.control_rate_hz != client.control_rate_hz:
        raise ValueError(
            f"the policy acts at {contract.control_rate_hz} Hz, {name} at {client.control_rate_hz}"
        )
    if layout.action_dim != (size := len(client.action_low)):
        raise ValueError(f"the policy's actions have {layout.action_dim} numbers, {name}'s {size}")
    seen = client.reset(0).observation
    for group, expected in layout.features.items():
        if seen[group].size != expected:
            raise ValueError(
                f"the policy expects {expected} numbers in '{group}', {name} has {seen[group].size}"
            )


def evaluate(
    clients: Sequence[RobosuiteClient],
    policy: ChunkPolicy,
    contract: Contract,
    *,
    episodes: int,
    candidates: int,
    seed: int = 0,
    max_steps: int = MAX_STEPS,
    device: str = "cpu",
) -> list[Trial]:
    """Trials on starts that depend on `seed` alone.

    Args:
        clients: Processes that simulate at once, telling what `settings_for` names. Starts are the
            same for any number of them; the candidates drawn are not.
        policy: Of any kind, on `device`.
        contract: The policy's.
        episodes: How many trials.
        candidates: K chunks per decision.
        seed: Of starts and candidates.
        max_steps: Of an episode.
        device: Where the policy is.

    Raises:
        ValueError: If a number is below 1, or policy and environment do not fit.
        RobosuiteError: If a process fails.
    """
    numbers = {"episodes": episodes, "candidates": candidates, "max_steps": max_steps}
    if odd := {name: value for name, value in numbers.items() if value < 1}:
        raise ValueError(f"{odd} must be at least 1")
    check_fits(policy, contract, clients[0])
    first, trials = FIRST_SEED * (1 + seed), []
    with tqdm(total=episodes, desc="rollouts", unit="episode") as bar:
        while len(trials) < episodes:
            now = first + len(trials)
            env = RobosuiteEnv(clients[: episodes - len(trials)], seed=now, max_steps=max_steps)
            decide, spec = decider(policy, candidates, now, device)
            found = trials_of(collect(env, decide, spec, hold=env.hold), contract.control_rate_hz)
            trials += found
            bar.update(len(found))
            bar.set_postfix(success=f"{np.mean([trial.succeeded for trial in trials]):.2f}")
    return trials


def decider(
    policy: ChunkPolicy, candidates: int, seed: int, device: str
) -> tuple[Decide, ChunkSpec]:
    """How a policy of any kind acts for one episode, wherever its networks are.

    By value if it has critics, by likelihood if not; ACT aggregates over time.
    """
    choose = partial(
        policy.decide,
        candidates=candidates,
        rank="value" if policy.critics else "likelihood",
        generator=torch.Generator(device).manual_seed(seed),
    )

    def decide(observation: dict[str, torch.Tensor], queue: torch.Tensor) -> torch.Tensor:
        there = {name: value.to(device) for name, value in observation.items()}
        return choose(there, queue.to(device)).cpu()

    if policy.layout.architecture.kind == "act":
        return TemporalAggregation(decide), every_step(policy.layout.spec)
    return decide, policy.layout.spec
