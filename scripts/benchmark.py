"""Speed figures, as ratios within one run on one machine.

python scripts/benchmark.py twin                # physics against everything else, steps/s
python scripts/benchmark.py twin --isaac        # and Isaac Lab on the same CPU, for comparison
python scripts/benchmark.py isaac --device cuda:0 --num_envs 8192
"""

import argparse
import json
from pathlib import Path

import torch
from _cli import run_main

from tasks.cube_spin.speed import isaac_speed, twin_speed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("twin", "isaac"))
    parser.add_argument("--num_envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="timed control steps")
    parser.add_argument("--threads", type=int, default=None, help="physics threads (twin)")
    parser.add_argument("--isaac", action="store_true", help="compare with Isaac Lab (twin)")
    parser.add_argument("--isaac_envs", type=int, default=64)
    parser.add_argument("--device", default="cpu", help="device of Isaac Lab")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, float] = {}
    if args.what == "twin":
        result = twin_speed(args.num_envs, args.steps, args.threads)
    if args.what == "isaac" or args.isaac:
        count = args.num_envs if args.what == "isaac" else args.isaac_envs
        result |= isaac_speed(count, max(10, args.steps // 4), args.device)
    if "twin_steps_per_s" in result and "isaac_steps_per_s" in result:
        result["twin_over_isaac"] = result["twin_steps_per_s"] / result["isaac_steps_per_s"]
    for name, value in result.items():
        print(f"{name:32s} {value:12.4g}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
