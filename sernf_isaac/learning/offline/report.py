"""A page about the data and the policy of a run of `run.py`, for each stage that has ended."""

from collections.abc import Mapping
from pathlib import Path

import torch

from sernf_isaac.checkpoint import read_whole
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.leash import has_likelihood
from sernf_isaac.learning.offline.config import OfflineRun, load_run, policy_file
from sernf_isaac.learning.offline.data import digest, held_out_names
from sernf_isaac.learning.report.calibration import calibrate
from sernf_isaac.learning.report.candidates import draw_candidates
from sernf_isaac.learning.report.corrections import measure_corrections
from sernf_isaac.learning.report.curves import read_curves
from sernf_isaac.learning.report.measurements import Measurements
from sernf_isaac.learning.report.overview import look_at
from sernf_isaac.learning.report.page import page
from sernf_isaac.learning.report.sections import sections_of
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.learning.stages import IMITATION, OFFLINE, WARM_UP
from sernf_isaac.policy import load_policy


def report_run(run_dir: Path, device: str = "cpu") -> list[Path]:
    """Write the pages of a run anew, without training; one for each stage that has ended.

    Args:
        run_dir: Of a run that ended, or was interrupted after a stage.
        device: Where networks decide.

    Raises:
        FileNotFoundError: If the folder holds no run, no stage of it has ended, or data are gone.
        ValueError: If the data have changed since.
    """
    run = load_run(run_dir)
    stages = [name for name in ends_of(run) if (run_dir / policy_file(name)).is_file()]
    if not stages:
        raise FileNotFoundError(f"{run_dir} has no policy yet: no stage has ended; train it first")
    episodes = load_episodes(run.data, run.keys)
    state = read_whole(run_dir / STATE_FILE)
    if not isinstance(state, dict) or state["sampler"]["episodes"] != digest(episodes):
        raise ValueError(
            f"the data of {run_dir} have changed since it was started; a report would mix them up"
        )
    return [report_stage(run, run_dir, name, episodes, device) for name in stages]


def report_stage(
    run: OfflineRun, run_dir: Path, stage: str, episodes: Mapping[str, Episode], device: str
) -> Path:
    """Write the page about the end of a stage, and print what is wrong; returns the file.

    All is taken from the run's folder and the data, so that the same page can be made again. A
    training that goes on does not notice: random numbers stay as they were.

    Args:
        run: Settings.
        run_dir: With metrics and the policy of that stage.
        stage: Its name.
        episodes: The run's data.
        device: Where networks decide.
    """
    on_gpu = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[torch.device(device)] if on_gpu else []):
        found = measure(run, run_dir, stage, episodes, device)
    findings = found.findings()
    for finding in findings:
        print(f"warning    {finding}")
    updates = found.curves.stages[stage]
    title = f"{run.name}: after {stage}, {updates} updates"
    about = f"Run {run_dir.resolve().name}, {len(run.data)} data sources, seed {run.seed}."
    path = run_dir / f"report_{stage}.html"
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(page(title, about, findings, sections_of(found)), encoding="utf-8")
    partial.replace(path)
    return path


def measure(
    run: OfflineRun, run_dir: Path, stage: str, episodes: Mapping[str, Episode], device: str
) -> Measurements:
    """All that the page shows; arguments as for `report_stage`."""
    policy, contract = load_policy(run_dir / policy_file(stage), device)
    held_out = held_out_names(run, episodes)
    judged, words = _judged(run, episodes, held_out)
    learner, critic = run.learner, policy.layout.critic
    ends = ends_of(run)
    known = {name: end for name, end in ends.items() if end <= ends[stage]}
    with_critics = policy.critics is not None
    return Measurements(
        data=look_at(episodes, held_out, contract.control_rate_hz, run.spec.discount),
        curves=read_curves(run_dir, known, learner.improvement.budget),
        corrections=measure_corrections(episodes.values(), run.spec.prefix + run.spec.horizon),
        candidates=draw_candidates(policy, judged, run.spec, learner.improvement.candidates),
        calibration=calibrate(policy, judged, run.spec) if with_critics else None,
        judged_on=words,
        action_names=contract.joint_names,
        noise_std=policy.layout.policy.noise_std if has_likelihood(policy.actor) else 0.0,
        support=critic.support if critic.head == "hl_gauss" else None,
        wants_critics=bool(run.warm_up_steps or run.offline_steps),
    )


def ends_of(run: OfflineRun) -> dict[str, int]:
    """After how many updates each stage ends; stages without any are left out."""
    ends, end = {}, 0
    legs = ((IMITATION, run.imitation_steps), (WARM_UP, run.warm_up_steps))
    for stage, steps in (*legs, (OFFLINE, run.offline_steps)):
        end += steps
        if steps:
            ends[stage.name] = end
    return ends


def _judged(
    run: OfflineRun, episodes: Mapping[str, Episode], held_out: frozenset[str]
) -> tuple[dict[str, Episode], str]:
    """The episodes on which policy and critics are judged, and which those are."""
    if not held_out:
        return dict(episodes), f"all {len(episodes)} episodes, since none is held out"
    failed = {
        name
        for name, episode in episodes.items()
        if run.successes_only and episode.outcome != "success"
    }
    words = f"the {len(held_out)} held-out episodes"
    if failed:
        words += f" and the {len(failed)} that did not succeed"
    chosen = held_out | failed
    return {name: e for name, e in episodes.items() if name in chosen}, words
