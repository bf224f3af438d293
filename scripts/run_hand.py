"""Drive a hand with a policy and store its episodes: the actor of online fine-tuning.

    python scripts/run_hand.py --run runs/hand/first --policy assets/student.pt \\
        --episodes 3                                                       # the twin
    python scripts/run_hand.py --run runs/hand/first --minutes 15          # continue
    python scripts/run_hand.py --run runs/hand/dry --policy assets/student.pt \\
        --hand mock --pose still --episodes 1                              # dry run, no camera
    python scripts/run_hand.py --run runs/hand/lab --policy assets/student_wide.pt --hand orca \\
        --pose camera hand_config=my_hand/config.yaml calibration=runs/calibration.json

A real hand needs a person at the terminal: SPACE takes the torque off, at once and until c is
pressed. Settings are `group.key=value`; --print_config shows them all. The script may be killed and
started again: no stored step is lost. New checkpoints of the run are taken between episodes.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser, driver
from sernf_isaac.verbs import as_typed

if TYPE_CHECKING:
    from sernf_isaac.deploy.actor.episode import EpisodeResult
    from tasks.cube_spin.hand.settings import HandRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--run", required=True)
    add("--policy", default=None, help="what a new run begins with")
    text = "twin, mock, orca, or your driver: package.module:Class or file.py:Class; default: twin"
    add("--hand", type=driver, default=None, metavar="HAND", help=text)
    text = "where the cube's pose is from; default: truth"
    add("--pose", choices=("truth", "camera", "still"), default=None, help=text)
    add("--fallback", default=None)
    add("--description")
    add("--physics", default=None, help="physics of the twin: preset or YAML file")
    add("--episodes", default=None, help="stop after so many; default: never")
    add("--minutes", default=None, help="stop after so many minutes of data; default: never")
    add("--seed", default=None, help="default: 0")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch

    from tasks.cube_spin.hand.session import prepare
    from tasks.cube_spin.hand.settings import HandRun

    flags = {name: getattr(args, name) for name in ("hand", "pose", "seed", "fallback")}
    flags["twin.physics"] = args.physics
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    run = apply_overrides(HandRun(), [*given, *overrides])
    if args.print_config:
        return print_settings(run)
    torch.set_num_threads(1)  # what this process computes is small
    prepare(run, args.run, args.policy)
    try:
        drive(run, args)
    except (RuntimeError, OSError, ValueError) as error:
        sys.exit(f"error: {error}\nwhat was recorded is safe; start again to go on")
    print(f"episodes -> {args.run / 'episodes'}")
    print(as_typed(f"label    -> python scripts/label.py --run {args.run}"))


def drive(run: "HandRun", args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sernf_isaac.progress import MinutesBar
    from tasks.cube_spin.eyes.live import camera_poses
    from tasks.cube_spin.hand.session import open_session

    with (
        open_session(run, args.run, tqdm.write, camera_poses) as session,
        MinutesBar(args.minutes, "data") as bar,
    ):
        for result in session.episodes(count=args.episodes, data_minutes=args.minutes):
            bar.add(result.duration_s / 60.0)
            tqdm.write(line(result))
    for name, value in session.totals.numbers().items():
        print(f"{name:18s} {value:.4g}")


def line(result: "EpisodeResult") -> str:
    """An episode in one line."""
    late = f", {result.underruns} underruns" if result.underruns else ""
    late += f", {result.fallback_steps} by the fallback" if result.fallback_steps else ""
    why = f" ({result.reason.name})" if result.reason else ""
    return (
        f"{result.eid}  {result.end}{why} after {result.duration_s:.1f} s, "
        f"{result.turned_rad / 6.2832:+.2f} turns, reward {result.reward:g}{late}"
    )


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
