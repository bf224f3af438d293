"""The paper's arm experiments on a simulated table: demonstrations, four stages, fixed tests."""

import json
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from omegaconf import OmegaConf
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.files import publish, write_json
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
from sernf_isaac.learning.offline.data import fit_normalizer
from sernf_isaac.learning.offline.run import contract_of
from sernf_isaac.learning.online.in_memory import (
    ONLINE_STATE_FILE,
    FourStageRun,
    FourStages,
    Milestone,
    Problem,
)
from sernf_isaac.learning.online.training import OnlineTraining
from sernf_isaac.learning.stages import ONLINE
from sernf_isaac.policy import ChunkPolicy
from tasks.manipulation.actions import ACTION_DIM, ACTION_NAMES
from tasks.manipulation.protocol import Trial, as_rows, passed, share
from tasks.manipulation.settings import CONTROL_RATE_HZ, MIN_RANGE
from tasks.table.branch import RESULT_FILE, SETTINGS_FILE, begin_from
from tasks.table.evaluation import evaluate
from tasks.table.task import TableTask


def problem_of(
    task: TableTask, demonstrations: Mapping[str, Episode], run: FourStageRun
) -> Problem:
    """Demonstrations, and scales fitted to them."""
    features = dict(task.features)
    scale = fit_normalizer(demonstrations.values(), features, MIN_RANGE, run.spec)
    return Problem(demonstrations, scale, features, ACTION_DIM)


class Experiment:
    """One seed's way through the stages; what was interrupted goes on.

    Args:
        task: What is learnt.
        run: Settings.
        demonstrations: Offline data.
        folder: Of this seed; receives all trials in `RESULT_FILE`, and `policy_<stage>.pt`.
        rollouts: Online episodes in all, a multiple of the task's `rollouts_per_round`; 0: no
            stage IV.
        episodes: Per evaluation.
        label: Of the run, for tables.
        tests: Which draw of the test configurations.
        start_from: Folder of a run whose offline stages are taken over; see `begin_from`.

    Raises:
        FileNotFoundError: If there are no stages to take over.
        ValueError: If settings do not fit together, or the folder holds a run with others.
    """

    def __init__(
        self,
        task: TableTask,
        run: FourStageRun,
        demonstrations: Mapping[str, Episode],
        folder: Path,
        *,
        rollouts: int = 15,
        episodes: int = 16,
        label: str = "flow",
        tests: int = 0,
        start_from: Path | None = None,
    ) -> None:
        _check(task, run, rollouts)
        self.task, self.run, self.folder, self._label = task, run, folder, label
        self._rounds, self._episodes = rollouts // task.rollouts_per_round, episodes
        self._tests = tests
        if start_from is not None:
            begin_from(start_from, folder, run, episodes=episodes, tests=tests)
        _keep_settings(folder, run)
        self._file = folder / RESULT_FILE
        known = json.loads(self._file.read_text()) if self._file.is_file() else {}
        if known and known.get("tests", 0) != tests:
            raise ValueError(
                f"{folder} holds a run tried on draw {known.get('tests', 0)} of the tests, not "
                f"{tests}; name a new folder"
            )
        self.trials: dict[str, list[Trial]] = {
            stage: [Trial(**row) for row in rows] for stage, rows in known.get("stages", {}).items()
        }
        """By stage."""
        self._stages = FourStages(run, problem_of(task, demonstrations, run), folder, self._report)

    def go(self) -> dict[str, list[Trial]]:
        """All stages there are; returns the trials of each."""
        self._stages.train_offline(resume=True)
        if self._rounds:
            self._train_online()
        return self.trials

    def _train_online(self) -> None:
        stages, path = self._stages, self.folder / ONLINE_STATE_FILE
        at_once = self.task.rollouts_per_round
        env = self.task.tables(at_once, seed=1_000 + self.run.seed, threads=1)
        training = OnlineTraining(
            *(stages.learner, stages.policy, env, stages.replay, self.run.online),
            batch_size=self.run.rl_batch_size,
            hold=env.hold,
            seed=self.run.seed,
        )
        if path.is_file():
            training.load_state_dict(read_whole(path))  # type: ignore[arg-type]  # a dict of ours
        done = len(training.episodes) // at_once
        with tqdm(total=self._rounds, initial=done, desc=ONLINE.name, unit="round") as bar:
            for _ in islice(training.rounds(), self._rounds - done):
                write_whole(path, training.state_dict())
                bar.update()
        last = Milestone(ONLINE.name, stages.policy, training.updates, training.env_steps)
        self._report(last)

    def _report(self, at: Milestone) -> None:
        """Evaluate now, keep the policy, and write all trials so far by one rename."""
        started = time.monotonic()
        candidates = self.run.online.candidates
        tries = {"episodes": self._episodes, "tests": self._tests}
        found = evaluate(self.task, at.policy, candidates=candidates, **tries)
        self.trials[at.stage] = found
        self._keep_policy(at)
        content = {
            "seed": self.run.seed,
            "label": self._label,
            "tests": self._tests,
            "parameters": parameters_of(at.policy),
            "stages": {stage: as_rows(trials) for stage, trials in self.trials.items()},
        }
        publish(write_json(self.folder / ".result.partial", content), self._file)
        stages = self.task.stages
        shares = zip(stages, passed(found, len(stages)), strict=True)
        shown = ", ".join(f"{name} {share(outcomes)}" for name, outcomes in shares)
        print(f"{at.stage:10s} {shown} ({time.monotonic() - started:.0f} s)", flush=True)

    def _keep_policy(self, at: Milestone) -> None:
        """Write a policy that can be tried again."""
        policy = at.policy
        about = (self.task.name, CONTROL_RATE_HZ, ACTION_NAMES)
        contract = contract_of(policy.layout, policy.normalizer, *about)
        notes = {"stage": at.stage, "seed": self.run.seed, "label": self._label}
        policy.save(self.folder / f"policy_{at.stage}.pt", contract, notes)


def parameters_of(policy: ChunkPolicy) -> int:
    """Weights of the policy without its encoder, which all kinds share."""
    return sum(parameter.numel() for parameter in policy.actor.flow.parameters())


def _check(task: TableTask, run: FourStageRun, rollouts: int) -> None:
    if rollouts < 0 or rollouts % task.rollouts_per_round:
        raise ValueError(f"rollouts ({rollouts}) must be a multiple of {task.rollouts_per_round}")
    run.check()
    kind = run.architecture.kind
    if rollouts and kind in WITHOUT_LIKELIHOOD:
        raise ValueError(
            f"a policy of the kind {kind!r} has no likelihood, which stage IV needs; set "
            f"rollouts = 0 instead of {rollouts}"
        )


def _keep_settings(folder: Path, run: FourStageRun) -> None:
    """Write a run's settings, or refuse to go on with others."""
    path, text = folder / SETTINGS_FILE, OmegaConf.to_yaml(OmegaConf.structured(run))
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        path.write_text(text)
    elif path.read_text() != text:
        raise ValueError(f"{folder} holds a run with other settings ({path.name}); name a new one")
