"""Watch or film a policy: a video with two camera views and a plot of its spin.

python scripts/play.py --policy assets/teacher.pt --seconds 20 --spin 1.5
python scripts/play.py --physics reality --out runs/play/reality.mp4
python scripts/play.py --policy assets/student.pt --physics distillation
python scripts/play.py --view                        # an interactive window, where there is one
python scripts/play.py --policy assets/student.pt --browser    # a page for browsers, spin by slider
"""

from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_TEACHER


def main() -> None:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--policy", default=DEFAULT_TEACHER, help="teacher or student")
    add("--description")
    add("--physics", default="nominal")
    add("--seconds", default=20.0, help="length of the film [s]")
    add("--spin", type=float, default=None, help="fixed command [rad/s]; default: as in training")
    add("--support", type=float, default=2.0, help="time on the platform [s]")
    add("--seed", default=7)
    add("--out", default=None, help="file to write (MP4); default: runs/play/POLICY.mp4")
    add("--view", action="store_true", help="open MuJoCo's viewer instead")
    add("--browser", action="store_true", help="serve a page on which the spin can be steered")
    add("--port", type=int, default=8080, help="of the page; 0: any free one")
    add("--candidates", default=None, help="of a student in the browser; default: 24 with critics")
    args = parser.parse()
    from tasks.cube_spin.runs.evaluate import load_any
    from tasks.cube_spin.runs.play import browse_policy, film_policy, view_policy

    policy = load_any(args.policy)
    options = {"physics": args.physics, "spin_rad_s": args.spin, "support_s": args.support}
    if args.view:
        view_policy(policy, seed=args.seed, **options)
        return
    if args.browser:
        page = {"port": args.port, "candidates": args.candidates}
        browse_policy(policy, seed=args.seed, **page, **options)
    film = args.out or Path("runs/play") / f"{args.policy.stem}.mp4"
    film_policy(policy, film, seconds=args.seconds, seed=args.seed, **options)
    print(f"video -> {film}\nplot  -> {film.with_suffix('.png')}")


if __name__ == "__main__":
    run_main(main, interrupted="nothing more to see")
