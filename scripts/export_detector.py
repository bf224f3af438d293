"""Write the part of a detector that runs while tracking as an ONNX file, and check it.

    python scripts/export_detector.py --detector assets/detector.pt --out runs/detector/core.onnx

Input: one image (1, 3, height, width), RGB in [0, 1], and one box (1, 4) in its pixels. Output: the
probability that the box holds the cube, the corrected box, corner heatmaps and mask over it.
"""

import argparse
from pathlib import Path

import torch

from perception.detector.export import TOLERANCE, export_onnx, parity
from perception.detector.files import load_detector
from perception.files import check_writable
from perception.tracking.tracker import TrackerConfig
from sernf_isaac.cli import run_main


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    height, width = TrackerConfig().track_size
    parser.add_argument("--detector", type=Path, required=True, help="file of train_detector.py")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument("--height", type=int, default=height, help="of the image")
    parser.add_argument("--width", type=int, default=width, help="of the image")
    parser.add_argument("--images", type=int, default=5, help="random images to compare")
    parser.add_argument("--threads", type=int, default=2, help="of both runtimes, on a CPU")
    return parser.parse_args()


def main() -> None:
    args = parse()
    for name, low in (("threads", 1), ("images", 1), ("height", 32), ("width", 32)):
        if (value := getattr(args, name)) < low:
            raise ValueError(f"--{name} ({value}) must be at least {low}")
    check_writable(args.out, (".onnx",))
    torch.set_num_threads(args.threads)
    detector, size = load_detector(args.detector), (args.height, args.width)
    export_onnx(detector, args.out, size)
    print(f"{args.out.stat().st_size / 1e6:.1f} MB -> {args.out}")
    found = parity(detector, args.out, size, images=args.images, threads=args.threads)
    print(f"largest difference to PyTorch over {args.images} images:")
    for name, difference in found.differences.items():
        print(f"  {name:<24}{difference:.1e}")
    print(f"  {'corners [px]':<24}{found.corners_px:.1e}")
    print(
        f"PyTorch {found.torch_ms:.1f} ms, ONNX Runtime {found.onnx_ms:.1f} ms per image (median)"
    )
    if found.corners_px > TOLERANCE:
        raise ValueError(f"the exported core measures other corners than PyTorch ({args.out})")


if __name__ == "__main__":
    run_main(main)
