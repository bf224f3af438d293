"""Watch or film a policy: a video with two camera views and a plot of its spin.

python scripts/play.py --policy assets/teacher.pt --seconds 20 --spin 1.5
python scripts/play.py --physics reality --out runs/play/reality.mp4
python scripts/play.py --policy assets/student.pt --physics distillation
python scripts/play.py --view                        # an interactive window, where there is one
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import run_main
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.runs.evaluate import load_any
from tasks.cube_spin.runs.play import film_policy, view_policy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, default=DEFAULT_TEACHER, help="teacher or student")
    parser.add_argument("--physics", default="nominal", help="preset or YAML file")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the video")
    parser.add_argument("--spin", type=float, default=None, help="fixed command [rad/s]")
    parser.add_argument("--support", type=float, default=2.0, help="seconds on the platform")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("runs/play/teacher.mp4"))
    parser.add_argument("--view", action="store_true", help="open MuJoCo's viewer instead")
    args = parser.parse_args()
    policy = load_any(args.policy)
    options = {"physics": args.physics, "spin_rad_s": args.spin, "support_s": args.support}
    if args.view:
        view_policy(policy, seed=args.seed, **options)
        return
    film_policy(policy, args.out, seconds=args.seconds, seed=args.seed, **options)
    print(f"video -> {args.out}\nplot  -> {args.out.with_suffix('.png')}")


if __name__ == "__main__":
    run_main(main)
