"""Settings of the imitation route, and where a run keeps them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from sernf_isaac.config import CriticConfig, LearnerConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.run_folder import load_settings

WITHOUT_LIKELIHOOD = ("act", "flow_matching")
"""Kinds of policies that only imitate; critics may still choose among what they propose."""


@dataclass
class OfflineStages:
    """Settings of stages I to III: what every run has that begins with demonstrations."""

    seed: int = 0
    """Of weights and batches."""
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
    held_out_share: float = 0.0
    """Share of the episodes that nobody imitates; how likely they are is logged, and a budget is
    measured on them. Critics learn from them. 0: none (paper)."""
    spec: ChunkSpec = field(
        default_factory=lambda: ChunkSpec(history=1, prefix=0, horizon=10, history_keys=())
    )
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    architecture: Architecture = field(default_factory=Architecture)
    log_every: int = 50
    """Updates between rows of the metrics."""
    save_every: int = 1_000
    """Updates between resume points."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "rl_batch_size", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 1")
        if not 0.0 <= self.held_out_share < 1.0:
            raise ValueError(f"held_out_share ({self.held_out_share}) must be at least 0, below 1")

    def check(self) -> None:
        """An error if no training can be started with this.

        Raises:
            ValueError: Naming the setting.
        """
        if self.architecture.kind in WITHOUT_LIKELIHOOD and self.offline_steps:
            raise ValueError(
                f"a policy of the kind {self.architecture.kind!r} has no likelihood, which stage "
                f"III needs; set offline_steps=0 instead of {self.offline_steps}"
            )
        budget = self.learner.improvement.budget
        if budget is not None and not self.held_out_share:
            raise ValueError(
                f"learner.improvement.budget = {budget} is measured on data that nobody imitates: "
                "set held_out_share too, such as 0.1"
            )


@dataclass
class OfflineRun(OfflineStages):
    """Everything that determines an offline training run."""

    data: list[str] = field(default_factory=list)
    """Folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5)."""
    keys: list[str] = field(default_factory=list)
    """Observation groups to learn from, cameras included. Empty: all but those that robots log for
    people (`log_...`); robomimic files need them named."""
    name: str = "offline"
    """What the task is called in the policy's contract."""
    control_rate_hz: float = 0.0
    """Actions per second in the data, part of the policy's contract. 0: what the data say; where
    they say nothing it must be given."""
    action_names: list[str] = field(default_factory=list)
    """Names of the action dimensions, for the contract. Empty: action_0, action_1, ..."""
    support_headroom: float = 1.0
    """Factor on the range of the returns in the data, away from 0: room for a policy that is better
    than they are. For `learner.critic.support=null`, which is the default here."""
    min_range: float = 1e-3
    """Dimensions that move less than this, in their own units, are not blown up to [-1, 1]."""
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(critic=CriticConfig(support=None))
    )

    def check(self) -> None:
        """An error if no training can be started with this.

        Raises:
            ValueError: Naming the setting.
        """
        super().check()
        if self.control_rate_hz <= 0.0:
            raise ValueError(
                "control_rate_hz must be given: how many actions per second the data hold, which "
                "they do not say themselves"
            )
        support = self.learner.critic.support
        if support is not None and self.support_headroom != 1.0:
            raise ValueError(
                f"support_headroom ({self.support_headroom}) widens the range of the data, but "
                f"learner.critic.support ({support}) is given; leave one of them out"
            )


def as_baseline[Run: OfflineStages](run: Run, kind: str) -> Run:
    """The same run for another kind of policy, with what the paper changes for it (App. G.3).

    Data, encoder, optimiser and batches stay. ACT gets chunks of 20 actions, no queue and decides
    at every step; flow matching starts from noise of deviation 1; both have a dropout of 0.1 and
    learn by imitation only.
    """
    run = replace(run, architecture=replace(run.architecture, kind=kind))
    if kind not in WITHOUT_LIKELIHOOD:
        return run
    learner = replace(run.learner, policy=replace(run.learner.policy, imitation_dropout=0.1))
    if kind == "flow_matching":
        learner = replace(learner, improvement=replace(learner.improvement, sigma=1.0))
    spec = replace(run.spec, horizon=20, prefix=0) if kind == "act" else run.spec
    return replace(run, learner=learner, spec=spec, warm_up_steps=0, offline_steps=0)


def policy_file(stage: str) -> str:
    """Name of the file with the policy as it was after a stage."""
    return f"policy_{stage}.pt"


def load_run(run_dir: Path) -> OfflineRun:
    """The settings a run was started with; errors as `run_folder.load_settings`."""
    return load_settings(run_dir, OfflineRun)
