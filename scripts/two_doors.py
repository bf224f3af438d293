"""Two doors: all four stages of SERNF in three minutes on one core, on a task with two answers.

    python scripts/two_doors.py
    python scripts/two_doors.py --seed 1 --out runs/two_doors/seed_1 imitation_steps=2000

Demonstrations go through either of two doors at random, at any pace, and some miss. The mean of the
two hits the wall, so a Gaussian policy fails; a flow keeps both, and RL finds the faster way.
"""

import argparse
import time
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    parser.add_argument("--seed", default=0)
    parser.add_argument("--episodes", default=200, help="episodes per evaluation")
    parser.add_argument("--out", default=Path("runs/two_doors"))
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch

    from tasks.two_doors.experiment import play, settings
    from tasks.two_doors.report import table

    run = apply_overrides(settings(), [f"seed={args.seed}", *overrides])
    if args.print_config:
        return print_settings(run)
    torch.set_num_threads(1)
    started = time.monotonic()
    stages = play(run, args.out, seed=args.seed, episodes=args.episodes)
    print(f"\n{table(stages)}\n{(time.monotonic() - started) / 60:.1f} min, seed {args.seed}")
    print(f"paths   -> {args.out / 'paths.png'}\nnumbers -> {args.out / 'results.json'}")


if __name__ == "__main__":
    run_main(main)
