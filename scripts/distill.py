"""Distil the teacher into the student: a flow policy over chunks, from what a real hand can tell.

    python scripts/distill.py --sim twin                            # laptop, CPU: the chunks
    python scripts/distill.py --sim twin --preset reflex start_from=STUDENT.pt      # their reflex
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
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, resolve_sim, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import resumed_run_dir
from sernf_isaac.verbs import as_typed

if TYPE_CHECKING:
    from tasks.cube_spin.student.settings import StudentRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--sim", choices=("auto", "twin", "isaac"), default="auto", help="the simulator")
    presets = ("wide", "reflex", "blind", "small", "paper")
    add("--preset", choices=presets, default="wide", help="settings to begin from")
    add("--teacher", default=None, help="policy file of the teacher; default: the preset's")
    add("--description")
    add("--physics", default=None, help="physics of the twin: preset or YAML file")
    add("--num_envs", default=None, help="environments per process; default: the preset's")
    add("--max_iterations", default=None, help="default: the preset's")
    add("--max_minutes", default=None, help="stop training after so long, without evaluation")
    add("--seed", default=None, help="default: the preset's")
    add("--device", default=None, help="auto, cpu, cuda or cuda:N (Isaac Lab); default: auto")
    add("--threads", default=None, help="physics threads (twin); default: all")
    add("--resume", default=None)
    add("--out", default=Path("runs/student"), help="folder of the runs")
    add("--no-video", dest="video", action="store_false", help="no film at the end")
    return parser.parse_with_settings()


def settings(args: argparse.Namespace, overrides: list[str]) -> tuple["StudentRun", Path | None]:
    """The run, and its folder if it goes on."""
    if args.resume and (overrides or args.physics):
        raise ValueError(f"a resumed run keeps its settings; remove {overrides or '--physics'}")
    run_dir = resumed_run_dir(args.out, args.resume) if args.resume else None
    from tasks.cube_spin.student.settings import load_run, preset

    run = load_run(run_dir) if run_dir else apply_overrides(preset(args.preset), overrides)
    flags = {name: getattr(args, name) for name in ("num_envs", "seed", "max_minutes", "physics")}
    flags["teacher"] = str(args.teacher.resolve()) if args.teacher else None
    run = replace(run, **{name: value for name, value in flags.items() if value is not None})
    if args.max_iterations is not None:
        run = replace(run, distill=replace(run.distill, iterations=args.max_iterations))
    return run, run_dir


def main() -> None:
    args, overrides = parse()
    run, run_dir = settings(args, overrides)
    if args.print_config:
        return print_settings(run)
    import torch

    from tasks.cube_spin.runs.distill import distil

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
    print(as_typed(f"next       -> python scripts/evaluate.py --policy {policy_file}"))


if __name__ == "__main__":
    run_main(main)
