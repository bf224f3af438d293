"""Judge a detector: accuracy of single images and filtered sequences, speed, figures, a video.

    python scripts/evaluate_pose.py --detector FILE --shards DIR --json pose.json --figure pose.png
    python scripts/evaluate_pose.py --detector FILE --sequence RECORDING --video pose.mp4

Numbers are over held-out images that show at least 35 % of the cube, without a pose as missed. A
sequence is a recording with true poses (docs/reference/files.md), judged when a policy would ask.
"""

import argparse
from pathlib import Path

import torch

from perception.cameras.recording import Recording
from perception.detector.files import DetectorFile, load_detector
from perception.files import check_writable, write_json
from perception.report.evaluation import draw_report, evaluate, evaluate_sequence, film_sequence
from perception.report.film import VIDEOS
from perception.report.sequences import SequenceConfig
from perception.report.tables import sequence_table
from perception.shards import ShardDataset
from perception.synthetic.views import SPLITS
from sernf_isaac.cli import resolve_device, run_main


def parse() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("--detector", type=Path, required=True, help="file of train_detector.py")
    add("--shards", type=Path, default=None, help="folder of render_keypoints.py")
    add("--split", choices=SPLITS, default="heldout", help="which part of the data set")
    add("--images", type=int, default=None, help="at most so many")
    add("--sequence", type=Path, default=None, help="recording with true poses")
    add("--latency", type=float, default=0.05, help="of a frame [s]")
    add("--dropout", type=float, default=0.15, help="part of the frames lost")
    add("--outliers", type=float, default=0.1, help="part taken for other faces")
    add("--seed", type=int, default=0, help="of drop-outs and outliers")
    add("--device", default="cpu", help="cpu, cuda or cuda:N")
    add("--threads", type=int, default=2, help="of torch, on a CPU")
    add("--json", type=Path, default=None, help="where to write the numbers")
    add("--figure", type=Path, default=None, help="where to draw them (PNG)")
    add("--video", type=Path, default=None, help="film of --sequence (MP4)")
    return checked(parser.parse_args())


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    detector, device = load_detector(args.detector), resolve_device(args.device)
    _ = Recording(args.sequence) if args.sequence else None  # damage is to be found at once
    numbers = judge_images(args, detector, device) if args.shards else {}
    numbers |= {"sequence": judge_sequence(args, detector, device)} if args.sequence else {}
    if args.json:
        write_json(args.json, numbers, indent=1)
        print(f"numbers -> {args.json}")


def checked(args: argparse.Namespace) -> argparse.Namespace:
    """Refuse what would fail after minutes."""
    if not args.shards and not args.sequence:
        raise ValueError("nothing to judge: give --shards, --sequence or both")
    if args.video and not args.sequence:
        raise ValueError("--video films a --sequence")
    if args.threads < 1 or (args.images is not None and args.images < 1):
        raise ValueError("--threads and --images must be at least 1")
    outputs = {args.json: (), args.figure: (".png",), args.video: VIDEOS}
    for path in outputs.keys() - {None}:
        check_writable(path, outputs[path])
    return args


def judge_images(args: argparse.Namespace, detector: DetectorFile, device: str) -> dict:
    shards = ShardDataset(args.shards, args.split)
    samples = [shards[i] for i in range(min(len(shards), args.images or len(shards)))]
    report = evaluate(detector, samples, device)
    print(report.text)
    if args.figure:
        title = f"{args.detector.name}, {len(samples)} {args.split} images"
        draw_report(args.figure, report, title)
        print(f"figure  -> {args.figure}")
    return report.numbers


def judge_sequence(args: argparse.Namespace, detector: DetectorFile, device: str) -> dict:
    config = SequenceConfig(args.latency, args.dropout, args.outliers, args.seed)
    figure = args.figure and args.figure.with_stem(f"{args.figure.stem}_sequence")
    numbers = evaluate_sequence(detector, args.sequence, device, config, figure)
    print(sequence_table(numbers))
    if figure:
        print(f"figure  -> {figure}")
    if args.video:
        posed = film_sequence(detector, args.sequence, device, args.video)
        print(f"video   -> {args.video} (pose in {100 * posed:.1f} % of the images)")
    return numbers


if __name__ == "__main__":
    run_main(main)
