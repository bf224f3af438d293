"""Fine-tuning beside a robot: learns from a run's episodes as they come, publishes policies.

Learner and robot share the run's folder and nothing else; either may stop at any time. Iterations
follow the paper's in-hand experiment (C.3): 15 minutes of data, then 1,000 updates; three
iterations warm up the critics while the policy is frozen, one improves it on all data as offline
data, three mix offline and online data.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sernf_isaac import run_folder
from sernf_isaac.config import ImprovementConfig, LearnerConfig, refuse_unused
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing
from sernf_isaac.data.source_info import agreed_rate
from sernf_isaac.data.store.channel import beat, first_checkpoint
from sernf_isaac.data.store.writer import make_folders
from sernf_isaac.learning.build import DrawSteps, learner_from
from sernf_isaac.learning.finetune.iterations import IterationPlan, IterationSampler
from sernf_isaac.learning.finetune.keeper import Keeper
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.online.episode_files import load_episodes, save_episodes
from sernf_isaac.learning.staged_training import STATE_FILE, Leg, StagedTraining
from sernf_isaac.learning.stages import OFFLINE, ONLINE, WARM_UP, unequal
from sernf_isaac.learning.workers import Workers
from sernf_isaac.policy import ChunkPolicy, load_policy
from sernf_isaac.run_folder import CONFIG_FILE
from sernf_isaac.spec import Contract

FOLDER = "learner"
"""In the run's folder: resume point, metrics and settings."""
SIMULATED_FILE = "simulated.pt"
"""In there: the copy of the simulated episodes that the learner began with."""
NO_BUDGET = "no data are held out of what is imitated here; imitation_weight is a fixed λ"


@dataclass
class FinetuneRun:
    """Everything that determines a learner beside a robot."""

    seed: int = 0
    """Of fresh critics and batches."""
    minutes_per_iteration: float = 15.0
    """Data before each iteration (paper C.3)."""
    updates_per_iteration: int = 1_000
    """Paper C.3."""
    warm_up_iterations: int = 3
    """Critics only; paper: 3,000 updates (V-B)."""
    offline_iterations: int = 1
    """Policy and critics, on all data as offline data."""
    online_iterations: int = 3
    """Policy and critics, on offline and online data."""
    rl_batch_size: int = 512
    """Paper G."""
    critic_updates: int = 1
    """Steps of the critics in one update, among which its batch is dealt out; the policy learns
    from the last part. The paper (Alg. 3) has 1."""
    mixing: Mixing = field(default_factory=lambda: Mixing("proportional"))
    """Paper G: in proportion to their sizes, offline weight 0.5."""
    align_to_decisions: bool = True
    """Learn from windows that begin where the robot decided. Other windows hold actions that were
    chosen later, after more was seen. If the object slips, the policy reacts in such a window, and
    critics may conclude that the reaction made it slip."""
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(improvement=ImprovementConfig(sigma=None))
    )
    """With `improvement.sigma=null`, the first policy's. `policy` must stay as it is: networks and
    dropout are those of the run's first policy; so must what only imitation uses."""
    noise_std: float = 0.01
    """Noise on imitated actions; paper G: 0.01 on real data."""
    fresh_critics: bool = False
    """Start with new critics as `learner.critic` says, also if the first policy brings some (the
    paper). False: go on with those, whatever their size; the robot then chooses by value from the
    first minute, and what the warm-up learns is published too."""
    simulated: str = ""
    """File of simulated episodes that stay among the data as offline ones, such as polish.py leaves
    beside its student. Empty: none (the paper)."""
    held_out_share: float = 0.0
    """Share of the robot's episodes that nobody learns from. A policy is published only if its
    critics foresee their returns no worse than those in use. 0: always publish (the paper)."""
    log_every: int = 50
    """Updates between rows of the metrics."""
    save_every: int = 250
    """Updates between resume points."""

    def __post_init__(self) -> None:
        if self.critic_updates < 1 or self.rl_batch_size % self.critic_updates:
            raise ValueError(
                f"rl_batch_size: {self.rl_batch_size} rows cannot be dealt out among "
                f"{self.critic_updates} critic_updates"
            )
        if not 0.0 <= self.held_out_share < 1.0:
            raise ValueError(f"held_out_share ({self.held_out_share}) must be in 0..1, below 1")
        if self.held_out_share and self.learner.critic.kind != "chunk":
            raise ValueError("held_out_share judges critics of chunks; set it to 0")
        refuse_unused(
            self.learner,
            ("policy", "optimizer.imitation_learning_rate"),
            "fine-tuning takes networks and dropout of the run's first policy and imitates within "
            "the stages that have a critic",
        )
        refuse_unused(self.learner, ("improvement.budget",), NO_BUDGET)

    def legs(self) -> list[Leg]:
        """One leg per iteration."""
        counts = (
            (WARM_UP, self.warm_up_iterations),
            (OFFLINE, self.offline_iterations),
            (ONLINE, self.online_iterations),
        )
        return [
            Leg(unequal(stage, self.critic_updates), self.updates_per_iteration)
            for stage, count in counts
            for _ in range(count)
        ]


def load_settings(run: Path) -> FinetuneRun:
    """The settings a learner was started with.

    Raises:
        FileNotFoundError: If none was started in this run.
        ValueError: If the file is cut off or lacks a setting.
    """
    path = run / FOLDER / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no learner to resume in {run}: there is no {path}")
    return run_folder.load_settings(run / FOLDER, FinetuneRun)


