"""Train a chunk policy from stored demonstrations: imitation, critic warm-up, offline RL.

    python scripts/train_offline.py --data demos.npz control_rate_hz=20 imitation_steps=2000
    python scripts/train_offline.py --data demos.hdf5 --keys object gripper control_rate_hz=20
    python scripts/train_offline.py --task scissors_tape --data runs/demos \\
      architecture.vision.weights=dinov2_vitl14_reg4_pretrain.pth
    python scripts/train_offline.py --kind act --data runs/demos control_rate_hz=10
    torchrun --nproc_per_node 4 scripts/train_offline.py --data runs/demos      # a GPU each
    python scripts/train_offline.py --resume latest
    python scripts/train_offline.py --report --run runs/offline/NAME

Data are folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5, with --keys);
groups of images are cameras. --task takes a task's settings, --kind what the paper compares the
flow with. Everything else is a `group.key=value` setting; --print_config shows them all. A run that
was interrupted, however it was, goes on with --resume and ends with the same weights. --report
writes a page that judges data and policy after each stage; with --run, without training.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.models.architecture import KINDS
from sernf_isaac.run_folder import new_run_dir, resumed_run_dir

if TYPE_CHECKING:
    from sernf_isaac.learning.offline.run import OfflineRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    tasks = ("duck_bowl", "robomimic", "scissors_tape")
    add("--task", choices=tasks, default=None, help="take this task's settings")
    add("--kind", choices=KINDS, default=None, help="of policy; default: flow")
    add("--data", nargs="+", default=None, help="stores, .npz or .hdf5 files")
    add("--keys", nargs="+", default=None, help="observation groups to use")
    add("--seed", default=None, help="default: 0")
    add("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto")
    add("--resume", default=None)
    add("--report", action="store_true", help="write a page on data and policy after each stage")
    add("--run", default=None, help="with --report: of this run, without training")
    add("--out", default=Path("runs/offline"), help="folder of the runs")
    return parser.parse_with_settings()


def run_of(args: argparse.Namespace, overrides: list[str]) -> "OfflineRun":
    from sernf_isaac.learning.offline.config import as_baseline
    from sernf_isaac.learning.offline.run import OfflineRun
    from tasks.presets import preset

    run = preset(args.task) if args.task else OfflineRun()
    run = as_baseline(run, args.kind) if args.kind else run
    flags = {"data": args.data, "keys": args.keys, "seed": args.seed}
    if args.data:
        flags["data"] = [str(Path(source).resolve()) for source in args.data]
    given = {name: value for name, value in flags.items() if value is not None}
    return apply_overrides(replace(run, **given), overrides)


def report_on(run_dir: Path, device: str) -> None:
    from sernf_isaac.learning.offline.report import report_run

    for path in report_run(run_dir, device):
        print(f"report     -> {path}")


def main() -> None:
    args, overrides = parse()
    given = (args.data, args.keys, args.task, args.kind)
    if (args.resume or args.run) and (overrides or any(given) or args.seed is not None):
        raise ValueError("a run keeps its settings; give --resume or --report --run alone")
    if args.run and (args.resume or not args.report):
        raise ValueError("--run is for reports without training: --report --run FOLDER")
    if args.run:
        return report_on(args.run, resolve_device(args.device))
    run_dir = resumed_run_dir(args.out, args.resume) if args.resume else None
    from sernf_isaac.learning.offline import run as offline
    from sernf_isaac.learning.workers import together

    run = offline.load_run(run_dir) if run_dir else run_of(args, overrides)
    if args.print_config:
        return print_settings(run)
    device = resolve_device(args.device)
    with together(device) as workers:
        run_dir = workers.once(lambda: run_dir or new_run_dir(args.out))
        ways = {"resume": bool(args.resume), "report": args.report, "workers": workers}
        policy_file = offline.train(run, run_dir, device=device, **ways)
    if workers.writes:
        print(f"policy     -> {policy_file}")
        print(f"numbers    -> {run_dir / 'metrics.csv'}")
        print(f"curves     -> tensorboard --logdir {run_dir}")


if __name__ == "__main__":
    run_main(main)
