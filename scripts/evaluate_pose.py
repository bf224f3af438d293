"""Judge a detector: accuracy of single images and filtered sequences, speed, figures, a video.

    python scripts/evaluate_pose.py --detector FILE --shards runs/keypoints/twin --json pose.json
    python scripts/evaluate_pose.py --detector FILE --shards DIR --figure pose.png
    python scripts/evaluate_pose.py --detector FILE --sequence RECORDING --video pose.mp4

Numbers are over held-out images that show at least 35 % of the cube; images without a pose count
as missed. A sequence is a recording with true poses (docs/reference/files.md); it is played with
the camera's latency, drop-outs and outliers, and judged at the moments the policy would ask.
"""

import argparse
import json
from pathlib import Path

import torch

from perception.cameras.recording import Recording
from perception.detector.detector import CornerDetector
from perception.detector.files import DetectorFile, load_detector
from perception.report.evaluation import draw_report, evaluate, evaluate_sequence, tracker_config
from perception.report.film import film
from perception.report.sequences import SequenceConfig
from perception.shards import ShardDataset
from perception.tracking.tracker import CubeTracker
from sernf_isaac.cli import resolve_device, run_main


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detector", type=Path, required=True, help="file of train_detector.py")
    parser.add_argument("--shards", type=Path, default=None, help="folder of render_keypoints.py")
    parser.add_argument("--split", default="heldout", help="train or heldout")
    parser.add_argument("--images", type=int, default=None, help="at most so many")
    parser.add_argument("--sequence", type=Path, default=None, help="recording with true poses")
    parser.add_argument("--latency", type=float, default=0.05, help="of a frame [s]")
    parser.add_argument("--dropout", type=float, default=0.15, help="part of the frames lost")
    parser.add_argument("--outliers", type=float, default=0.1, help="part taken for other faces")
    parser.add_argument("--seed", type=int, default=0, help="of drop-outs and outliers")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=2, help="of torch, on a CPU")
    parser.add_argument("--json", type=Path, default=None, help="where to write the numbers")
    parser.add_argument("--figure", type=Path, default=None, help="where to draw them (PNG)")
    parser.add_argument("--video", type=Path, default=None, help="film of --sequence (MP4)")
    return parser.parse_args()


def main() -> None:
    args = parse()
    if not args.shards and not args.sequence:
        raise ValueError("nothing to judge: give --shards, --sequence or both")
    if args.video and not args.sequence:
        raise ValueError("--video films a --sequence")
    torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    detector = load_detector(args.detector)
    numbers = judge_images(args, detector, device) if args.shards else {}
    if args.sequence:
        numbers["sequence"] = judge_sequence(args, detector, device)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(numbers, indent=1, allow_nan=False))
        print(f"numbers -> {args.json}")


def judge_images(args: argparse.Namespace, detector: DetectorFile, device: str) -> dict:
    shards = ShardDataset(args.shards, args.split)
    count = min(len(shards), args.images or len(shards))
    report = evaluate(detector, [shards[number] for number in range(count)], device)
    print(report.text)
    if args.figure:
        draw_report(args.figure, report, f"{args.detector.name}, {count} {args.split} images")
        print(f"figure  -> {args.figure}")
    return report.numbers


def judge_sequence(args: argparse.Namespace, detector: DetectorFile, device: str) -> dict:
    config = SequenceConfig(args.latency, args.dropout, args.outliers, args.seed)
    figure = args.figure and args.figure.with_stem(f"{args.figure.stem}_sequence")
    numbers = evaluate_sequence(detector, args.sequence, device, config, figure)
    for name, value in numbers.items():
        if name != "config":
            print(f"{name:<22}{value if value is None else f'{value:.4g}'}")
    if args.video:
        eyes = CornerDetector(detector.network, detector.config, device)
        tracker = CubeTracker(eyes, tracker_config(detector))
        posed = film(Recording(args.sequence), tracker, args.video)
        print(f"video   -> {args.video} (pose in {100 * posed:.1f} % of the images)")
    return numbers


if __name__ == "__main__":
    run_main(main)
