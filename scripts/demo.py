"""The main job in minutes, on a laptop: see the shipped teacher spin the cube, then train one.

    make demo                       or      python scripts/demo.py --minutes 3

1. evaluates assets/teacher.pt on the MuJoCo twin and prints what it can do,
2. films it (two camera views) and plots commanded against achieved spin,
3. trains a fresh teacher for a few minutes: it learns to hold the cube, and starts to turn it.
"""

import argparse
import time
from pathlib import Path

import torch
from _cli import run_main

from tasks.cube_spin import teacher_runs as runs
from tasks.cube_spin.evaluation import report_table
from tasks.cube_spin.figures import evaluation_figure
from tasks.cube_spin.film import film_policy
from tasks.cube_spin.protocol import EvaluationRequest, evaluate
from tasks.cube_spin.teacher import DEFAULT_TEACHER, load_teacher


def evaluate_shipped(out: Path, episodes: int) -> None:
    print(f"1/3  {DEFAULT_TEACHER.name} on the twin: {episodes} runs of 32 s, randomised physics")
    result, records = evaluate(EvaluationRequest(DEFAULT_TEACHER, episodes=episodes))
    print(report_table(result))
    title = f"shipped teacher, {episodes} runs, randomised physics"
    evaluation_figure(out / "evaluation.png", records, {}, title)


def train_fresh(out: Path, minutes: float, seed: int) -> Path:
    print(f"3/3  a fresh teacher, {minutes:g} minutes from nothing: watch hold_s rise")
    run = runs.TwinRun(seed=seed, iterations=100_000, max_minutes=minutes, eval_every=0)
    run.task.command.speed_rad_s = (0.3, 1.5)
    run.latency_steps, run.ppo.schedule, run.ppo.final_std = 0, "fixed", None
    run_dir = runs.new_run_dir(out / "teacher")
    runs.train(run, run_dir)
    return run_dir


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2.5, help="training time")
    parser.add_argument("--episodes", type=int, default=64, help="evaluation runs")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of the video")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    evaluate_shipped(args.out, args.episodes)
    print(f"2/3  filming {args.seconds:g} s")
    film_policy(load_teacher(), args.out / "teacher.mp4", seconds=args.seconds, spin_rad_s=1.5)
    run_dir = train_fresh(args.out, args.minutes, args.seed)
    first, last = runs.first_and_last(run_dir)
    print(
        f"\ndone in {(time.monotonic() - started) / 60:.1f} min. {args.minutes:g} min of training:"
        f"\n  cube held in the air [s]    {first['hold_s']:5.1f} -> {last['hold_s']:5.1f}"
        f"\n  reward per step             {first['reward']:5.2f} -> {last['reward']:5.2f}"
        f"\n  turns per minute            {first['rpm']:5.1f} -> {last['rpm']:5.1f}\n"
        f"\nvideo, plots    {args.out}/teacher.mp4  teacher.png  evaluation.png"
        f"\nyour teacher    {run_dir}/teacher.pt  training.png"
        f"\ncontinue it     .venv/bin/python scripts/train_teacher.py --sim twin --resume {run_dir}"
        " --max_minutes 30 --max_iterations 100000"
        "\nfull training   .venv/bin/python scripts/train_teacher.py --sim twin"
        "\nmore numbers    .venv/bin/python scripts/evaluate.py --speeds 0.5 1.0 1.5"
    )


if __name__ == "__main__":
    run_main(main)
