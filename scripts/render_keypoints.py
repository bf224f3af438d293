"""Render a labelled data set for the keypoint detector; run again to go on after an interruption.

python scripts/render_keypoints.py --renderer twin --train 20000 --heldout 2000 --workers 2
python scripts/render_keypoints.py --backgrounds ~/places365/val_256 --out runs/keypoints/places
python scripts/render_keypoints.py --renderer isaac --device cuda:0 --num_envs 200 --train 4000000
"""

import argparse
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from tqdm import tqdm

from perception.augmentation.augment import Augmenter
from perception.augmentation.config import AugmentConfig
from perception.contact_sheet import write_contact_sheet
from perception.shards import ShardDataset
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.generate import generate, plan_shards
from perception.synthetic.pictures import PictureConfig
from perception.synthetic.views import SPLITS
from sernf_isaac.cli import apply_overrides, resolve_device, run_main
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.eyes.painters import IsaacPainters, TwinPainters

SHEET = 30  # samples on a contact sheet


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renderer", choices=("twin", "isaac"), default="twin")
    parser.add_argument("--out", type=Path, default=Path("runs/keypoints/twin"))
    parser.add_argument("--train", type=int, default=20000, help="training pictures")
    parser.add_argument("--heldout", type=int, default=2000, help="pictures to evaluate on")
    parser.add_argument("--per_shard", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--num_envs", type=int, default=64, help="pictures at once (isaac)")
    parser.add_argument("--device", default="auto", help="of Isaac Lab")
    parser.add_argument("--policy", type=Path, default=DEFAULT_TEACHER, help="teacher file")
    parser.add_argument("--backgrounds", type=Path, default=None, help="folder of pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print_config", action="store_true")
    args, overrides = parser.parse_known_args()
    config = apply_overrides(PictureConfig(), overrides)
    config.backgrounds = str(args.backgrounds) if args.backgrounds else config.backgrounds
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(config)))
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
            workers=args.workers,
            report=bar.update,
        )
    print(f"{args.train + args.heldout} pictures -> {args.out} ({rate:.1f} new ones per second)")
    for split in (split for split in SPLITS if getattr(args, split)):
        write_sheets(args.out, split, args.backgrounds)


def write_sheets(folder: Path, split: str, backgrounds: Path | None) -> None:
    """Samples to look at, as rendered and as the detector sees them in training."""
    data = ShardDataset(folder, split)
    samples = [data[i * len(data) // SHEET] for i in range(min(SHEET, len(data)))]
    augment = Augmenter(AugmentConfig(), Backgrounds(split, backgrounds))
    changed = [augment(sample, np.random.default_rng(i)) for i, sample in enumerate(samples)]
    for kind, shown in {"": samples, "-augmented": changed}.items():
        write_contact_sheet(path := folder / f"{split}{kind}.jpg", shown)
        print(f"look at {path}")


def make_painters(args: argparse.Namespace, config: PictureConfig) -> TwinPainters | IsaacPainters:
    if args.renderer == "twin":
        return TwinPainters(config, args.policy, args.seed)
    device = resolve_device(args.device)
    return IsaacPainters(config, args.policy, args.seed, args.num_envs, device)


if __name__ == "__main__":
    run_main(main)