def finetune(
    settings: FinetuneRun,
    run: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    wait: Callable[[float, float], None],
    workers: Workers | None = None,
) -> Path:
    """Learn until the last iteration; returns the newest policy file.

    Args:
        settings: Everything that determines the learner.
        run: The run's folder; has its first policy.
        device: Where to learn.
        resume: Go on from the last resume point.
        wait: Called while there are too few data; see `IterationSampler`.
        workers: Processes that learn together; None: this one alone.

    Raises:
        FileNotFoundError: If there is nothing to resume.
        ValueError: If the run has no policy, data that do not fit it, a learner that would be lost
            because `resume` is not given, or another process that learns.
    """
    first = load_policy(first_policy(run), device)
    folder = run / FOLDER
    with run_folder.writing(folder):
        if not resume and (folder / STATE_FILE).is_file():
            raise ValueError(
                f"{folder} holds a learner already: go on with --resume, or move that folder"
            )
        how = {"device": device, "resume": resume, "wait": wait}
        make_folders(run)  # rsync has not copied those that are empty
        return _learn(settings, run, *first, workers or Workers(), **how)


def _learn(
    settings: FinetuneRun,
    run: Path,
    first: ChunkPolicy,
    contract: Contract,
    workers: Workers,
    *,
    device: str,
    resume: bool,
    wait: Callable[[float, float], None],
) -> Path:
    sampler = _sampler(settings, run, first, contract, wait, workers)
    learner, policy = _build(settings, first, sampler.draw_steps, device)
    learner.join(workers)
    folder = run / FOLDER

    warm = first.critics is not None and not settings.fresh_critics
    keeper = Keeper(run, sampler, device)

    def after_leg(leg: Leg) -> dict[str, float]:
        found = {"data/minutes": sampler.data_minutes, "iteration": float(sampler.iteration + 1)}
        path = folder / "policy.pt"
        policy.save(path, contract, {"stage": leg.stage.name, "update": training.step})
        if warm or leg.stage.name != WARM_UP.name:  # else it still drives as it did
            found |= keeper.publish_unless_worse(policy, path, training.step)
        info: dict = dict(found)
        beat(run, "learner", info | {"stage": leg.stage.name, "update": training.step}, time.time)
        return found

    training = StagedTraining(
        learner,
        sampler,
        settings.legs(),
        folder,
        log_every=settings.log_every,
        save_every=settings.save_every,
        after_leg=after_leg,
    )
    if resume:
        training.resume()
    elif workers.writes:
        run_folder.save_settings(folder, settings)
    training.run()
    return folder / "policy.pt"


def first_policy(run: Path) -> Path:
    """The policy file the run began with, checked.

    Raises:
        ValueError: If there is none, or several.
    """
    first = first_checkpoint(run)
    if first is None:
        raise ValueError(f"{run} has no first policy; run_hand.py publishes it")
    return first.file.check(run)


def _build(
    settings: FinetuneRun, first: ChunkPolicy, draw_steps: DrawSteps, device: str
) -> tuple[Learner, ChunkPolicy]:
    """The learner, and the policy that shares its networks."""
    return learner_from(
        first,
        settings.learner,
        draw_steps,
        fresh_critics=settings.fresh_critics,
        noise_std=settings.noise_std,
        seed=settings.seed,
        device=device,
    )


def _sampler(
    settings: FinetuneRun,
    run: Path,
    policy: ChunkPolicy,
    contract: Contract,
    wait: Callable[[float, float], None],
    workers: Workers,
) -> IterationSampler:
    rate_hz = agreed_rate([run], contract.control_rate_hz)
    plan = IterationPlan(
        settings.updates_per_iteration,
        settings.minutes_per_iteration,
        rate_hz,
        settings.rl_batch_size,
    )
    return IterationSampler(
        run,
        keys=[*policy.layout.features, *policy.layout.architecture.vision.cameras],
        spec=replace(policy.layout.spec, align_to_decisions=settings.align_to_decisions),
        normalizer=policy.normalizer.to("cpu"),
        plan=plan,
        critic=settings.learner.critic.kind,
        mixing=settings.mixing,
        seed=settings.seed,
        wait=wait,
        workers=workers,
        together=settings.critic_updates,
        held_out_share=settings.held_out_share,
        simulated=_simulated(settings, run, policy),
    )


def _simulated(settings: FinetuneRun, run: Path, policy: ChunkPolicy) -> list[Episode]:
    """The simulated episodes, as a copy in the run keeps them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no episodes, or such as the policy does not see.
    """
    if not settings.simulated:
        return []
    kept = run / FOLDER / SIMULATED_FILE
    if not kept.is_file():
        episodes = load_episodes(Path(settings.simulated))
        kept.parent.mkdir(exist_ok=True)
        save_episodes(kept, episodes)
    episodes = load_episodes(kept)
    for episode in episodes:
        sizes = {name: value.shape[1] for name, value in episode.observation.items()}
        if sizes != dict(policy.layout.features):
            raise ValueError(
                f"simulated={settings.simulated} has {sizes}, the policy sees "
                f"{dict(policy.layout.features)}"
            )
    return [replace(episode, is_offline=True) for episode in episodes]
