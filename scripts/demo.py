"""The whole story in minutes, on a laptop: teacher, student, fine-tuning on a hand, eyes.

    make demo                       or      python scripts/demo.py --minutes 2

1. evaluates assets/teacher.pt on the MuJoCo twin, and films it (two camera views),
2. trains a fresh teacher: it learns to hold the cube, and starts to turn it,
3. distils a fresh student from the shipped teacher: a flow policy that sees what a hand can tell,
4. lets assets/student.pt drive a twin whose physics it has never met, twice two minutes: critics
   learn from that, choose what it does, and it learns on (curve: turns by minutes of data),
5. films the longest run before a rendered camera, with the pose that assets/detector.pt finds.

A few minutes of training show how it goes, not how well it works: see docs/results.
"""

import argparse
import shutil
import time
from pathlib import Path

import torch

from sernf_isaac.cli import run_main
from sernf_isaac.run_folder import new_run_dir
from tasks.assets import DEFAULT_STUDENT, DEFAULT_TEACHER
from tasks.cube_spin.evaluation.figures import evaluation_figure
from tasks.cube_spin.evaluation.metrics import report_table
from tasks.cube_spin.runs import train_teacher as runs
from tasks.cube_spin.runs.demo import film_episode, short_distillation, short_rehearsal
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.runs.play import film_policy
from tasks.cube_spin.teacher.policy import load_teacher


def show_teacher(out: Path, episodes: int, seconds: float) -> None:
    print(f"1/5  {DEFAULT_TEACHER.name} on the twin: {episodes} runs of 32 s, randomised physics")
    result, records = evaluate(EvaluationRequest(DEFAULT_TEACHER, episodes=episodes))
    print(report_table(result))
    title = f"shipped teacher, {episodes} runs, randomised physics"
    evaluation_figure(out / "evaluation.png", records, {}, title)
    film_policy(load_teacher(), out / "teacher.mp4", seconds=seconds, spin_rad_s=1.5)


def train_teacher(out: Path, minutes: float, seed: int) -> str:
    print(f"2/5  a fresh teacher, {minutes:g} minutes from nothing: watch hold_s rise")
    run = runs.TwinRun(seed=seed, iterations=100_000, max_minutes=minutes, eval_every=0)
    run.task.command.speed_rad_s = (0.3, 1.5)
    run.latency_steps, run.ppo.schedule, run.ppo.final_std = 0, "fixed", None
    run_dir = new_run_dir(out / "teacher")
    runs.train(run, run_dir)
    first, last = runs.first_and_last(run_dir)
    return (
        f"fresh teacher: cube held {first['hold_s']:.1f} -> {last['hold_s']:.1f} s, "
        f"reward per step {first['reward']:.2f} -> {last['reward']:.2f}\n  {run_dir}"
    )


def train_student(out: Path, minutes: float, seed: int) -> str:
    print(f"3/5  a fresh student, {minutes:g} minutes from nothing: watch action_error fall")
    policy, ends = short_distillation(out / "student", minutes, seed)
    error, share = ends["distill/action_error"], ends["distill/student_share"]
    return (
        f"fresh student: error of its joint targets {error[0]:.3f} -> {error[1]:.3f} rad while its "
        f"share of the steps rose {100 * share[0]:.0f} -> {100 * share[1]:.0f} %\n  {policy}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.5, help="of each training")
    parser.add_argument("--episodes", type=int, default=64, help="evaluation runs")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of the videos")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    out, started = args.out, time.monotonic()
    show_teacher(out, args.episodes, args.seconds)
    found = [
        train_teacher(out, args.minutes, args.seed),
        train_student(out, args.minutes, args.seed),
    ]
    print(f"4/5  {DEFAULT_STUDENT.name} on a hand it has never met: test, data, critics, test, ...")
    for old in ("hand", "camera"):
        shutil.rmtree(out / old, ignore_errors=True)
    short_rehearsal(out / "hand", DEFAULT_STUDENT, args.seed)
    print("5/5  the longest run before a rendered camera")
    seen = film_episode(out, out / "hand" / "robot", args.seconds, args.seed)
    print(f"\ndone in {(time.monotonic() - started) / 60:.1f} min", *found, sep="\n")
    print(f"eyes: a pose in {100 * seen:.0f} % of the pictures")
    print(f"\nvideos, plots  {out}/teacher.mp4  evaluation.png  hand/curve.png  eyes.mp4")
    print("more           scripts/train_teacher.py, distill.py, rehearse.py: see their --help")


if __name__ == "__main__":
    run_main(main)
