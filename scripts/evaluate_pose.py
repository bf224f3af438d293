"""Judge a detector: accuracy of single images and filtered sequences, speed, figures, a video.

    python scripts/evaluate_pose.py --detector FILE --shards DIR --json pose.json --figure pose.png
    python scripts/evaluate_pose.py --detector FILE --sequence RECORDING --video pose.mp4
    python scripts/evaluate_pose.py --detector FILE --real RECORDING --turns 3 --figure worst.png
    python scripts/evaluate_pose.py --detector FILE --real A --second B --cameras A.json B.json

Numbers are over held-out images that show at least 35 % of the cube, without a pose as missed. A
sequence is a recording with true poses (docs/reference/files.md), judged when a policy would ask.
Real pictures have no labels: each pose is held against its neighbours, a second camera, your count.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import resolve_device, run_main, save_numbers
from sernf_isaac.flags import ScriptParser, count


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--detector", required=True)
    add("--shards", type=Path, nargs="+", help="folders of render_keypoints.py")
    add("--split", choices=("train", "heldout"), default="heldout", help="part of the data set")
    add("--images", type=count, default=None, help="at most so many per folder; default: all")
    add("--sequence", type=Path, default=None, help="recording with true poses")
    add("--real", type=Path, default=None, help="recording without labels")
    add("--turns", type=float, default=None, help="of --real, counted by you, counter-clockwise")
    add("--second", type=Path, default=None, help="recording of a second camera beside --real")
    add("--cameras", type=Path, nargs=2, default=None, help="calibrations of --real and --second")
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
    if not (args.shards or args.sequence or args.real):
        parser.error("nothing to judge: give --shards, --sequence or --real")
    if (args.video or args.replay) and not args.sequence:
        parser.error("--video and --replay are of a --sequence")
    if not args.real and (args.second or args.cameras or args.turns is not None):
        parser.error("--turns, --second and --cameras are of --real pictures")
    if bool(args.second) != bool(args.cameras):
        parser.error("--second and --cameras need each other")
    return args


def main() -> None:
    args = parse()
    import torch

    from perception.cameras.recording import Recording
    from perception.detector.files import load_detector
    from perception.report.sequences import SequenceConfig
    from perception.runs import judge

    torch.set_num_threads(args.threads)
    detector, device = load_detector(args.detector), resolve_device(args.device)
    for recording in filter(None, (args.sequence, args.real, args.second)):
        Recording(recording)  # damage is to be found at once
    numbers = {}
    if args.shards:
        what = (args.detector.name, args.shards, args.split, args.images)
        numbers = judge.judge_images(detector, *what, device, args.figure)
    if args.sequence:
        config = SequenceConfig(args.latency, args.dropout, args.outliers, args.seed)
        out = judge.Outputs(args.figure, args.video, args.replay)
        films = judge.judge_sequence(
            *(detector, args.sequence, config, device, out), lowpass=args.lowpass
        )
        numbers |= {"sequence": films}
    if args.real:
        beside = {"turns": args.turns, "second": args.second, "cameras": args.cameras}
        numbers |= {
            "real": judge.judge_real(detector, args.real, device, figure=args.figure, **beside)
        }
    save_numbers(args.json, numbers)


if __name__ == "__main__":
    run_main(main)
