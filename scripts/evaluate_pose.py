"""Judge a detector: accuracy of single images and filtered sequences, speed, figures, a video.

    python scripts/evaluate_pose.py --detector FILE --shards DIR --json pose.json --figure pose.png
    python scripts/evaluate_pose.py --detector FILE --sequence RECORDING --video pose.mp4

Numbers are over held-out images that show at least 35 % of the cube, without a pose as missed. A
sequence is a recording with true poses (docs/reference/files.md), judged when a policy would ask.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import resolve_device, run_main, save_numbers
from sernf_isaac.flags import ScriptParser, count

if TYPE_CHECKING:
    from perception.detector.files import DetectorFile


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--detector", required=True)
    add("--shards", type=Path, default=None, help="folder of render_keypoints.py")
    add("--split", choices=("train", "heldout"), default="heldout", help="part of the data set")
    add("--images", type=count, default=None, help="at most so many; default: all")
    add("--sequence", type=Path, default=None, help="recording with true poses")
    add("--latency", type=float, default=0.05, help="of a frame [s]")
    add("--dropout", type=float, default=0.15, help="part of the frames lost")
    add("--outliers", type=float, default=0.1, help="part taken for other faces")
    add("--lowpass", action="store_true", help="filter the poses as the paper does (F.2)")
    add("--seed", default=0, help="of drop-outs and outliers")
    add("--device", default="cpu")
    add("--threads", default=2, help="threads of torch, on a CPU")
    add("--replay", type=Path, help="file for poses of --sequence, to try filters on (NPZ)")
    add("--json", default=None)
    add("--figure", default=None)
    add("--video", default=None, help="film of --sequence (MP4)")
    args = parser.parse()
    if not args.shards and not args.sequence:
        parser.error("nothing to judge: give --shards, --sequence or both")
    if (args.video or args.replay) and not args.sequence:
        parser.error("--video and --replay are of a --sequence")
    return args


def main() -> None:
    args = parse()
    import torch

    from perception.cameras.recording import Recording
    from perception.detector.files import load_detector

    torch.set_num_threads(args.threads)
    detector, device = load_detector(args.detector), resolve_device(args.device)
    _ = Recording(args.sequence) if args.sequence else None  # damage is to be found at once
    numbers = judge_images(args, detector, device) if args.shards else {}
    numbers |= {"sequence": judge_sequence(args, detector, device)} if args.sequence else {}
    save_numbers(args.json, numbers)


def judge_images(args: argparse.Namespace, detector: "DetectorFile", device: str) -> dict:
    from perception.report.evaluation import draw_report, evaluate
    from perception.shards import ShardDataset

    shards = ShardDataset(args.shards, args.split)
    samples = [shards[i] for i in range(min(len(shards), args.images or len(shards)))]
    report = evaluate(detector, samples, device, shards.marked)
    print(report.text)
    if args.figure:
        title = f"{args.detector.name}, {len(samples)} {args.split} images"
        draw_report(args.figure, report, title)
        print(f"figure  -> {args.figure}")
    return report.numbers


def judge_sequence(args: argparse.Namespace, detector: "DetectorFile", device: str) -> dict:
    from perception.report.evaluation import evaluate_sequence, film_sequence, measure_film
    from perception.report.sequences import SequenceConfig
    from perception.report.tables import sequence_table

    config = SequenceConfig(args.latency, args.dropout, args.outliers, args.seed)
    figure = args.figure and args.figure.with_stem(f"{args.figure.stem}_sequence")
    how = {"figure": figure, "lowpass": args.lowpass}
    numbers = evaluate_sequence(detector, args.sequence, device, config, **how)
    print(sequence_table(numbers))
    if figure:
        print(f"figure  -> {figure}")
    if args.replay:
        measure_film(detector, args.sequence, device).save(args.replay)
        print(f"poses   -> {args.replay}")
    if args.video:
        posed = film_sequence(detector, args.sequence, device, args.video, lowpass=args.lowpass)
        print(f"video   -> {args.video} (pose in {100 * posed:.1f} % of the images)")
    return numbers


if __name__ == "__main__":
    run_main(main)
