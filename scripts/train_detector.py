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
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from perception.detector.config import PRESETS
from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import new_run_dir, resumed_run_dir, writing
from sernf_isaac.verbs import as_typed


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--data", type=Path, default=None, help="folder of render_keypoints.py")
    add("--preset", choices=list(PRESETS), default="paper", help="size of the network")
    add("--seed", default=None, help="default: the preset's")
    add("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto")
    add("--threads", default=None, help="threads of torch, on a CPU; default: all")
    add("--resume", default=None)
    add("--out", default=Path("runs/detector"), help="folder of the runs")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    resumed = resumed_run_dir(args.out, args.resume) if args.resume else None
    import torch

    from perception.runs import train_detector as runs

    if resumed:
        if overrides or args.data or args.seed is not None:
            raise ValueError("a resumed run keeps its settings; give --resume alone")
        run = runs.load_run(resumed)
    else:
        flags = {"data": args.data and str(args.data.resolve()), "seed": args.seed}
        given = {name: value for name, value in flags.items() if value is not None}
        run = apply_overrides(replace(runs.default_run(args.preset), **given), overrides)
    if args.print_config:
        return print_settings(run)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    device, first = join_group(resolve_device(args.device))
    run = runs.fit_to_data(run)
    run_dir = share_folder(resumed or (new_run_dir(args.out) if first else None))
    if first:
        window = (
            f"{run.window[0]} x {run.window[1]} px of each image" if run.window else "all of it"
        )
        print(f"{run.validation_images} images kept aside; learning from {window}")
    with writing(run_dir) if first else nullcontext():
        detector_file = runs.train(run, run_dir, device=device, resume=bool(args.resume))
    if first:
        print(f"detector   -> {detector_file}")
        print(f"curves     -> tensorboard --logdir {run_dir}")
        print(as_typed(f"next       -> python scripts/evaluate_pose.py --detector {detector_file}"))


def join_group(device: str) -> tuple[str, bool]:
    """Meet the other processes of torchrun, if there are; this one's device, and if it is first."""
    if "LOCAL_RANK" not in os.environ:
        return device, True
    import torch

    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device, torch.distributed.get_rank() == 0


def share_folder(run_dir: Path | None) -> Path:
    """The first process's folder, in all of them."""
    import torch

    if torch.distributed.is_initialized():
        folder = [run_dir]
        torch.distributed.broadcast_object_list(folder)
        run_dir = folder[0]
    assert run_dir is not None, "the first process has one"
    return run_dir


if __name__ == "__main__":
    run_main(main)
