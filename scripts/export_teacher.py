"""Make a policy file of what `isaaclab train` leaves: a teacher for the twin and the student.

    isaaclab train --rl_library rsl_rl --task Sernf-Orca-CubeSpin --num_envs 8192
    python scripts/export_teacher.py --model logs/rsl_rl/sernf_orca_cube_spin/TIME --out mine.pt
    python scripts/evaluate.py --policy mine.pt
    python scripts/distill.py --teacher mine.pt

Needs no Isaac Lab. The task's settings are read from params/env.yaml beside the model.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.verbs import as_typed


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    text = "model_*.pt, or the folder of a training: its last model"
    parser.add_argument("--model", type=Path, required=True, help=text)
    parser.add_argument("--out", required=True, help="file to write (.pt)")
    return parser.parse()


def main() -> None:
    args = parse()
    from sernf_isaac.run_folder import made_with
    from tasks.cube_spin.teacher.isaac_lab_model import export_teacher, newest_model

    model = newest_model(args.model)
    export_teacher(model, args.out, made_with())
    print(f"{model} -> {args.out}")
    print(as_typed(f"next       -> python scripts/evaluate.py --policy {args.out}"))


if __name__ == "__main__":
    run_main(main)
