"""Train a chunk policy from stored demonstrations: imitation, critic warm-up, offline RL.

    python scripts/train_offline.py --data demos.npz control_rate_hz=20 imitation_steps=2000
    python scripts/train_offline.py --data demos.hdf5 --keys object gripper control_rate_hz=20
    python scripts/train_offline.py --task scissors_tape --data runs/demos \\
      architecture.vision.weights=dinov2_vitl14_reg4_pretrain.pth
    python scripts/train_offline.py --policy act --data runs/demos control_rate_hz=10
    python scripts/train_offline.py --resume latest

Data are folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5, with --keys);
groups of images are cameras. --task takes a task's settings, --policy what the paper compares the
flow with. Everything else is a `group.key=value` setting; --print_config shows them all. A run that
was interrupted, however it was, goes on with --resume and ends with the same weights.
"""

import argparse
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from sernf_isaac.cli import apply_overrides, resolve_device, run_main, use_tensor_cores
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.offline.config import as_baseline
from sernf_isaac.models.architecture import KINDS
from tasks.presets import PRESETS, preset

RUNS = Path("runs/offline")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=sorted(PRESETS), default=None, help="its settings")
    parser.add_argument("--policy", choices=KINDS, default=None, help="default: flow")
    parser.add_argument("--data", nargs="+", default=None, help="stores, .npz or .hdf5 files")
    parser.add_argument("--keys", nargs="+", default=None, help="observation groups to use")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N")
    parser.add_argument("--resume", default=None, help="'latest' or a run folder")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    args, overrides = parser.parse_known_args()
    for name in ("data", "keys"):  # flags take all that follows them, settings too
        given = getattr(args, name) or []
        settings = [item for item in given if "=" in item and not Path(item).exists()]
        setattr(args, name, [item for item in given if item not in settings] or None)
        overrides = settings + overrides
    return args, overrides


def run_of(args: argparse.Namespace, overrides: list[str]) -> offline.OfflineRun:
    run = preset(args.task) if args.task else offline.OfflineRun()
    run = as_baseline(run, args.policy) if args.policy else run
    flags = {"data": args.data, "keys": args.keys, "seed": args.seed}
    if args.data:
        flags["data"] = [str(Path(source).resolve()) for source in args.data]
    given = {name: value for name, value in flags.items() if value is not None}
    return apply_overrides(replace(run, **given), overrides)


def main() -> None:
    args, overrides = parse()
    if args.resume:
        given = (args.data, args.keys, args.task, args.policy)
        if overrides or any(given) or args.seed is not None:
            raise ValueError("a resumed run keeps its settings; give --resume alone")
        run_dir = latest(args.out) if args.resume == "latest" else Path(args.resume)
        run = offline.load_run(run_dir)
    else:
        run = run_of(args, overrides)
        run_dir = args.out / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    device = resolve_device(args.device)
    use_tensor_cores(device)
    policy_file = offline.train(run, run_dir, device=device, resume=bool(args.resume))
    print(f"policy     -> {policy_file}")
    print(f"numbers    -> {run_dir / 'metrics.csv'}")
    print(f"curves     -> tensorboard --logdir {run_dir}")


def latest(root: Path) -> Path:
    runs = sorted(path.parent for path in root.glob(f"*/{offline.CONFIG_FILE}"))
    if not runs:
        raise FileNotFoundError(f"no run to resume under {root}")
    return runs[-1]


if __name__ == "__main__":
    run_main(main)
