"""Rehearse the paper's real-world experiment on the twin: 7 times 15 minutes of data, learn, test.

    python scripts/rehearse.py --policy assets/student_wide.pt --out runs/rehearsal/seed_0 --seed 0
    python scripts/rehearse.py --physics my_world.yaml --out runs/rehearsal/mine
    python scripts/rehearse.py --policy full.pt --preset paper --device cuda --out runs/full
    python scripts/rehearse.py --summary runs/rehearsal/*/curve.json --figure rehearsal.png

Nobody needs to watch, and what was interrupted goes on when it is started again. OUT/curve.json
and OUT/curve.png grow with every test; OUT/robot is a run as a real robot leaves it: label.py and
finetune.py --status show it.
Everything else is a `group.key=value` setting; --print_config shows them all.
"""

import argparse
import json
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import ASSETS


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--policy", default=ASSETS / "student_wide.pt", help="student to begin with")
    add("--description")
    add("--physics", default=None, help="of the twin: preset or YAML file; default: hard")
    add("--seed", default=0)
    add("--out", default=Path("runs/rehearsal/seed_0"))
    add("--preset", choices=("small", "paper"), default="small", help="sizes of the learner")
    add("--device", default="cpu", help="of learner and decisions: cpu or cuda:N")
    add("--threads", default=1, help="threads of torch")
    add("--summary", default=None, help="compare these curve.json files and stop")
    add("--figure", default=Path("runs/rehearsal/curves.png"), help="picture of --summary")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch
    from tqdm import tqdm

    from tasks.cube_spin.eyes.live import stepped_camera_poses
    from tasks.cube_spin.hand.curves import curve_figure
    from tasks.cube_spin.hand.report import curve_table
    from tasks.cube_spin.runs.rehearse import Rehearsal, rehearsal

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
    run = apply_overrides(rehearsal(args.preset), [*given, *overrides])
    if args.print_config:
        return print_settings(run)
    torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    robot = Rehearsal(run, args.policy, args.out, tqdm.write, stepped_camera_poses, device)
    curve = robot.play()
    print(f"{curve_table(curve)}\ncurve -> {args.out / 'curve.png'}")


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
