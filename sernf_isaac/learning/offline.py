"""The imitation route: from stored demonstrations through stages I to III to a policy file."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.replay import Replay
from sernf_isaac.data.sources import load_episodes, return_range
from sernf_isaac.data.windows import ChunkBatch, ChunkSpec
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE, WARM_UP, Stage
from sernf_isaac.learning.training import Leg, StagedTraining
from sernf_isaac.policy import KIND, ChunkPolicy, PolicyLayout
from sernf_isaac.spec import Contract

CONFIG_FILE = "config.yaml"
POLICY_FILE = "policy.pt"


@dataclass
class OfflineRun:
    """Everything that determines an offline training run; steps are the paper's RoboMimic ones."""

    data: list[str] = field(default_factory=list)
    """Folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5)."""
    keys: list[str] = field(default_factory=list)
    """Observation groups to learn from. Empty: all; robomimic files need them named."""
    name: str = "offline"
    """What the task is called in the policy's contract."""
    control_rate_hz: float = 20.0
    """Actions per second in the data."""
    seed: int = 0
    batch_size: int = 256
    """Paper: 256 for imitation; 48 (scissors) or 512 (cube) in the stages with a critic (G)."""
    rl_batch_size: int = 256
    imitation_steps: int = 30_000
    warm_up_steps: int = 5_000
    offline_steps: int = 10_000
    successes_only: bool = False
    """Imitate only episodes with the outcome "success" in stage I, as the paper does (IV-D)."""
    support_from_data: bool = True
    """Set the critics' support to the range of returns in the data instead of `critic.support`."""
    spec: ChunkSpec = field(
        default_factory=lambda: ChunkSpec(history=1, prefix=0, horizon=10, history_keys=())
    )
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    log_every: int = 50
    save_every: int = 1_000


def load_run(run_dir: Path) -> OfflineRun:
    """The settings a run was started with.

    Raises:
        FileNotFoundError: If the folder holds no run.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{run_dir} is no training run: it has no {CONFIG_FILE}")
    merged = OmegaConf.merge(OmegaConf.structured(OfflineRun), OmegaConf.load(path))
    return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely by OmegaConf


class OfflineSampler:
    """Batches for stages I to III, scaled for the networks; demonstrations only where asked for."""

    def __init__(
        self, run: OfflineRun, episodes: dict[str, Episode], normalizer: Normalizer
    ) -> None:
        self._run, self._normalizer = run, normalizer
        draw = torch.Generator().manual_seed(run.seed)
        self._all = Replay(run.spec, draw)
        self._demonstrations = Replay(run.spec, draw) if run.successes_only else self._all
        for name, stored in episodes.items():
            episode = replace(stored, is_offline=True)  # whoever recorded it, it is here before us
            self._all.add(episode, name)
            if run.successes_only and episode.outcome == "success":
                self._demonstrations.add(episode, name)
        if not len(self._demonstrations):
            what = "successful episodes" if run.successes_only else "windows"
            raise ValueError(f"the data hold no {what} long enough for a chunk")

    def draw(self, stage: Stage) -> ChunkBatch:
        """A fresh batch for this stage."""
        imitation = stage is IMITATION
        replay = self._demonstrations if imitation else self._all
        size = self._run.batch_size if imitation else self._run.rl_batch_size
        return self._normalizer.normalize_batch(replay.sample(size))

    def state_dict(self) -> dict:
        """What the next batches depend on."""
        return self._all.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._all.load_state_dict(state)


def train(run: OfflineRun, run_dir: Path, *, device: str = "cpu", resume: bool = False) -> Path:
    """Train, or continue training, and return the policy file; one more is written per stage.

    Raises:
        FileNotFoundError: If data or a resume point are missing.
        ValueError: If data or settings do not fit together.
    """
    episodes = load_episodes(run.data, run.keys)
    first = next(iter(episodes.values()))
    features = _features(first)
    normalizer = _fit(episodes.values(), features)
    config = run.learner
    if run.support_from_data:
        config.critic.support = return_range(episodes.values(), run.spec.discount)
    run_dir.mkdir(parents=True, exist_ok=True)
    if not resume:
        (run_dir / CONFIG_FILE).write_text(OmegaConf.to_yaml(OmegaConf.structured(run)))
    learner = build_learner(
        config,
        run.spec,
        features=features,
        action_dim=first.action_dim,
        seed=run.seed,
        device=device,
    )
    layout = PolicyLayout(
        features, first.action_dim, run.spec, config.policy, config.critic, run.seed
    )

    def export(leg: Leg) -> dict[str, float]:
        policy = _policy_of(learner, layout, normalizer, judged=leg.stage.critic)
        for name in (f"policy_{leg.stage.name}.pt", POLICY_FILE):
            policy.save(
                run_dir / name, contract_of(run, layout, normalizer), {"stage": leg.stage.name}
            )
        return {}

    training = StagedTraining(
        learner,
        OfflineSampler(run, episodes, normalizer),
        [
            Leg(IMITATION, run.imitation_steps),
            Leg(WARM_UP, run.warm_up_steps),
            Leg(OFFLINE, run.offline_steps),
        ],
        run_dir,
        log_every=run.log_every,
        save_every=run.save_every,
        after_leg=export,
    )
    if resume:
        training.resume()
    training.run()
    return run_dir / POLICY_FILE


def contract_of(run: OfflineRun, layout: PolicyLayout, normalizer: Normalizer) -> Contract:
    """What a machine must offer to run this policy; limits are those the data filled."""
    state = normalizer.state_dict()
    centre, half = state[f"{ACTION}.centre"], state[f"{ACTION}.half_range"]
    return Contract(
        kind=KIND,
        task=run.name,
        joint_names=tuple(f"action_{index}" for index in range(layout.action_dim)),
        joint_lower_rad=tuple((centre - half).tolist()),
        joint_upper_rad=tuple((centre + half).tolist()),
        control_rate_hz=run.control_rate_hz,
        quaternion_order="xyzw",
        observations=layout.features,
        action={
            "history": run.spec.history,
            "prefix": run.spec.prefix,
            "horizon": run.spec.horizon,
        },
    )


def _policy_of(
    learner: Learner, layout: PolicyLayout, normalizer: Normalizer, *, judged: bool
) -> ChunkPolicy:
    sigma = learner.config.improvement.sigma
    judge = learner.judge if judged else None
    return ChunkPolicy(layout, learner.actor, judge, normalizer, sigma=sigma)


def _features(episode: Episode) -> dict[str, int]:
    """F of each observation group, by name: files do not keep groups in order.

    Raises:
        ValueError: If a group holds images.
    """
    if images := [name for name, value in episode.observation.items() if value.ndim != 2]:
        raise ValueError(f"groups {images} are images; name the others with --keys")
    return {name: value.shape[1] for name, value in sorted(episode.observation.items())}


def _fit(episodes: Iterable[Episode], features: dict[str, int]) -> Normalizer:
    """Ranges of all groups and of actions over all episodes."""
    kept = list(episodes)
    data = {name: np.concatenate([e.observation[name] for e in kept]) for name in features}
    return Normalizer.from_data(data | {ACTION: np.concatenate([e.action for e in kept])})
