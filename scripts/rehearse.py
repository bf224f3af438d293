"""Rehearse the paper's real-world experiment on the twin: 7 times 15 minutes of data, learn, test.

    python scripts/rehearse.py --student assets/student_wide.pt --out runs/rehearsal/seed_0 --seed 0
    python scripts/rehearse.py --physics my_world.yaml --out runs/rehearsal/mine
    python scripts/rehearse.py --student full.pt --preset paper --device cuda --out runs/full
    python scripts/rehearse.py --summary runs/rehearsal/*/curve.json --figure rehearsal.png

Nobody needs to watch, and what was interrupted goes on when it is started again. OUT/curve.json
and OUT/curve.png grow with every test; OUT/robot is a run as a real robot leaves it: label.py and
finetune.py --status show it.
Everything else is a `group.key=value` setting; --print_config shows them all.
"""

import argparse
import json
from pathlib import Path

import torch
from omegaconf import OmegaConf
from tqdm import tqdm

from sernf_isaac.cli import apply_overrides, resolve_device, run_main
from sernf_isaac.learning.finetune.presets import PRESETS, preset
from tasks.cube_spin.eyes.live import stepped_camera_poses
from tasks.cube_spin.hand.curves import curve_figure
from tasks.cube_spin.hand.report import curve_table
from tasks.cube_spin.runs.rehearse import Rehearsal, RehearsalRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", type=Path, default=Path("assets/student_wide.pt"))
    parser.add_argument("--physics", default=None, help="preset or YAML file; default: hard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/rehearsal/seed_0"))
    parser.add_argument("--preset", choices=PRESETS, default="small", help="of the learner")
    parser.add_argument("--device", default="cpu", help="of learner and decisions: cpu or cuda:N")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--summary", type=Path, nargs="+", default=None, help="curve.json files")
    parser.add_argument("--figure", type=Path, default=Path("runs/rehearsal/curves.png"))
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if args.summary:
        curves = {path.parent.name: json.loads(path.read_text()) for path in args.summary}
        for name, curve in curves.items():
            print(f"{name}\n{curve_table(curve['iterations'])}")
        curve_figure(args.figure, {name: c["iterations"] for name, c in curves.items()})
        print(f"figure -> {args.figure}")
        return
    given = [f"hand.decisions.device={args.device}", f"seed={args.seed}"]
    if args.physics:
        given.append(f"hand.twin.physics={args.physics}")
    run = apply_overrides(RehearsalRun(learner=preset(args.preset)), [*given, *overrides])
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    rehearsal = Rehearsal(run, args.student, args.out, tqdm.write, stepped_camera_poses, device)
    curve = rehearsal.play()
    print(f"{curve_table(curve)}\ncurve -> {args.out / 'curve.png'}")


if __name__ == "__main__":
    run_main(main)
