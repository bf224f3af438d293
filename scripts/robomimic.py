"""RoboMimic's tasks in robosuite: scripted demonstrations of Lift, rollouts of policies.

    python scripts/robomimic.py check
    python scripts/robomimic.py demonstrate --out runs/robomimic/lift.hdf5 --episodes 60
    python scripts/train_offline.py --task robomimic --data runs/robomimic/lift.hdf5 \\
      --keys object robot0_eef_pos robot0_eef_quat robot0_gripper_qpos successes_only=true
    python scripts/robomimic.py rollouts --policy runs/offline/TIME/policy_imitation.pt \\
      --data runs/robomimic/lift.hdf5 --json runs/robomimic/imitation_0.json
    python scripts/robomimic.py table runs/robomimic/*.json

robosuite runs in an environment of its own, made once:

    uv venv --python 3.12 .cache/robosuite
    uv pip install --python .cache/robosuite/bin/python -r tasks/robomimic/server/requirements.txt
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import resolve_device, run_main, save_numbers
from sernf_isaac.flags import ScriptParser

if TYPE_CHECKING:
    from tasks.robomimic.client import RobosuiteClient, RobosuiteSettings


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    world = ScriptParser(add_help=False)
    world.add_argument("--env", default="Lift", help="such as Lift, PickPlaceCan")
    world.add_argument("--data", type=Path, default=None, help="robomimic file with its settings")
    world.add_argument("--python", type=Path, default=None, help="interpreter with robosuite")
    world.add_argument("--seed", default=0)
    check = what.add_parser("check", parents=[world], help="start it, show what it tells")
    demonstrate = what.add_parser("demonstrate", parents=[world], help="record Lift, scripted")
    for one in (check, demonstrate):
        one.add_argument("--images", action="store_true", help="84 x 84 of two cameras")
    demonstrate.add_argument("--out", required=True, help="file to write (.hdf5)")
    demonstrate.add_argument("--episodes", default=60, help="demonstrations to record")
    rollouts = what.add_parser("rollouts", parents=[world], help="try a policy")
    rollouts.add_argument("--policy", required=True)
    rollouts.add_argument("--episodes", default=100, help="rollouts; paper: 100 (App. A)")
    rollouts.add_argument("--candidates", default=128, help="paper: 128 (App. G)")
    rollouts.add_argument("--max_steps", type=int, default=400, help="of a rollout")
    rollouts.add_argument("--processes", default=1, help="processes that simulate at once")
    rollouts.add_argument("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto")
    rollouts.add_argument("--json", default=None, help="file to write all trials to")
    table = what.add_parser("table", help="of reports")
    table.add_argument("reports", type=Path, nargs="+", help="files of rollouts --json")
    return parser.parse()


def demonstrate(client: "RobosuiteClient", args: argparse.Namespace) -> None:
    from tasks.robomimic.demonstrations import record_demonstrations

    tally = record_demonstrations(args.out, client, args.episodes, seed=args.seed)
    for grade, (won, tried) in tally.items():
        print(f"{grade:8s} {won} of {tried} succeeded")
    print(f"demonstrations -> {args.out}")


def try_policy(world: "RobosuiteSettings", args: argparse.Namespace) -> None:
    from tasks.robomimic.evaluation import roll_out
    from tasks.robomimic.report import summary

    names = ("python", "processes", "episodes", "candidates", "seed", "max_steps")
    asked = {name: getattr(args, name) for name in names}
    device = resolve_device(args.device)
    found = roll_out(args.policy, world, device=device, **asked)
    print(summary([found]))
    save_numbers(args.json, found)


def main() -> None:
    args = parse()
    from tasks.robomimic.client import RobosuiteClient, RobosuiteSettings, describe
    from tasks.robomimic.hdf5 import settings_of
    from tasks.robomimic.preset import CAMERAS
    from tasks.robomimic.report import load_report, summary

    if args.what == "table":
        print(summary([load_report(path) for path in args.reports]))
        return
    world = settings_of(args.data) if args.data else RobosuiteSettings(args.env)
    if args.what == "rollouts":
        try_policy(world, args)
        return
    world = replace(world, cameras=CAMERAS if args.images else ())
    with RobosuiteClient(world, args.python) as client:
        if args.what == "check":
            print(describe(client, args.seed))
        else:
            demonstrate(client, args)


if __name__ == "__main__":
    run_main(main)
