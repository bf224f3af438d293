"""Distil the teacher into what the student is compared with, and evaluate it in the same way.

    python scripts/distill_mlp.py --json runs/benchmarks/mlp.json

RSL-RL's own distillation of a network that decides every step. It gets the environment steps of
scripts/distill.py with the same settings (`key=value`), on the twin, and leaves no policy file.
Others to compare with are settings of scripts/distill.py: `kind=gaussian` has independent normal
distributions over chunks, `distill.teacher_decay=1` is behaviour cloning.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from sernf_isaac.cli import apply_overrides, run_main
from sernf_isaac.run_folder import new_run_dir
from tasks.cube_spin.evaluation.metrics import report_table, to_json
from tasks.cube_spin.runs.distill_mlp import distil_mlp
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate_policy
from tasks.cube_spin.student.settings import preset


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--max_iterations", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=256, help="of the evaluations")
    parser.add_argument("--threads", type=int, default=None, help="physics threads")
    parser.add_argument("--out", type=Path, default=Path("runs/student_mlp"))
    parser.add_argument("--json", type=Path, default=None, help="where to write the numbers")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    torch.set_num_threads(1)
    run = replace(apply_overrides(preset("small"), overrides), seed=args.seed)
    if args.max_iterations is not None:
        run = replace(run, distill=replace(run.distill, iterations=args.max_iterations))
    policy = distil_mlp(run, new_run_dir(args.out), args.threads)
    request = EvaluationRequest(
        Path("mlp"), episodes=args.episodes, num_envs=args.episodes, threads=args.threads
    )
    results = {}
    for name, physics, noisy in (
        ("without noise", "randomized", False),
        ("with noise", run.physics, True),
    ):
        results[name], _ = evaluate_policy(
            policy, replace(request, physics=physics, pose_noise=noisy)
        )
        print(f"{name}\n{report_table(results[name])}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: json.loads(to_json(result)) for name, result in results.items()}
        args.json.write_text(json.dumps(kept, indent=2) + "\n")
        print(f"numbers -> {args.json}")


if __name__ == "__main__":
    run_main(main)
