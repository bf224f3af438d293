"""The imitation route: from stored demonstrations through stages I to III to a policy file."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch

from sernf_isaac.config import LearnerConfig, given
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.images.bank import ImageBank
from sernf_isaac.data.jumps import jumps_of
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.source_info import agreed_rate
from sernf_isaac.data.sources import load_episodes, return_range
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.likelihood import Likelihood
from sernf_isaac.learning.offline.config import OfflineRun, load_run, policy_file
from sernf_isaac.learning.offline.data import OfflineSampler, Sizes, fit_normalizer, sizes_of
from sernf_isaac.learning.staged_training import Leg, StagedTraining
from sernf_isaac.learning.stages import IMITATION, OFFLINE, WARM_UP
from sernf_isaac.learning.workers import Workers
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.models.build import encoder_of
from sernf_isaac.models.eyes import compute_features, eye_of, untrained_warning
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import KIND, ChunkPolicy
from sernf_isaac.run_folder import CONFIG_FILE, one_at_a_time, save_settings
from sernf_isaac.spec import Contract

__all__ = ["CONFIG_FILE", "POLICY_FILE", "OfflineRun", "OfflineSampler", "load_run", "train"]

POLICY_FILE = "policy.pt"
SHOWN = 5
"""Jumps in the data that are told of; where one is, there are often many."""


@one_at_a_time
def train(
    run: OfflineRun,
    run_dir: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    report: bool = False,
    workers: Workers | None = None,
) -> Path:
    """Train, or continue training, and return the policy file; one more is written per stage.

    Args:
        run: Settings; batch sizes are those of one process.
        run_dir: The same for all processes.
        device: Of this process.
        resume: Go on from the resume point in `run_dir`, with any number of processes.
        report: Write a page about data and policy after each stage; weights do not depend on it.
        workers: Processes that learn together; None: this one alone.

    Raises:
        FileNotFoundError: If data, weights of a backbone or a resume point are missing.
        ValueError: If data or settings do not fit together.
    """
    rate_hz = agreed_rate(run.data, run.control_rate_hz, run.keys)
    run = replace(run, control_rate_hz=rate_hz)
    run.check()
    workers = workers or Workers()
    episodes = load_episodes(run.data, run.keys)
    if workers.writes:
        _remark(run, episodes)
    sizes = sizes_of(episodes)
    normalizer = fit_normalizer(episodes.values(), sizes.features, run.min_range, run.spec)
    config = _with_support(run, episodes)
    layout = layout_of(run, sizes, config)
    learner = _build_learner(layout, config, device)
    learner.join(workers)
    bank = make_bank(layout.architecture, learner)
    sampler = OfflineSampler(run, episodes, normalizer, bank, workers)
    learner.hold_out(sampler.held_out())
    if bank.cameras and workers.writes:
        print(f"images     {bank.num_bytes / 1e9:.2f} GB of {', '.join(bank.cameras)}")
    names = (run.name, run.control_rate_hz, run.action_names)
    contract = contract_of(layout, normalizer, *names)

    def export(leg: Leg) -> dict[str, float]:
        policy = _policy_of(learner, layout, normalizer, with_critics=leg.stage.critic)
        for name in (policy_file(leg.stage.name), POLICY_FILE):
            policy.save(run_dir / name, contract, {"stage": leg.stage.name, "run": asdict(run)})
        return {}

    def tell(leg: Leg) -> None:
        if report:
            from sernf_isaac.learning.offline.report import report_stage  # draws, which few need

            path = report_stage(run, run_dir, leg.stage.name, episodes, device)
            print(f"report     -> {path}")

    training = StagedTraining(
        learner,
        sampler,
        [
            Leg(IMITATION, run.imitation_steps),
            Leg(WARM_UP, run.warm_up_steps),
            Leg(OFFLINE, run.offline_steps),
        ],
        run_dir,
        log_every=run.log_every,
        save_every=run.save_every,
        after_leg=export,
        measure=Likelihood(learner, sampler.imitated()).measure,
        when_saved=tell,
    )
    if resume:
        training.resume()
    elif workers.writes:
        save_settings(run_dir, run)
    training.run()
    return run_dir / POLICY_FILE


def _remark(run: OfflineRun, episodes: dict[str, Episode]) -> None:
    """Say what was taken from the data, and what they cannot teach."""
    groups = sorted(next(iter(episodes.values())).observation)
    print(f"data       {len(episodes)} episodes at {run.control_rate_hz:g} Hz; {', '.join(groups)}")
    for name, remark in islice(((n, r) for n, e in episodes.items() for r in jumps_of(e)), SHOWN):
        print(f"remark     {name}: {remark}")
    learns_values = run.warm_up_steps or run.offline_steps
    if learns_values and not any(episode.reward.any() for episode in episodes.values()):
        print(
            "remark     all rewards in the data are 0, so critics have nothing to learn: label the "
            "episodes, or only imitate with warm_up_steps=0 offline_steps=0"
        )


def layout_of(run: OfflineRun, sizes: Sizes, config: LearnerConfig) -> PolicyLayout:
    """What the run's networks are built from, cameras as they are in the data.

    Raises:
        ValueError: If a camera is to be seen as history.
    """
    if past := [name for name in run.spec.history_keys if name in sizes.cameras]:
        raise ValueError(f"history_keys {past} are cameras; only groups of numbers have histories")
    vision = replace(run.architecture.vision, cameras=sizes.cameras)
    return PolicyLayout(
        sizes.features,
        sizes.action_dim,
        run.spec,
        config.policy,
        config.critic,
        run.seed,
        replace(run.architecture, vision=vision),
    )


def make_bank(architecture: Architecture, learner: Learner) -> ImageBank:
    """Where images are kept: as they are, or as what the policy's frozen backbone makes of them."""
    vision = architecture.vision
    if not vision.cache:
        return ImageBank(vision.cameras)
    eyes, names = encoder_of(learner.actor).backbones, eye_of(vision)

    def features_of(camera: str, images: torch.Tensor) -> torch.Tensor:
        return compute_features(eyes[names[camera]], images)

    return ImageBank(vision.cameras, features_of)


