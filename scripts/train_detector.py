"""Train the detector of the cube's corners on a rendered data set.

    python scripts/train_detector.py --preset tiny --data runs/keypoints/twin         # laptop, CPU
    python scripts/train_detector.py --preset paper --data DIR bf16=true workers=12   # GPU
    torchrun --nproc_per_node 4 scripts/train_detector.py --preset paper --data DIR   # several
    python scripts/train_detector.py --resume latest                                  # continue

Everything else is a `group.key=value` setting; --print_config shows them all. Results go to
runs/detector/<time>/: detector.pt, TensorBoard curves with pictures, validation.jsonl.
"""

import argparse
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import torch
from omegaconf import OmegaConf

from perception.detector import run as runs
from perception.detector.config import PRESETS
from sernf_isaac.cli import apply_overrides, resolve_device, run_main

RUNS = Path("runs/detector")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=None, help="folder of render_keypoints.py")
    parser.add_argument("--preset", choices=list(PRESETS), default="paper")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=None, help="of torch, on a CPU")
    parser.add_argument("--resume", default=None, help="'latest' or a run folder")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if args.resume:
        if overrides or args.data or args.seed is not None:
            raise ValueError("a resumed run keeps its settings; give --resume alone")
        run_dir = latest(args.out) if args.resume == "latest" else Path(args.resume)
        run = runs.load_run(run_dir)
    else:
        flags = {"data": args.data and str(args.data.resolve()), "seed": args.seed}
        given = {name: value for name, value in flags.items() if value is not None}
        run = apply_overrides(replace(runs.default_run(args.preset), **given), overrides)
        run_dir = args.out / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    if args.threads:
        torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    if "LOCAL_RANK" in os.environ:
        device, run_dir = join_group(device, run_dir)
    detector_file = runs.train(run, run_dir, device=device, resume=bool(args.resume))
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"detector   -> {detector_file}")
        print(f"curves     -> tensorboard --logdir {run_dir}")
        print(f"next       -> python scripts/evaluate_pose.py --detector {detector_file}")


def join_group(device: str, run_dir: Path) -> tuple[str, Path]:
    """Meet the other processes of torchrun; everybody takes the first one's folder."""
    rank = int(os.environ["LOCAL_RANK"])
    if device.startswith("cuda"):
        device = f"cuda:{rank}"
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    folder: list[Path | None] = [run_dir]
    torch.distributed.broadcast_object_list(folder)
    return device, folder[0] or run_dir


def latest(root: Path) -> Path:
    found = sorted(path.parent for path in root.glob(f"*/{runs.CONFIG_FILE}"))
    if not found:
        raise FileNotFoundError(f"no run to resume under {root}")
    return found[-1]


if __name__ == "__main__":
    run_main(main)
