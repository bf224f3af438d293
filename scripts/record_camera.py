"""Film the twin: the shipped teacher spins the cube before a rendered camera; true poses included.

    python scripts/record_camera.py --out runs/recordings/spin --seconds 20
    python scripts/record_camera.py --out runs/recordings/mine --episode runs/hand/first
    python scripts/evaluate_pose.py --detector FILE --sequence runs/recordings/spin --video pose.mp4

The recording is a folder of pictures with camera.json, as a real camera's would be. --episode films
the longest stored episode of a run instead, as its sensors saw it.
"""

import argparse
from pathlib import Path

import torch

from sernf_isaac.cli import run_main
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.eyes.recording import episode_states, longest_episode, record, teacher_states

MOST_S = 36_000.0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the recording")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--policy", type=Path, default=DEFAULT_TEACHER, help="teacher file")
    parser.add_argument("--episode", type=Path, default=None, help="a run of run_hand.py")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse()
    if not 2 * CONTROL_DT_S <= args.seconds <= MOST_S:
        raise ValueError(f"--seconds ({args.seconds}) must be {2 * CONTROL_DT_S:g} to {MOST_S:g}")
    torch.set_num_threads(1)
    if args.episode:
        states = episode_states(longest_episode(args.episode), args.seconds)
    else:
        states = teacher_states(args.policy, args.seconds, args.seed)
    frames = record(states, args.out, (args.width, args.height), seed=args.seed)
    print(f"{frames} frames -> {args.out}")


if __name__ == "__main__":
    run_main(main)
