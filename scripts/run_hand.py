"""Drive a hand with a policy and store its episodes: the actor of online fine-tuning.

    python scripts/run_hand.py --run runs/hand/first --policy assets/student.pt \\
        --episodes 3                                                       # the twin
    python scripts/run_hand.py --run runs/hand/first --minutes 15          # continue
    python scripts/run_hand.py --run runs/hand/dry --policy assets/student.pt \\
        --hand mock --pose still --episodes 1                              # dry run, no camera
    python scripts/run_hand.py --run runs/hand/lab --policy assets/student_wide.pt --hand orca \\
        --pose camera hand_config=my_hand/config.yaml calibration=runs/calibration.json

A real hand needs a person at the terminal: SPACE takes the torque off, at once and until c is
pressed. Everything else is a `group.key=value` setting; --print_config shows them all. The script
may be killed and started again at any time: no stored step is lost. New checkpoints of the run are
taken between episodes.
"""

import argparse
import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf
from tqdm import tqdm

from sernf_isaac.cli import apply_overrides, run_main
from sernf_isaac.deploy.actor.runner import EpisodeResult
from sernf_isaac.progress import MinutesBar
from tasks.cube_spin.eyes.live import camera_poses
from tasks.cube_spin.hand.session import open_session, prepare
from tasks.cube_spin.hand.settings import HANDS, POSES, HandRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--policy", type=Path, default=None, help="what a new run begins with")
    parser.add_argument("--hand", choices=HANDS, default=None)
    parser.add_argument("--pose", choices=POSES, default=None, help="where the cube's pose is from")
    parser.add_argument("--episodes", type=int, default=None, help="stop after this many")
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much data")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    flags = {"hand": args.hand, "pose": args.pose, "seed": args.seed}
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    run = apply_overrides(HandRun(), [*given, *overrides])
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    torch.set_num_threads(1)  # what this process computes is small
    prepare(run, args.run, args.policy)
    try:
        drive(run, args)
    except (RuntimeError, OSError, ValueError) as error:
        sys.exit(f"error: {error}\nwhat was recorded is safe; start again to go on")
    print(f"episodes -> {args.run / 'episodes'}")
    print(f"label    -> python scripts/label.py --run {args.run}")


def drive(run: HandRun, args: argparse.Namespace) -> None:
    with (
        open_session(run, args.run, tqdm.write, camera_poses) as session,
        MinutesBar(args.minutes, "data") as bar,
    ):
        for result in session.episodes(count=args.episodes, data_minutes=args.minutes):
            bar.add(result.duration_s / 60.0)
            tqdm.write(line(result))
    for name, value in session.totals.numbers().items():
        print(f"{name:18s} {value:.4g}")


def line(result: EpisodeResult) -> str:
    """An episode in one line."""
    late = f", {result.underruns} underruns" if result.underruns else ""
    why = f" ({result.reason.name})" if result.reason else ""
    return (
        f"{result.eid}  {result.end}{why} after {result.duration_s:.1f} s, "
        f"{result.turned_rad / 6.2832:+.2f} turns, reward {result.reward:g}{late}"
    )


if __name__ == "__main__":
    run_main(main)
