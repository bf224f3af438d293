"""Write the part of a detector that runs while tracking as an ONNX file, and check it.

    python scripts/export_detector.py --detector assets/detector.pt --out runs/detector/core.onnx

Input: one image (1, 3, height, width), RGB in [0, 1], and one box (1, 4) in its pixels. Output: the
probability that the box holds the cube, the corrected box, corner heatmaps and mask over it.
"""

import argparse

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--out", required=True, help="file to write (ONNX)")
    parser.add_argument("--height", type=int, default=160, help="of the image [pixels]")
    parser.add_argument("--width", type=int, default=192, help="of the image [pixels]")
    parser.add_argument("--images", type=int, default=5, help="random images to compare")
    parser.add_argument("--threads", default=2, help="threads of both runtimes, on a CPU")
    return parser.parse()


def main() -> None:
    args = parse()
    for name, low in (("images", 1), ("height", 32), ("width", 32)):
        if (value := getattr(args, name)) < low:
            raise ValueError(f"--{name} ({value}) must be at least {low}")
    if args.out.suffix.lower() != ".onnx":
        raise ValueError(f"--out {args.out}: the name must end in .onnx")
    import torch

    from perception.detector.export import TOLERANCE, export_onnx, parity
    from perception.detector.files import load_detector

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
