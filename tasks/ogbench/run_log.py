"""A run's folder, its evaluations, and the JSON file that tells of it."""

import hashlib
import json
import time
from pathlib import Path

import torch
from omegaconf import OmegaConf

from sernf_isaac.learning.acting import acting
from sernf_isaac.learning.online.in_memory import FourStageRun, Milestone
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.metrics import CSV_FILE, read_metrics
from sernf_isaac.policy import ChunkPolicy
from tasks.ogbench import report
from tasks.ogbench.environment import OgbenchEnv

EVALUATION_SEED = 1_000_000
"""Of the starts, the same in every evaluation and far from those of training."""
CONFIG_FILE, EVALUATIONS_FILE = "ogbench.yaml", "evaluations.json"
CURVES = {
    "": ("actor/bc", "actor/value", "critic/td", "critic/value", "critic/clamped_fraction"),
    "online": ("acting/success", "actor/bc", "actor/value", "critic/td", "critic/value"),
}
"""Metrics that go into a run's JSON file, by subfolder of the run."""


def run_folder(out: Path, task: str, variant: str, run: FourStageRun) -> Path:
    """Where this run's files go: its name changes with its settings, so that none go on wrongly."""
    text = OmegaConf.to_yaml(OmegaConf.structured(run))
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = out / f"{task}_{variant}_{run.seed}_{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(text)
    return folder


class RunLog:
    """Evaluates a run at its milestones, and keeps its JSON file up to date.

    Args:
        path: JSON file of the run.
        folder: Of the run; evaluations from before an interruption are found there.
        about: What the run was, for the file.
        envs: To evaluate in.
        episodes: Per evaluation.
        candidates: K of every decision.
    """

    def __init__(
        self, path: Path, folder: Path, about: dict, envs: list, *, episodes: int, candidates: int
    ) -> None:
        self._path, self._folder, self._about, self._envs = path, folder, about, envs
        self._episodes, self._candidates = episodes, candidates
        self._known = folder / EVALUATIONS_FILE
        self._rows = json.loads(self._known.read_text()) if self._known.is_file() else []

    def __call__(self, at: Milestone) -> None:
        """Evaluate now."""
        started = time.monotonic()
        done = evaluate(at.policy, self._envs, episodes=self._episodes, candidates=self._candidates)
        row = report.evaluation(at.stage, *done, updates=at.updates, env_steps=at.env_steps)
        same = {(row["stage"], row["env_steps"])}  # an interrupted run may come here twice
        self._rows = [r for r in self._rows if (r["stage"], r["env_steps"]) not in same] + [row]
        report.save(self._known, self._rows)
        report.save(self._path, self.result())
        print(
            f"{at.stage:10s} {at.env_steps:6d} steps: success {row['success']:.2f} of "
            f"{self._episodes}, {row['steps']:.0f} steps each ({time.monotonic() - started:.0f} s)"
        )

    def result(self) -> dict:
        """What the JSON file holds."""
        curves = {
            f"{folder}/{name}".strip("/"): read_metrics(self._folder / folder, name)
            for folder, names in CURVES.items()
            if (self._folder / folder / CSV_FILE).is_file()
            for name in names
        }
        return report.result(self._rows, self._about, {"training": curves})


def evaluate(
    policy: ChunkPolicy, envs: list, *, episodes: int, candidates: int
) -> tuple[list[bool], list[int]]:
    """Success and length of so many episodes, from the same starts every time."""
    env = OgbenchEnv(envs, seed=EVALUATION_SEED)
    hold = torch.zeros(policy.layout.action_dim)
    done = []
    decide, spec = acting(policy, candidates, seed=0)
    while len(done) < episodes:
        done += collect(env, decide, spec, hold=hold)
        if spec != policy.layout.spec:  # plans end with their episode
            decide, _ = acting(policy, candidates, seed=0)
    done = done[:episodes]
    return [episode.outcome == "success" for episode in done], [len(episode) for episode in done]
