"""The paper's duck experiment on the simulated table: demonstrations, four stages, fixed tests."""

import json
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from omegaconf import OmegaConf
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.files import publish, write_json
from sernf_isaac.learning.four_stages import (
    ONLINE_STATE_FILE,
    FourStageRun,
    FourStages,
    Milestone,
    Problem,
    act,
)
from sernf_isaac.learning.offline_data import fit_normalizer
from sernf_isaac.learning.online import OnlineTraining, collect
from sernf_isaac.learning.stages import ONLINE
from sernf_isaac.policy import ChunkPolicy
from tasks.duck_bowl.configurations import evaluation_set
from tasks.duck_bowl.environment import FEATURES, DuckBowl
from tasks.duck_bowl.task import CONTROL_RATE_HZ, STAGES
from tasks.manipulation.actions import ACTION_DIM
from tasks.manipulation.protocol import Trial, as_rows, table, trials_of

ROLLOUTS_PER_ROUND = 5
"""Online rollouts between two bouts of updates."""
SETTINGS_FILE = "settings.yaml"
LABELS = {
    "imitation": "imitation (I)",
    "warm_up": "critics choose (II)",
    "offline": "offline RL (III)",
    "online": "online RL (IV)",
}
"""Of the stages."""


def problem_of(demonstrations: Mapping[str, Episode], run: FourStageRun) -> Problem:
    """Demonstrations, and scales fitted to them."""
    offline = run.offline
    scale = fit_normalizer(demonstrations.values(), FEATURES, offline.min_range, offline.spec)
    return Problem(demonstrations, scale, FEATURES, ACTION_DIM)


def evaluate(policy: ChunkPolicy, *, episodes: int, candidates: int) -> list[Trial]:
    """Trials on the test configurations, the same ones every time."""
    starts = evaluation_set(episodes)
    env = DuckBowl(episodes, starts=lambda _: starts, threads=1)
    done = collect(env, act(policy, candidates, seed=0), policy.layout.spec, hold=env.hold)
    return trials_of(done, CONTROL_RATE_HZ)


class Experiment:
    """One seed's way through the stages; what was interrupted goes on.

    Args:
        run: Settings.
        demonstrations: Offline data.
        folder: Of this seed; `result.json` in it holds all trials.
        rollouts: Online episodes in all, a multiple of `ROLLOUTS_PER_ROUND`.
        episodes: Per evaluation.
    """

    def __init__(
        self,
        run: FourStageRun,
        demonstrations: Mapping[str, Episode],
        folder: Path,
        *,
        rollouts: int = 15,
        episodes: int = 16,
    ) -> None:
        if rollouts % ROLLOUTS_PER_ROUND:
            raise ValueError(f"rollouts ({rollouts}) must be a multiple of {ROLLOUTS_PER_ROUND}")
        self.run, self.folder = run, folder
        self._rounds, self._episodes = rollouts // ROLLOUTS_PER_ROUND, episodes
        _keep_settings(folder, run)
        self._file = folder / "result.json"
        known = json.loads(self._file.read_text()) if self._file.is_file() else {}
        self.trials: dict[str, list[Trial]] = {
            stage: [Trial(**row) for row in rows] for stage, rows in known.get("stages", {}).items()
        }
        """By stage."""
        self._stages = FourStages(run, problem_of(demonstrations, run), folder, self._report)

    def go(self) -> dict[str, list[Trial]]:
        """All stages; returns the trials of each."""
        self._stages.train_offline(resume=True)
        self._train_online()
        return self.trials

    def _train_online(self) -> None:
        stages, path = self._stages, self.folder / ONLINE_STATE_FILE
        env = DuckBowl(ROLLOUTS_PER_ROUND, seed=1_000 + self.run.offline.seed, threads=1)
        training = OnlineTraining(
            *(stages.learner, stages.policy, env, stages.replay, self.run.online),
            hold=env.hold,
            seed=self.run.offline.seed,
        )
        if path.is_file():
            training.load_state_dict(read_whole(path))  # type: ignore[arg-type]  # a dict of ours
        done = len(training.episodes) // ROLLOUTS_PER_ROUND
        with tqdm(total=self._rounds, initial=done, desc=ONLINE.name, unit="round") as bar:
            for _ in islice(training.rounds(), self._rounds - done):
                write_whole(path, training.state_dict())
                bar.update()
        last = Milestone(ONLINE.name, stages.policy, training.updates, training.env_steps)
        self._report(last)

    def _report(self, at: Milestone) -> None:
        """Evaluate now, and write all trials so far by one rename."""
        started = time.monotonic()
        candidates = self.run.online.candidates
        found = evaluate(at.policy, episodes=self._episodes, candidates=candidates)
        self.trials[at.stage] = found
        stages = {stage: as_rows(trials) for stage, trials in self.trials.items()}
        content = {"seed": self.run.offline.seed, "stages": stages}
        publish(write_json(self.folder / ".result.partial", content), self._file)
        won = sum(trial.succeeded for trial in found)
        took = time.monotonic() - started
        print(f"{at.stage:10s} {won}/{len(found)} succeeded ({took:.0f} s)", flush=True)


def _keep_settings(folder: Path, run: FourStageRun) -> None:
    """Write a run's settings, or refuse to go on with others."""
    path, text = folder / SETTINGS_FILE, OmegaConf.to_yaml(OmegaConf.structured(run))
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        path.write_text(text)
    elif path.read_text() != text:
        raise ValueError(f"{folder} holds a run with other settings ({path.name}); name a new one")


def load_trials(folder: Path) -> dict[str, list[Trial]]:
    """What an experiment wrote.

    Raises:
        FileNotFoundError: If there is no result in the folder.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise FileNotFoundError(f"no result at {path}; run the experiment first")
    stages = json.loads(path.read_text())["stages"]
    return {stage: [Trial(**row) for row in rows] for stage, rows in stages.items()}


def summary(runs: Sequence[Mapping[str, Sequence[Trial]]]) -> str:
    """A table over runs: stages as rows, all their trials pooled.

    Raises:
        ValueError: If runs went through different stages.
    """
    stages = list(runs[0])
    if odd := [list(run) for run in runs if list(run) != stages]:
        raise ValueError(f"a run went through the stages {odd[0]}, another through {stages}")
    pooled = {stage: [trial for run in runs for trial in run[stage]] for stage in stages}
    return table({LABELS.get(stage, stage): trials for stage, trials in pooled.items()}, STAGES)
