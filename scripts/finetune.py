"""Learn from a hand's episodes while they come, and publish policies: the learner beside the robot.

    python scripts/finetune.py --run runs/hand/first                     # beside run_hand.py
    python scripts/finetune.py --run runs/hand/first --resume            # after a stop of any kind
    python scripts/finetune.py --run runs/hand/first --status            # one page, then stop
    python scripts/finetune.py --run runs/hand/first --pin NAME          # the robot drives with it
    python scripts/finetune.py --run runs/hand/first minutes_per_iteration=5
    python scripts/finetune.py --run runs/hand/first --preset paper      # its sizes, on a GPU
    torchrun --nproc_per_node 2 scripts/finetune.py --run runs/hand/first --preset paper

Each iteration waits until the robot has recorded enough. Policies are published from the first
iteration after the warm-up on; the robot takes them between episodes. Everything else is a
`group.key=value` setting; --print_config shows them all. Curves: tensorboard --logdir RUN/learner
"""

import argparse
from dataclasses import replace
from functools import partial

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--run", required=True, help="folder of the robot's run")
    add("--resume", default=None, help="go on from the last resume point of --run")
    add("--preset", choices=("small", "paper"), default=None, help="sizes; default: small")
    add("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto")
    add("--seed", default=None, help="default: the preset's")
    add("--status", action="store_true", help="show how the run is doing and stop")
    pointing = parser.add_mutually_exclusive_group()
    point = pointing.add_argument
    point("--pin", metavar="NAME", help="let the robot drive with this checkpoint")
    point("--bless", metavar="NAME", help="the same, unless another is pinned")
    clear = partial(point, action="store_const", dest="clear")
    clear("--unpin", const="pinned", help="take --pin back")
    clear("--unbless", const="blessed", help="take --bless back")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    from sernf_isaac.deploy.status import status_page
    from sernf_isaac.learning.finetune.presets import preset
    from sernf_isaac.learning.finetune.run import finetune, load_settings
    from sernf_isaac.learning.finetune.waiting import waiting
    from sernf_isaac.learning.workers import together

    if move_pointer(args) or args.status:
        print(status_page(args.run))
        return
    if args.resume:
        if overrides or args.seed is not None or args.preset:
            raise ValueError("a resumed learner keeps its settings; give --resume alone")
        if args.resume != "latest":
            raise ValueError(f"--resume {args.resume}: --run names the run; give --resume alone")
        settings = load_settings(args.run)
    else:
        given = {} if args.seed is None else {"seed": args.seed}
        settings = apply_overrides(replace(preset(args.preset or "small"), **given), overrides)
    if args.print_config:
        return print_settings(settings)

    device = resolve_device(args.device)
    with together(device) as workers:
        how = {"device": device, "resume": bool(args.resume), "workers": workers}
        policy = finetune(settings, args.run, wait=waiting(args.run, workers), **how)
    if workers.writes:
        print(f"policy -> {policy}")
        print(f"curves -> tensorboard --logdir {policy.parent}")


def move_pointer(args: argparse.Namespace) -> bool:
    """Pin, bless or take that back; whether any of it was asked for."""
    from sernf_isaac.data.store.channel import clear_pointer, point, published

    name, pointer = (args.bless, "blessed") if args.pin is None else (args.pin, "pinned")
    if name is None and args.clear is None:
        return False
    published(args.run)  # an error if that is no run
    if name is None:
        clear_pointer(args.run, args.clear)
    else:
        point(args.run, pointer, name)
    return True


if __name__ == "__main__":
    run_main(main, interrupted="what was saved is kept; go on with --resume")
