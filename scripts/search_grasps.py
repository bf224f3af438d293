"""Search for stable palm-down grasps in the MuJoCo twin and save them as the reset bank.

    python scripts/search_grasps.py --grasps 600                   # the ORCA v1 right hand
    python scripts/search_grasps.py --hand orca_v2_right           # v2; a left hand mirrors them
    python scripts/search_grasps.py --hand my_hand.yaml            # your own
    python scripts/search_grasps.py --object cylinder --size_mm 50 # for task.object.shape=cylinder

A cross-entropy search finds one grasp per cube yaw, then random variations of them are kept if they
hold the object for two seconds in the air. A minute on two cores.
"""

import argparse

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from tasks.cube_spin.held_object import CUBE_SIZE_M, SHAPES, HeldObject, object_of_flags
from tasks.orca.names import FIRST_HAND, hand_argument


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    text = "whose grasps: a name, or the YAML file of your own hand"
    parser.add_argument("--hand", type=hand_argument, metavar="HAND", default=FIRST_HAND, help=text)
    parser.add_argument("--description")
    parser.add_argument("--object", default=SHAPES[0])
    parser.add_argument("--size_mm", default=1000.0 * CUBE_SIZE_M)
    parser.add_argument("--height_mm", default=None)
    parser.add_argument("--grasps", type=int, default=600, help="grasps to keep")
    text = "cube yaws to search, over a quarter turn"
    parser.add_argument("--yaws", type=int, default=6, help=text)
    parser.add_argument("--generations", type=int, default=12, help="search iterations per yaw")
    parser.add_argument("--batch", type=int, default=256, help="grasps tried at once")
    parser.add_argument("--seed", default=0)
    text = "file to write (.npz); default: that of hand and object in assets/, or beside the YAML"
    parser.add_argument("--out", default=None, help=text)
    return parser.parse()


def main() -> None:
    args = parse()
    import torch
    from tqdm import tqdm

    from tasks.cube_spin.grasps import GraspBank, bank_file_to_write
    from tasks.cube_spin.twin.grasp_search import GraspSearch
    from tasks.orca.hands import load_hand

    torch.set_num_threads(1)
    what = object_of_flags(args.object, args.size_mm, args.height_mm) or HeldObject()
    hand = load_hand(args.hand)
    out = args.out or bank_file_to_write(hand, what)
    search = GraspSearch(hand, args.batch, args.seed, what)
    reach = torch.pi / 4 * (1.0 - 1.0 / args.yaws)
    yaws = torch.linspace(-reach, reach, args.yaws)
    with tqdm(total=args.yaws * args.generations, desc="searching") as bar:
        found = search.search_all(yaws, args.generations, bar.update)
    banks: list[GraspBank] = []
    tried = held = 0
    with tqdm(total=args.grasps, desc="varying") as bar:
        while held < args.grasps:
            banks.append(search.vary(*found))
            tried, held = tried + args.batch, held + len(banks[-1])
            bar.update(min(held, args.grasps) - bar.n)
            if tried >= 50 * args.batch and held < args.grasps // 50:
                raise ValueError(
                    f"only {held} of {tried} grasps held; try more --generations{search.advice}"
                )
    bank = GraspBank.joined(banks).first(args.grasps)
    out.parent.mkdir(parents=True, exist_ok=True)
    bank.save(out, hand, what)
    print(f"{len(bank)} grasps -> {out} ({held / tried:.0%} of {tried} held)")


if __name__ == "__main__":
    run_main(main)
