"""Drive an arm that carries the hand with a policy, and store its episodes.

    python scripts/run_arm.py --run runs/arm/dry --circle --episodes 1 --fast      # nothing real
    python scripts/run_arm.py --run runs/arm/first --policy runs/offline/NAME/policy.pt --episodes 3
    python scripts/run_arm.py --run runs/arm/lab --policy POLICY --arm panda --hand orca \\
        hostname=10.0.0.2 hand_config=my_hand/config.yaml home=[0.45,0.1,0.3,1,0,0,0] \\
        limits.lower_m=[0.3,-0.3,0.05] limits.upper_m=[0.7,0.3,0.6]
    python scripts/run_arm.py --run runs/arm/lab --test ...                        # 10 places

The counterpart of run_hand.py for tasks with an arm: same loop, recorder, store and checkpoints;
arm and hand each have a process with a guard of their own. A real one needs a person at the
terminal: SPACE stops the arm where it is and takes the hand's torque off; s and f end an episode as
success or failure. Rewards are labelled afterwards (scripts/label.py). Begin with --circle.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.verbs import as_typed

if TYPE_CHECKING:
    from sernf_isaac.deploy.actor.episode import EpisodeResult
    from tasks.arm.settings import ArmRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--run", required=True)
    add("--policy", default=None, help="what a new run begins with")
    add("--circle", action="store_true", help="a circle instead of a policy")
    add("--task", choices=("duck_bowl", "scissors_tape"), help="default: scissors_tape")
    add("--arm", choices=("fake", "panda", "franky"), default=None, help="default: fake")
    add("--hand", choices=("ideal", "mock", "orca"), default=None, help="default: ideal")
    add("--episodes", default=None, help="stop after so many; default: never")
    add("--test", action="store_true", help="each test place of the task once")
    add("--fast", action="store_true", help="do not wait; only where all is fake")
    add("--seed", default=None, help="default: 0")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch

    from tasks.arm.catalogue import TASKS
    from tasks.arm.session import prepare
    from tasks.arm.settings import ArmRun
    from tasks.manipulation.protocol import share

    flags = {name: getattr(args, name) for name in ("task", "arm", "hand", "seed")}
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    run = apply_overrides(ArmRun(), given + overrides)
    if args.print_config:
        return print_settings(run)
    torch.set_num_threads(1)  # what this process computes is small
    prepare(run, args.run, args.policy, circle=args.circle)
    count = TASKS[run.task].tests.size if args.test else args.episodes
    try:
        results = drive(run, args, count)
    except RuntimeError as error:
        sys.exit(f"error: {error}\nwhat was recorded is safe; start again to go on")
    if args.test and results:
        print(f"success  {share([result.outcome == 'success' for result in results])}")
    print(f"episodes -> {args.run / 'episodes'}")
    print(as_typed(f"label    -> python scripts/label.py --run {args.run}"))


def drive(run: "ArmRun", args: argparse.Namespace, count: int | None) -> "list[EpisodeResult]":
    from tqdm import tqdm

    from tasks.arm.session import open_session, open_virtual_session

    opened = open_virtual_session if args.fast else open_session
    results = []
    with (
        opened(run, args.run, tqdm.write, circle=args.circle) as session,
        tqdm(total=count, unit="episode", file=sys.stderr) as bar,
    ):
        for result in session.episodes(count=count):
            results.append(result)
            bar.update(1)
            tqdm.write(line(result))
    return results


def line(result: "EpisodeResult") -> str:
    """An episode in one line."""
    late = f", {result.underruns} underruns" if result.underruns else ""
    why = f" ({result.reason.name})" if result.reason else ""
    return (
        f"{result.eid}  {result.outcome}: {result.end}{why} after {result.duration_s:.1f} s{late}"
    )


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
