"""Distil the teacher into the student: a flow policy over chunks, from what a real hand can tell.

    python scripts/distill.py --sim twin                            # laptop, CPU
    python scripts/distill.py --sim twin --resume latest            # go on after an interruption
    python scripts/distill.py --sim isaac --preset paper            # GPU, 1,024 environments
    torchrun --nproc_per_node 4 scripts/distill.py --sim isaac --preset paper       # a GPU each

Everything beyond the flags is `key=value`: `distill.teacher_decay=0.9`, `physics=randomized`;
`--print_config` shows every key. Results go to runs/student/<time>/: student.pt, TensorBoard
events, metrics.csv, a video.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import OmegaConf

from sernf_isaac.cli import apply_overrides, resolve_device, resolve_sim, run_main
from sernf_isaac.run_folder import latest_run_dir
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.student.settings import StudentRun, load_run, preset

RUNS = Path("runs/student")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sim", choices=("auto", "twin", "isaac"), default="auto")
    parser.add_argument("--preset", choices=("small", "paper"), default="small")
    parser.add_argument("--teacher", default=None, help="policy file of the teacher")
    parser.add_argument("--num_envs", type=int, default=None, help="environments per process")
    parser.add_argument("--max_iterations", type=int, default=None)
    parser.add_argument("--max_minutes", type=float, default=None, help="time, without evaluation")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N (Isaac Lab)")
    parser.add_argument("--threads", type=int, default=None, help="physics threads (twin)")
    parser.add_argument("--resume", default=None, help="'latest' or a run folder")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--no-video", dest="video", action="store_false", help="no video")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def settings(args: argparse.Namespace, overrides: list[str]) -> tuple[StudentRun, Path | None]:
    """The run, and its folder if it goes on."""
    if args.resume and overrides:
        raise ValueError(f"a resumed run keeps its settings; remove {overrides}")
    if args.resume:
        run_dir = latest_run_dir(args.out) if args.resume == "latest" else Path(args.resume)
        run = load_run(run_dir)
    else:
        run_dir, run = None, apply_overrides(preset(args.preset), overrides)
    flags = {"num_envs": args.num_envs, "seed": args.seed, "max_minutes": args.max_minutes}
    if args.teacher:
        flags["teacher"] = str(Path(args.teacher).resolve())
    run = replace(run, **{name: value for name, value in flags.items() if value is not None})
    if args.max_iterations is not None:
        run = replace(run, distill=replace(run.distill, iterations=args.max_iterations))
    return run, run_dir


def main() -> None:
    args, overrides = parse()
    run, run_dir = settings(args, overrides)
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    torch.set_num_threads(1)  # small networks: a second thread only steals from the physics
    sim = resolve_sim(args.sim)
    device = resolve_device(args.device) if sim == "isaac" else "cpu"
    policy_file = distil(
        run, args.out, sim=sim, device=device, threads=args.threads, resume=run_dir
    )
    if policy_file is None:  # not the process that writes
        return
    if args.video:
        from tasks.cube_spin.runs.play import film_policy
        from tasks.cube_spin.student.policy import load_student

        film_policy(load_student(policy_file), policy_file.with_suffix(".mp4"))
    print(f"student    -> {policy_file}")
    print(f"curves     -> tensorboard --logdir {policy_file.parent}")
    print(f"next       -> python scripts/evaluate.py --policy {policy_file}")


if __name__ == "__main__":
    run_main(main)
