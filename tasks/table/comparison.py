"""What the method is compared with on the simulated table: other policies, and other uses of data.

The paper's baselines (App. D, G.3): ACT and flow matching, which only imitate, and the flow that
imitates more: all successful episodes, those of online RL included, or more demonstrations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from sernf_isaac.checkpoint import read_whole
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
from sernf_isaac.learning.online.episode_files import unpack
from sernf_isaac.learning.online.in_memory import ONLINE_STATE_FILE, FourStageRun
from tasks.table.flags import USES
from tasks.table.task import TableTask

NAMES = {"flow": "flow", "gaussian": "Gaussian", "act": "ACT", "flow_matching": "flow matching"}
"""Of the kinds of policies."""


@dataclass(frozen=True)
class Variant:
    """One way to learn a task; the defaults are the method itself."""

    task: TableTask
    policy: str = "flow"
    """One of `architecture.KINDS`."""
    demonstrations: int | None = None
    """So many, the first ones of the store; None: as many as the task has."""
    used: str = USES[0]
    """One of `USES`."""
    imitation_only: bool = False
    """Stop after stage I."""
    rollouts_of: Path | None = None
    """Folder of a finished run, whose successful online rollouts count as demonstrations."""

    def __post_init__(self) -> None:
        if self.used not in USES:
            raise ValueError(f"demonstrations used ({self.used!r}) must be one of {USES}")
        if self.count < 1:
            raise ValueError(f"demonstrations ({self.count}) must be at least 1")

    @property
    def count(self) -> int:
        """Of demonstrations."""
        return self.task.demonstrations if self.demonstrations is None else self.demonstrations

    @property
    def learns_online(self) -> bool:
        """Whether there is a stage IV."""
        return not self.imitation_only and self.policy not in WITHOUT_LIKELIHOOD

    @property
    def label(self) -> str:
        """For tables."""
        parts = [NAMES[self.policy]]
        if self.count != self.task.demonstrations:
            parts.append(f"{self.count} demonstrations")
        if self.used != USES[0]:
            parts.append("failures imitated too")
        if self.rollouts_of:
            parts.append("successful rollouts imitated too")
        if self.imitation_only:
            parts.append("imitation only")
        return ", ".join(parts)

    def folder(self, root: Path, seed: int) -> Path:
        """Where runs of this variant go; the method itself has no folder of its own."""
        changes = ["imitation"] if self.imitation_only else []
        if self.count != self.task.demonstrations:
            changes.append(f"{self.count}_demonstrations")
        changes += [self.used] if self.used != USES[0] else []
        changes += ["rollouts"] if self.rollouts_of else []
        if changes or self.policy != "flow":
            root = root / "_".join([self.policy, *changes])
        return root / f"seed_{seed}"

    def settings(self, seed: int) -> FourStageRun:
        """Of a run of this variant."""
        run = self.task.settings(seed, self.policy)
        run = replace(run, successes_only=self.used == "successful")
        return replace(run, warm_up_steps=0, offline_steps=0) if self.imitation_only else run

    def data(self, store: Path) -> dict[str, Episode]:
        """What to learn from, by name; numbers only.

        Raises:
            FileNotFoundError: If there are no rollouts where they should be.
            ValueError: If the store holds too few demonstrations.
        """
        stored = load_episodes([str(store)], list(self.task.features))
        shown = dict(islice(stored.items(), self.count))
        if len(shown) < self.count:
            raise ValueError(f"{store} holds {len(shown)} demonstrations, not {self.count}")
        return shown | (successful_rollouts(self.rollouts_of) if self.rollouts_of else {})


def successful_rollouts(folder: Path) -> dict[str, Episode]:
    """The successful episodes of a run's online stage, by name.

    Raises:
        FileNotFoundError: If the run has no online stage, or has not come to it yet.
        ValueError: If its file is damaged.
    """
    path = folder / ONLINE_STATE_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no online rollouts ({path.name}); run it first")
    state = read_whole(path)
    if not isinstance(state, Mapping) or "episodes" not in state:
        raise ValueError(f"{path} is no resume point of an online stage")
    played = unpack(state["episodes"]) if state["episodes"] else []
    return {
        f"{folder}/rollout_{number}": replace(episode, is_offline=True)
        for number, episode in enumerate(played)
        if episode.outcome == "success"
    }
