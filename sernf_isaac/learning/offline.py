"""The imitation route: from stored demonstrations through stages I to III to a policy file."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
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
from sernf_isaac.models.actor_critic import PREFIX
from sernf_isaac.policy import KIND, ChunkPolicy, PolicyLayout
from sernf_isaac.spec import Contract

CONFIG_FILE = "config.yaml"
RESERVED = (PREFIX, ACTION, "type", "keys", "values", "items")
"""Names that mean something else to encoders, normalisers or PyTorch's module dictionaries."""
POLICY_FILE = "policy.pt"


@dataclass
class OfflineRun:
    """Everything that determines an offline training run."""

    data: list[str] = field(default_factory=list)
    """Folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5)."""
    keys: list[str] = field(default_factory=list)
    """Observation groups to learn from. Empty: all; robomimic files need them named."""
    name: str = "offline"
    """What the task is called in the policy's contract."""
    control_rate_hz: float = 0.0
    """Actions per second in the data; part of the policy's contract, so it must be given."""
    action_names: list[str] = field(default_factory=list)
    """Names of the action dimensions, for the contract. Empty: action_0, action_1, ..."""
    seed: int = 0
    batch_size: int = 256
    """In stage I; the paper's scissors (G)."""
    rl_batch_size: int = 256
    """In the stages with a critic; paper: 48 (scissors), 512 (cube)."""
    imitation_steps: int = 30_000
    """Paper: 30,000 in simulation, 200,000 for the scissors (G)."""
    warm_up_steps: int = 5_000
    """Paper: 5,000 for the scissors, 3,000 for the cube."""
    offline_steps: int = 10_000
    """Paper: 1,000 before going online. More, because nothing follows here."""
    successes_only: bool = False
    """Imitate only episodes with the outcome "success" in stage I, as the paper does (IV-D). Off by
    default, because most files do not say which those are."""
    support_from_data: bool = True
    """Set the critics' support to the range of returns in the data instead of `critic.support`."""
    support_headroom: float = 1.0
    """Factor on that range, away from 0: room for a policy that is better than the data."""
    min_range: float = 1e-3
    """Dimensions that move less than this, in their own units, are not blown up to [-1, 1]."""
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
        if not self._demonstrations.num_imitable:
            what = "successful episodes" if run.successes_only else "episodes"
            needed = run.spec.prefix + run.spec.horizon
            raise ValueError(f"the data hold no {what} of at least {needed} steps to imitate")
        self._data = {"normalizer": normalizer.state_dict(), "episodes": _digest(episodes)}

    def draw(self, stage: Stage) -> ChunkBatch:
        """A fresh batch for this stage."""
        imitation = stage is IMITATION
        replay = self._demonstrations if imitation else self._all
        size = self._run.batch_size if imitation else self._run.rl_batch_size
        return self._normalizer.normalize_batch(replay.sample(size))

    def state_dict(self) -> dict:
        """What the next batches depend on, and what the data were."""
        return {"replay": self._all.state_dict()} | self._data

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`.

        Raises:
            ValueError: If the data have changed since.
        """
        known, mine = state["normalizer"], self._data["normalizer"]
        same_ranges = known.keys() == mine.keys() and all(
            torch.equal(known[name], mine[name]) for name in mine
        )
        if not same_ranges or state["episodes"] != self._data["episodes"]:
            raise ValueError("the data have changed since this run was started; start a new one")
        self._all.load_state_dict(state["replay"])


def train(run: OfflineRun, run_dir: Path, *, device: str = "cpu", resume: bool = False) -> Path:
    """Train, or continue training, and return the policy file; one more is written per stage.

    Raises:
        FileNotFoundError: If data or a resume point are missing.
        ValueError: If data or settings do not fit together.
    """
    if run.control_rate_hz <= 0.0:
        raise ValueError("control_rate_hz must be given: how many actions per second the data hold")
    episodes = load_episodes(run.data, run.keys)
    features, action_dim = _sizes(episodes)
    normalizer = _fit(episodes.values(), features, run.min_range)
    config = _with_support(run, episodes)
    learner = build_learner(
        config,
        run.spec,
        features=features,
        action_dim=action_dim,
        seed=run.seed,
        device=device,
    )
    layout = PolicyLayout(features, action_dim, run.spec, config.policy, config.critic, run.seed)
    contract = contract_of(run, layout, normalizer)

    def export(leg: Leg) -> dict[str, float]:
        policy = _policy_of(learner, layout, normalizer, judged=leg.stage.critic)
        for name in (f"policy_{leg.stage.name}.pt", POLICY_FILE):
            policy.save(run_dir / name, contract, {"stage": leg.stage.name, "run": asdict(run)})
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
    else:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / CONFIG_FILE).write_text(OmegaConf.to_yaml(OmegaConf.structured(run)))
    training.run()
    return run_dir / POLICY_FILE


def contract_of(run: OfflineRun, layout: PolicyLayout, normalizer: Normalizer) -> Contract:
    """What a machine must offer to run this policy; limits are those the data filled.

    Raises:
        ValueError: If there are names for another number of action dimensions.
    """
    names = run.action_names or [f"action_{index}" for index in range(layout.action_dim)]
    if len(names) != layout.action_dim:
        raise ValueError(f"{len(names)} action_names for {layout.action_dim} action dimensions")
    state = normalizer.state_dict()
    centre, half = state[f"{ACTION}.centre"], state[f"{ACTION}.half_range"]
    return Contract(
        kind=KIND,
        task=run.name,
        joint_names=tuple(names),
        joint_lower_rad=tuple((centre - half).tolist()),
        joint_upper_rad=tuple((centre + half).tolist()),
        control_rate_hz=run.control_rate_hz,
        quaternion_order="xyzw",
        observations=layout.features,
        action={
            "history": run.spec.history,
            "history_keys": list(run.spec.history_keys),
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


def _sizes(episodes: dict[str, Episode]) -> tuple[dict[str, int], int]:
    """F of each observation group, by name since files do not keep them in order, and A.

    Raises:
        ValueError: If a group holds images or has a name that is taken, or if episodes differ.
    """
    first_name, first = next(iter(episodes.items()))
    groups = sorted(first.observation)
    if images := [name for name in groups if first.observation[name].ndim != 2]:
        raise ValueError(f"groups {images} are images; name the others with --keys")
    if odd := [name for name in groups if name in RESERVED or not name.isidentifier()]:
        raise ValueError(f"observation groups cannot be called {odd}")
    for name, episode in episodes.items():
        if sorted(episode.observation) != groups or episode.action_dim != first.action_dim:
            raise ValueError(f"{name} has other observation groups or actions than {first_name}")
    features = {name: first.observation[name].shape[1] for name in groups}
    return features, first.action_dim


def _with_support(run: OfflineRun, episodes: dict[str, Episode]) -> LearnerConfig:
    """The learner's configuration with the critics' support as the run asks."""
    if not run.support_from_data:
        return run.learner
    low, high = return_range(episodes.values(), run.spec.discount)
    support = (run.support_headroom * low, run.support_headroom * high)
    return replace(run.learner, critic=replace(run.learner.critic, support=support))


def _fit(episodes: Iterable[Episode], features: dict[str, int], min_range: float) -> Normalizer:
    """Ranges of all groups and of actions over all episodes."""
    kept = list(episodes)
    data = {name: np.concatenate([e.observation[name] for e in kept]) for name in features}
    data[ACTION] = np.concatenate([e.action for e in kept])
    return Normalizer.from_data(data, min_range=min_range)


def _digest(episodes: dict[str, Episode]) -> str:
    """Changes when names or contents of the episodes do."""
    digest = hashlib.sha256()
    for name, episode in episodes.items():
        digest.update(f"{name} {episode.outcome}".encode())
        for key, value in sorted(episode.to_arrays().items()):
            digest.update(key.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
