"""Scale the covariances of a detector's poses, so that errors are as large as they tell.

    python scripts/scale_covariance.py --detector assets/detector.pt \\
      --shards runs/keypoints/twin runs/keypoints/path --out runs/detector/scaled.pt

The pictures must be held out from training and from any later judging. Each folder counts alike.
The detector's weights stay as they are; its file gets four factors more.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import resolve_device, run_main
from sernf_isaac.flags import ScriptParser, count


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--detector", required=True)
    add("--shards", type=Path, nargs="+", required=True, help="folders of render_keypoints.py")
    add("--split", choices=("train", "heldout"), default="heldout", help="part of the data sets")
    add("--images", type=count, default=None, help="at most so many per folder; default: all")
    add("--out", required=True, help="file to write: the detector, with factors")
    add("--device", default="cpu")
    add("--threads", default=2, help="threads of torch, on a CPU")
    return parser.parse()


def main() -> None:
    args = parse()
    import torch

    from perception.detector.files import load_detector, save_detector
    from perception.runs.scale import scaled_detector

    torch.set_num_threads(args.threads)
    detector = load_detector(args.detector)
    what = (args.shards, args.split, args.images, resolve_device(args.device))
    save_detector(args.out, scaled_detector(detector, *what))
    print(f"detector -> {args.out}")


if __name__ == "__main__":
    run_main(main)
