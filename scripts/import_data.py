"""Bring demonstrations into an episode store, and episodes out of it.

    python scripts/import_data.py topics demo_01/
    python scripts/import_data.py bags demo_*/ --layout scissors.yaml --out runs/demos
    python scripts/import_data.py robomimic can_mh.hdf5 --keys object --split better --out runs/can
    python scripts/import_data.py lerobot downloads/pusht/ --out runs/pusht
    python scripts/import_data.py export runs/demos --to exports/demos --task "cut the tape"

An import makes a new run, of all sources or of none; --skip_bad leaves out what cannot be read.
Where each episode comes from is in its imports.json. `topics` lists what a bag holds, for its
layout (docs/how_to/import_data.md). LeRobot data sets are v3.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    common, outcome = ScriptParser(add_help=False), ScriptParser(add_help=False)
    common.add_argument("--out", required=True, help="folder of the new run")
    common.add_argument("--skip_bad", action="store_true", help="leave out what cannot be read")
    common.add_argument("--online", action="store_true", help="do not mark as offline data")
    common.add_argument("--images", choices=("raw", "png", "jpeg"), default="raw", help="as stored")
    ends = ("unknown", "success", "failure", "timeout", "stopped", "recovered")
    of_all = "of all episodes; default: what the files say"
    outcome.add_argument("--outcome", choices=ends, default=None, help=of_all)
    bags = what.add_parser("bags", parents=[common, outcome], help="ROS 2 bags, an episode each")
    bags.add_argument("source", nargs="+", type=Path, help="folders, .db3 or .mcap files")
    bags.add_argument("--layout", type=Path, required=True, help="YAML: topics and where they go")
    bags.add_argument("--threads", default=4, help="threads that decode images")
    robomimic = what.add_parser("robomimic", parents=[common, outcome], help="robomimic HDF5 file")
    robomimic.add_argument("source", type=Path, help="file")
    robomimic.add_argument("--keys", nargs="+", default=(), help="observations to read")
    robomimic.add_argument("--split", default=None, help="filter key, such as train or better")
    robomimic.add_argument("--reward_shift", type=float, default=0.0, help="added to every reward")
    lerobot = what.add_parser("lerobot", parents=[common, outcome], help="LeRobot v3 folder")
    lerobot.add_argument("source", type=Path, help="the folder")
    lerobot.add_argument("--keys", nargs="+", default=(), help="observations to read, if not all")
    lerobot.add_argument("--image_size", nargs=2, type=int, default=None, help="height and width")
    topics = what.add_parser("topics", help="list the topics of a bag")
    topics.add_argument("source", type=Path, help="the bag")
    export = what.add_parser("export", help="an episode store as a LeRobot v3 data set")
    export.add_argument("source", type=Path, help="folder of a run")
    export.add_argument("--to", type=Path, required=True, help="new folder")
    export.add_argument("--keys", nargs="+", default=(), help="default: all but log_...")
    export.add_argument("--task", default="", help="of all episodes, in words")
    export.add_argument("--rate_hz", type=float, default=None, help="where run.json has none")
    export.add_argument("--png", action="store_true", help="images without loss, not as video")
    return parser.parse()


def main() -> None:
    args = parse()
    from tqdm import tqdm

    from sernf_isaac.data.bags.file import list_topics
    from sernf_isaac.data.importers.into_store import import_run
    from sernf_isaac.data.lerobot.exporter import export_lerobot
    from sernf_isaac.data.store.writer import RECORD

    if args.what == "topics":
        for topic, (msgtype, count) in sorted(list_topics(args.source).items()):
            print(f"{topic:40s} {msgtype:36s} {count:8d}")
        return
    if args.what == "export":
        how = {"task": args.task, "rate_hz": args.rate_hz, "as_video": not args.png}
        with tqdm(desc="exporting", unit="episode") as bar:
            print(export_lerobot(args.source, args.to, progress=bar.update, keys=args.keys, **how))
        return
    info, found = readings_of(args)
    with tqdm(total=len(found), desc="importing", unit="episode") as bar:
        how = {"skip_bad": args.skip_bad, "images": args.images}
        made = import_run(args.out, info, found, progress=bar.update, **how)
    print(*made.remarks(), f"{len(made.episodes)} episodes -> {args.out / RECORD}", sep="\n")


def readings_of(args: argparse.Namespace) -> tuple[dict, dict]:
    from sernf_isaac.data.bags.layout import read_layout
    from sernf_isaac.data.images.fit import Fit
    from sernf_isaac.data.importers import readings

    source, offline = args.source, not args.online
    if args.what == "robomimic":
        how = (args.keys, args.split, args.reward_shift, args.outcome)
        return readings.robomimic_readings(source, *how, is_offline=offline)
    if args.what == "bags":
        layout = read_layout(args.layout)
        how = (args.outcome or "unknown", args.threads)
        return readings.bag_readings(source, layout, *how, is_offline=offline)
    how = (args.keys, Fit(*args.image_size) if args.image_size else None, args.outcome)
    return readings.lerobot_readings(source, *how, is_offline=offline)


if __name__ == "__main__":
    run_main(main)
