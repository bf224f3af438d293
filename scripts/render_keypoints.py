"""Render a labelled data set for the keypoint detector; run again to go on after an interruption.

python scripts/render_keypoints.py --renderer twin --train 20000 --heldout 2000 --processes 2
python scripts/render_keypoints.py --backgrounds ~/places365/val_256 --out runs/keypoints/places
python scripts/render_keypoints.py --renderer isaac --device cuda:0 --num_envs 200 --train 4000000
python scripts/render_keypoints.py --out runs/keypoints/places --verify      # after it was copied
"""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_TEACHER

if TYPE_CHECKING:
    from perception.synthetic.pictures import PictureConfig
    from tasks.cube_spin.eyes.painters import IsaacPainters, TwinPainters


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--renderer", choices=("twin", "isaac"), default="twin", help="who draws")
    add("--out", default=Path("runs/keypoints/twin"), help="folder of the data set")
    add("--train", type=int, default=20000, help="training pictures")
    add("--heldout", type=int, default=2000, help="pictures to evaluate on")
    add("--per_shard", type=int, default=500, help="pictures per file")
    add("--processes", default=1)
    add("--num_envs", default=64, help="pictures at once (isaac)")
    add("--device", default="auto", help="device of Isaac Lab")
    add("--policy", default=DEFAULT_TEACHER, help="teacher whose grasps are shown")
    add("--backgrounds", type=Path, default=None, help="folder of pictures")
    add("--seed", default=0)
    add("--verify", action="store_true", help="compare --out with its checksums and stop")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    from tqdm import tqdm

    from perception.contact_sheet import write_sheets
    from perception.shards import verify
    from perception.synthetic.generate import generate, plan_shards
    from perception.synthetic.pictures import PictureConfig
    from perception.synthetic.views import SPLITS

    config = apply_overrides(PictureConfig(), overrides)
    config.backgrounds = str(args.backgrounds) if args.backgrounds else config.backgrounds
    if args.print_config:
        return print_settings(config)
    if args.verify:
        print(f"{verify(args.out)} samples of {args.out} are as they were written")
        return
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software rendering without threads of its own
    plans = plan_shards(args.out, {"train": args.train, "heldout": args.heldout}, args.per_shard)
    painters = make_painters(args, config)
    description = {"renderer": args.renderer, "seed": args.seed, "per_shard": args.per_shard}
    description |= {"policy": args.policy.name, "config": asdict(config)}
    with tqdm(total=args.train + args.heldout, unit="picture") as bar:
        rate = generate(
            *(args.out, plans, painters, description),
            defaults={"config": asdict(PictureConfig())},
            workers=args.processes,
            report=bar.update,
        )
    print(f"{bar.total} pictures -> {args.out} ({rate:.1f} new ones per second)")
    for split in (split for split in SPLITS if getattr(args, split)):
        for path in write_sheets(args.out, split, args.backgrounds):
            print(f"look at {path}")


def make_painters(
    args: argparse.Namespace, config: "PictureConfig"
) -> "TwinPainters | IsaacPainters":
    """Tried here once, because errors of other processes are hard to read."""
    from perception.synthetic.backgrounds import Backgrounds
    from perception.synthetic.views import SPLITS
    from tasks.cube_spin.eyes.painters import IsaacPainters, TwinPainters
    from tasks.cube_spin.teacher.policy import load_teacher
    from tasks.rendering import choose_gl_backend

    load_teacher(args.policy)
    for split in SPLITS:
        Backgrounds(split, Path(config.backgrounds) if config.backgrounds else None)
    if args.renderer == "twin":
        choose_gl_backend()
        return TwinPainters(config, args.policy, args.seed)
    device = resolve_device(args.device)
    return IsaacPainters(config, args.policy, args.seed, args.num_envs, device)


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
