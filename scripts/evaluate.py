"""Evaluate a policy: whole 32 s episodes from the platform, with 95 % intervals; or a hand's run.

    python scripts/evaluate.py --policy assets/teacher.pt --sim twin --episodes 256 --json eval.json
    python scripts/evaluate.py --physics reality --speeds 0.5 1.0 1.5
    python scripts/evaluate.py --policy assets/student.pt --physics distillation --pose_noise
    python scripts/evaluate.py --physics my_hand.yaml     # say, cube_mass_kg: 0.061
    python scripts/evaluate.py --run runs/hand/first      # stored episodes of run_hand.py

Rotations per minute in the hand count the time after the platform has left and before the cube
drops; per wall-clock minute counts everything. `--speeds` adds a table per commanded spin.
"""

import argparse
from pathlib import Path

import torch

from sernf_isaac.cli import run_main
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.evaluation.figures import evaluation_figure
from tasks.cube_spin.evaluation.metrics import report_table, to_json
from tasks.cube_spin.hand.report import run_report, run_table
from tasks.cube_spin.physics import PRESETS
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, default=DEFAULT_TEACHER, help="teacher or student")
    parser.add_argument("--sim", choices=("twin", "isaac"), default="twin")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1000, help="training uses small seeds")
    parser.add_argument(
        "--physics", default="randomized", help=f"{', '.join(PRESETS)}, or a YAML file"
    )
    parser.add_argument(
        "--speeds", type=float, nargs="*", default=[], help="also evaluate at fixed spins [rad/s]"
    )
    parser.add_argument("--num_envs", type=int, default=256, help="environments at a time")
    parser.add_argument("--threads", type=int, default=None, help="physics threads (twin)")
    parser.add_argument("--device", default="cpu", help="device of the simulator (isaac)")
    parser.add_argument("--candidates", type=int, default=1, help="chunks per decision (student)")
    parser.add_argument("--sigma", type=float, default=None, help="of a student's latent")
    parser.add_argument("--rank", choices=("likelihood", "value"), default="likelihood")
    parser.add_argument(
        "--pose_noise", action="store_true", help="late, lost and wrong poses (student)"
    )
    parser.add_argument("--run", type=Path, default=None, help="judge stored episodes instead")
    parser.add_argument("--support", type=float, default=0.0, help="time not counted [s] (--run)")
    parser.add_argument("--json", type=Path, default=None, help="where to write the numbers")
    parser.add_argument("--figure", type=Path, default=None, help="where to draw them (PNG)")
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.run:
        rows = run_report(args.run, supported_s=args.support)
        print(run_table(rows))
        save(args.json, to_json(rows))
        return
    torch.set_num_threads(1)
    request = EvaluationRequest(
        policy=args.policy,
        sim=args.sim,
        episodes=args.episodes,
        seed=args.seed,
        physics=args.physics,
        speeds=tuple(args.speeds),
        num_envs=args.num_envs,
        threads=args.threads,
        device=args.device,
        candidates=args.candidates,
        sigma=args.sigma,
        rank=args.rank,
        pose_noise=args.pose_noise,
    )
    result, records = evaluate(request)
    print(report_table(result))
    save(args.json, to_json(result))
    if args.figure:
        title = f"{args.policy.name} on {args.sim}, {args.physics} physics, {len(records)} runs"
        evaluation_figure(args.figure, records, result["by_speed"], title)
        print(f"figure  -> {args.figure}")


def save(path: Path | None, text: str) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"numbers -> {path}")


if __name__ == "__main__":
    run_main(main)