def contract_of(
    layout: PolicyLayout,
    normalizer: Normalizer,
    task: str,
    control_rate_hz: float,
    action_names: Sequence[str] = (),
) -> Contract:
    """What a machine must offer to run this policy; limits are those the data filled.

    Args:
        layout: Of the policy.
        normalizer: Fitted to the data.
        task: Its name.
        control_rate_hz: Actions per second in the data.
        action_names: One for each action dimension; none: action_0, action_1, ...

    Raises:
        ValueError: If there are names for another number of action dimensions.
    """
    names = action_names or [f"action_{index}" for index in range(layout.action_dim)]
    if len(names) != layout.action_dim:
        raise ValueError(f"{len(names)} action_names for {layout.action_dim} action dimensions")
    state, spec = normalizer.state_dict(), layout.spec
    centre, half = state[f"{ACTION}.centre"], state[f"{ACTION}.half_range"]
    cameras = layout.architecture.vision.cameras
    return Contract(
        kind=KIND,
        task=task,
        joint_names=tuple(names),
        joint_lower_rad=tuple((centre - half).tolist()),
        joint_upper_rad=tuple((centre + half).tolist()),
        control_rate_hz=control_rate_hz,
        quaternion_order="xyzw",
        observations=layout.features | {name: math.prod(size) for name, size in cameras.items()},
        action={
            "history": spec.history,
            "history_keys": list(spec.history_keys),
            "prefix": spec.prefix,
            "horizon": spec.horizon,
        }
        | ({"pose_frame": spec.pose_frame} if spec.pose_frame else {}),
    )


def _build_learner(layout: PolicyLayout, config: LearnerConfig, device: str) -> Learner:
    """Fresh networks; the same seed gives the same weights."""
    if warning := untrained_warning(layout.architecture.vision):
        warnings.warn(warning, stacklevel=3)
    return build_learner(layout, config, device=device)


def _policy_of(
    learner: Learner, layout: PolicyLayout, normalizer: Normalizer, *, with_critics: bool
) -> ChunkPolicy:
    sigma = given(learner.config.improvement.sigma, "learner.improvement.sigma")
    critics = learner.critics if with_critics else None
    return ChunkPolicy(layout, learner.acting, critics, normalizer, sigma=sigma)


def _with_support(run: OfflineRun, episodes: dict[str, Episode]) -> LearnerConfig:
    """The learner's configuration; a support that is not given is found in the data."""
    if run.learner.critic.support is not None:
        return run.learner
    low, high = return_range(episodes.values(), run.spec.discount)
    support = (run.support_headroom * low, run.support_headroom * high)
    return replace(run.learner, critic=replace(run.learner.critic, support=support))
