"""Train a chunk policy from stored demonstrations: imitation, critic warm-up, offline RL.

    python scripts/train_offline.py --data demos.npz control_rate_hz=20 imitation_steps=2000
    python scripts/train_offline.py --data demos.hdf5 --keys object gripper control_rate_hz=20
    python scripts/train_offline.py --resume latest

Data are folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5, with --keys).
Everything else is a `group.key=value` setting; --print_config shows them all. A run that was
interrupted, however it was, goes on with --resume and ends with the same weights.
"""

import argparse
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from _cli import apply_overrides, resolve_device, run_main, use_tensor_cores
from omegaconf import OmegaConf

from sernf_isaac.learning import offline

RUNS = Path("runs/offline")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=None, help="stores, .npz or .hdf5 files")
    parser.add_argument("--keys", nargs="+", default=None, help="observation groups to use")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N")
    parser.add_argument("--resume", default=None, help="'latest' or a run folder")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if args.resume:
        if overrides or args.data or args.keys or args.seed is not None:
            raise ValueError("a resumed run keeps its settings; give --resume alone")
        run_dir = latest(args.out) if args.resume == "latest" else Path(args.resume)
        run = offline.load_run(run_dir)
    else:
        flags = {"data": args.data, "keys": args.keys, "seed": args.seed}
        if args.data:
            flags["data"] = [str(Path(source).resolve()) for source in args.data]
        given = {name: value for name, value in flags.items() if value is not None}
        run = apply_overrides(replace(offline.OfflineRun(), **given), overrides)
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
