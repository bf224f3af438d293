"""Learn from a hand's episodes while they come, and publish policies: the learner beside the robot.

    python scripts/finetune.py --run runs/hand/first                     # beside run_hand.py
    python scripts/finetune.py --run runs/hand/first --resume            # after a stop of any kind
    python scripts/finetune.py --run runs/hand/first --status            # one page, then stop
    python scripts/finetune.py --run runs/hand/first --pin NAME          # the robot drives with it
    python scripts/finetune.py --run runs/hand/first minutes_per_iteration=5
    python scripts/finetune.py --run runs/hand/first --preset paper      # its sizes, on a GPU

Each iteration waits until the robot has recorded enough. Policies are published from the end of the
warm-up on; the robot takes them between episodes. Everything else is a `group.key=value` setting;
--print_config shows them all. Curves: tensorboard --logdir RUN/learner
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf
from tqdm import tqdm

from sernf_isaac.cli import apply_overrides, resolve_device, run_main
from sernf_isaac.data.store.channel import beat, clear_pointer, point, published
from sernf_isaac.deploy.status import status_page
from sernf_isaac.learning.finetune.presets import PRESETS, preset
from sernf_isaac.learning.finetune.run import finetune, load_settings

LOOK_EVERY_S = 1.0


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the robot's run")
    parser.add_argument("--resume", action="store_true", help="go on from the last resume point")
    parser.add_argument("--preset", choices=PRESETS, default=None, help="default: small")
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--status", action="store_true", help="show how the run is doing and stop")
    pointing = parser.add_mutually_exclusive_group()
    pointing.add_argument("--pin", metavar="NAME", help="let the robot drive with this checkpoint")
    pointing.add_argument("--bless", metavar="NAME", help="the same, unless another is pinned")
    pointing.add_argument("--unpin", action="store_const", dest="clear", const="pinned")
    pointing.add_argument("--unbless", action="store_const", dest="clear", const="blessed")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if move_pointer(args) or args.status:
        print(status_page(args.run))
        return
    if args.resume:
        if overrides or args.seed is not None or args.preset:
            raise ValueError("a resumed learner keeps its settings; give --resume alone")
        settings = load_settings(args.run)
    else:
        given = {} if args.seed is None else {"seed": args.seed}
        settings = apply_overrides(replace(preset(args.preset or "small"), **given), overrides)
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(settings)))
        return

    def wait(there: float, needed: float) -> None:
        tqdm.write(f"waiting for data: {there:.1f} of {needed:.1f} minutes", end="\r")
        beat(args.run, "learner", {"waiting_for_minutes": needed, "data/minutes": there}, keep=True)
        time.sleep(LOOK_EVERY_S)

    policy = finetune(
        settings,
        args.run,
        device=resolve_device(args.device),
        resume=args.resume,
        wait=wait,
    )
    print(f"policy -> {policy}")
    print(f"curves -> tensorboard --logdir {policy.parent}")


def move_pointer(args: argparse.Namespace) -> bool:
    """Pin, bless or take that back; whether any of it was asked for."""
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
    run_main(main)
