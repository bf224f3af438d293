"""Distil the teacher into what the student is compared with, and evaluate it in the same way.

    python scripts/distill_mlp.py --json runs/benchmarks/mlp.json

RSL-RL's own distillation of a network that decides every step. It gets the environment steps of
scripts/distill.py with the same settings (`key=value`), on the twin, and leaves no policy file.
Others to compare with are settings of scripts/distill.py: `kind=gaussian` has independent normal
distributions over chunks, `distill.teacher_decay=1` is behaviour cloning.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main, save_numbers
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import new_run_dir


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    parser.add_argument("--max_iterations", default=None, help="default: those of distill.py")
    parser.add_argument("--physics", default=None, help="physics of the twin: preset or YAML file")
    parser.add_argument("--seed", default=0)
    parser.add_argument("--episodes", default=256, help="episodes of each evaluation")
    parser.add_argument("--threads", default=None, help="physics threads; default: all")
    parser.add_argument("--out", default=Path("runs/student_mlp"), help="folder of the runs")
    parser.add_argument("--json", default=None)
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    from tasks.cube_spin.student.settings import preset

    run = replace(apply_overrides(preset("small"), overrides), seed=args.seed)
    run = replace(run, physics=args.physics or run.physics)
    if args.max_iterations is not None:
        run = replace(run, distill=replace(run.distill, iterations=args.max_iterations))
    if args.print_config:
        return print_settings(run)
    import torch

    from tasks.cube_spin.evaluation.metrics import report_table
    from tasks.cube_spin.runs.distill_mlp import distil_mlp, refuse_unused_settings
    from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate_policy

    torch.set_num_threads(1)
    refuse_unused_settings(run, preset("small"))
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
    save_numbers(args.json, results)


if __name__ == "__main__":
    run_main(main)
