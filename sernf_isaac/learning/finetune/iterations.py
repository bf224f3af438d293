"""Batches from a store that grows: each iteration waits for its data, then keeps them.

An iteration's data, down to the revision of every label, are fixed when it begins. So a learner
that is killed and resumed draws the batches that would have come next, whatever the robot has added
or people have relabelled meanwhile; both count from the next iteration on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import Normalizer
from sernf_isaac.data.replay import Mixing, Replay
from sernf_isaac.data.store.labels import label_path, newest_revisions, read_label
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.learning.finetune.held_out import is_held_out
from sernf_isaac.learning.per_step import PerStepReplay
from sernf_isaac.learning.stages import Stage
from sernf_isaac.learning.workers import Workers

ROUNDING_MINUTES = 1e-6
Manifest = list[tuple[str, int]]
"""Ids of episodes and the revisions of their labels; 0: as recorded."""


@dataclass(frozen=True)
class IterationPlan:
    """When an iteration begins, and how long it lasts."""

    updates: int
    """Per iteration."""
    minutes: float
    """New data per iteration: number k (from 0) begins with at least (k + 1) times this."""
    control_rate_hz: float
    batch_size: int


class IterationSampler:
    """A `Sampler` over the episodes of a run.

    Args:
        run: The run's folder.
        keys: Observation groups to learn from.
        spec: How to cut episodes.
        normalizer: Scales batches for the networks.
        plan: When iterations begin.
        critic: Kind of the critics; "per_step" has `draw_steps`.
        mixing: How offline and online windows share a batch.
        seed: Of all draws.
        wait: Called with the minutes there are and those needed until there are enough; returns
            when it is time to look again.
        workers: Processes among which batches are dealt out; `plan` says how many rows each gets.
            Process 0 decides what an iteration's data are; the others wait until they see them.
        together: Neighbouring rows of a batch that one process gets: as many as the parts into
            which an update deals its batch out.
        held_out_share: Of the robot's episodes that no batch is drawn from; see `held_out`.
        simulated: Episodes that stay among the data, as offline ones.
    """

    def __init__(
        self,
        run: Path,
        *,
        keys: list[str],
        spec: ChunkSpec,
        normalizer: Normalizer,
        plan: IterationPlan,
        critic: str = "chunk",
        mixing: Mixing,
        seed: int,
        wait: Callable[[float, float], None],
        workers: Workers | None = None,
        together: int = 1,
        held_out_share: float = 0.0,
        simulated: Sequence[Episode] = (),
    ) -> None:
        self._workers, self._together = workers or Workers(), together
        self._reader, self._keys, self.spec = RunReader(run), keys, spec
        self._normalizer, self._plan, self._mixing = normalizer, plan, mixing
        self._wait = wait
        self._generator = torch.Generator().manual_seed(seed)
        self._manifest: Manifest = []
        self._kind = Replay if critic == "chunk" else PerStepReplay
        self._replay = self._kind(spec, self._generator, mixing)
        self._drawn = 0
        self._held_out_share, self._simulated = held_out_share, simulated

    @property
    def iteration(self) -> int:
        """Number of the iteration the last batch was of; 0 is the first."""
        return max(self._drawn - 1, 0) // self._plan.updates

    @property
    def data_minutes(self) -> float:
        """Robot time in the current iteration's data."""
        known = dict(self._manifest)
        return self._minutes([c for c in self._reader.commits() if c.id in known])

    def held_out(self) -> list[Episode]:
        """Episodes of the current iteration's data that nobody learns from."""
        commits = {commit.id: commit for commit in self._reader.commits()}
        kept = [entry for entry in self._manifest if self._judges(entry[0])]
        return [self._load(commits[eid], revision) for eid, revision in kept]

    def draw(self, stage: Stage) -> ChunkBatch:
        """A scaled batch; waits for data at an iteration's first one.

        Raises:
            ValueError: If the data hold nothing to learn from.
        """
        del stage
        if self._drawn % self._plan.updates == 0:
            self._begin(self._drawn // self._plan.updates)
        self._drawn += 1
        return self._own(self._replay, self._plan.batch_size, self._together)

    def draw_steps(self, count: int) -> ChunkBatch:
        """Single steps of the current iteration's data, scaled."""
        assert isinstance(self._replay, PerStepReplay), "only critics per step ask"
        return self._own(self._replay.transitions, count, 1)

    def state_dict(self) -> dict:
        """What the next batches depend on."""
        return {
            "drawn": self._drawn,
            "manifest": [list(entry) for entry in self._manifest],
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`.

        Raises:
            ValueError: If an episode or a label of the iteration is gone.
        """
        self._drawn = state["drawn"]
        self._fill([(eid, revision) for eid, revision in state["manifest"]])
        self._generator.set_state(state["generator"])

    def _begin(self, number: int) -> None:
        needed = (number + 1) * self._plan.minutes
        while (there := self._minutes_for_all()) < needed - ROUNDING_MINUTES:
            self._wait(there, needed)
        newest = newest_revisions(self._reader.run)
        labelled = [(commit.id, newest.get(commit.id, 0)) for commit in self._usable()]
        labelled = self._workers.agree(labelled)
        while any(self._workers.gather(self._unseen(labelled))[1:]):  # network disks may be slow
            self._wait(there, needed)
        self._fill(labelled)
        if not len(self._replay):
            raise ValueError(f"{self._reader.run}: {len(labelled)} episodes, none long enough")

    def _own(self, replay: Replay, size: int, together: int) -> ChunkBatch:
        """This process's rows of a batch for all, scaled."""
        whole = size * self._workers.count
        drawn = replay.sample(whole, self._workers.rows(whole, together))
        return self._normalizer.normalize_batch(drawn)

    def _minutes_for_all(self) -> float:
        return self._workers.agree(self._minutes(self._usable()))

    def _unseen(self, manifest: Manifest) -> bool:
        """Whether this process lacks something of what process 0 has seen."""
        known, run = {commit.id: commit for commit in self._reader.commits()}, self._reader.run
        if any(eid not in known for eid, _ in manifest):
            return True
        files = [run / file.path for eid, _ in manifest for file in known[eid].files]
        files += [label_path(run, eid, revision) for eid, revision in manifest if revision]
        return not all(path.is_file() for path in files)

    def _usable(self) -> list[Commit]:
        return [commit for commit in self._reader.commits() if self._reader.may_train(commit)]

    def _minutes(self, commits: list[Commit]) -> float:
        return sum(commit.steps for commit in commits) / self._plan.control_rate_hz / 60.0

    def _fill(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._replay = self._kind(self.spec, self._generator, self._mixing)
        commits = {commit.id: commit for commit in self._reader.commits()}
        if missing := sorted({eid for eid, _ in manifest} - set(commits)):
            raise ValueError(f"{self._reader.run} lost episodes {missing[:3]} of this iteration")
        for number, episode in enumerate(self._simulated):
            self._replay.add(episode, f"simulated/{number}")
        for eid, revision in manifest:
            if not self._judges(eid):
                self._replay.add(self._load(commits[eid], revision), eid)

    def _judges(self, eid: str) -> bool:
        return is_held_out(eid, self._held_out_share)

    def _load(self, commit: Commit, revision: int) -> Episode:
        episode = self._reader.load(commit, labelled=False, groups=self._keys)
        if revision:
            label = read_label(self._reader.run, commit.id, revision)
            assert label is not None, "a revision that was listed"
            episode = label.apply(episode)
        if missing := [key for key in self._keys if key not in episode.observation]:
            raise ValueError(f"episode {commit.id} lacks the policy's groups {missing}")
        episode.observation = {key: episode.observation[key] for key in self._keys}
        if episode.final_observation:
            final = episode.final_observation
            episode.final_observation = {key: final[key] for key in self._keys}
        return episode
