"""Search for stable palm-down grasps in the MuJoCo twin and save them as the reset bank.

    python scripts/search_grasps.py --count 600 --out assets/grasps.npz

A cross-entropy search finds one grasp per cube yaw, then random variations of them are kept if they
hold the cube for two seconds in the air. A minute on two cores.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from sernf_isaac.cli import run_main
from tasks.assets import DEFAULT_BANK
from tasks.cube_spin.grasps import GraspBank
from tasks.cube_spin.twin.grasp_search import GraspSearch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=600, help="grasps to keep")
    parser.add_argument(
        "--yaws", type=int, default=6, help="cube yaws to search, over a quarter turn"
    )
    parser.add_argument("--generations", type=int, default=12, help="search iterations per yaw")
    parser.add_argument("--batch", type=int, default=256, help="grasps tried at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DEFAULT_BANK)
    args = parser.parse_args()

    torch.set_num_threads(1)
    search = GraspSearch(args.batch, args.seed)
    reach = torch.pi / 4 * (1.0 - 1.0 / args.yaws)
    yaws = torch.linspace(-reach, reach, args.yaws)
    with tqdm(total=args.yaws * args.generations, desc="searching") as bar:
        found = [search.search(float(yaw), args.generations, bar.update) for yaw in yaws]
    banks: list[GraspBank] = []
    tried = 0
    with tqdm(total=args.count, desc="varying") as bar:
        while bar.n < args.count:
            banks.append(search.vary(torch.stack(found), yaws))
            tried += args.batch
            bar.update(len(banks[-1]))
            if tried >= 50 * args.batch and bar.n < args.count // 50:
                raise SystemExit(f"only {bar.n} of {tried} grasps held; try more --generations")
    bank = GraspBank.joined(banks).first(args.count)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    bank.save(args.out)
    print(f"{len(bank)} grasps -> {args.out} ({sum(map(len, banks)) / tried:.0%} of {tried} held)")


if __name__ == "__main__":
    run_main(main)
