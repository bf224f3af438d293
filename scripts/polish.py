"""RL of a student in simulation: policy and critics improve before the first minute on a robot.

    python scripts/polish.py --sim twin                              # laptop, CPU
    python scripts/polish.py --policy runs/student/NAME/student.pt --sim twin
    python scripts/polish.py --sim twin --resume latest              # go on after an interruption
    python scripts/polish.py --sim isaac --preset paper              # GPU, 1,024 environments
    torchrun --nproc_per_node 2 scripts/polish.py --sim twin --threads 1

Stages II to IV of the learner that runs beside a robot, with its reward (quarter turns), over
rounds of simulated episodes. The file it writes carries the critics: run_hand.py chooses among
chunks from the first minute, and finetune.py goes on with them.
Everything beyond the flags is `key=value`: `plan.online_rounds=40`; `--print_config` shows every
key. Results go to runs/polish/<time>/: student.pt, TensorBoard events, metrics.csv.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, resolve_sim, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import resumed_run_dir

if TYPE_CHECKING:
    from tasks.cube_spin.student.polish_settings import PolishRun


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--sim", choices=("auto", "twin", "isaac"), default="auto", help="the simulator")
    add("--preset", choices=("small", "paper"), default="small", help="sizes to begin from")
    add("--policy", default=None, help="student to begin with; default: the shipped one")
    add("--physics", default=None, help="physics of the twin: preset or YAML file")
    add("--num_envs", default=None, help="environments per process; default: the preset's")
    add("--seed", default=None, help="default: the preset's")
    add("--device", default=None, help="auto, cpu, cuda or cuda:N (Isaac Lab); default: auto")
    add("--threads", default=None, help="physics threads (twin); default: all")
    add("--resume", default=None)
    add("--out", default=Path("runs/polish"), help="folder of the runs")
    return parser.parse_with_settings()


def settings(args: argparse.Namespace, overrides: list[str]) -> tuple["PolishRun", Path | None]:
    """The run, and its folder if it goes on."""
    flags = {name: getattr(args, name) for name in ("num_envs", "seed", "physics")}
    flags["student"] = str(args.policy.resolve()) if args.policy else None
    given = {name: value for name, value in flags.items() if value is not None}
    if args.resume and (overrides or given):
        raise ValueError(f"a resumed run keeps its settings; remove {overrides or sorted(given)}")
    run_dir = resumed_run_dir(args.out, args.resume) if args.resume else None
    from tasks.cube_spin.student.polish_settings import load_run, preset

    run = load_run(run_dir) if run_dir else apply_overrides(preset(args.preset), overrides)
    return replace(run, **given), run_dir


def main() -> None:
    args, overrides = parse()
    run, run_dir = settings(args, overrides)
    if args.print_config:
        return print_settings(run)
    import torch

    from tasks.cube_spin.runs.polish import polish

    torch.set_num_threads(1)  # small networks: a second thread only steals from the physics
    sim = resolve_sim(args.sim)
    device = resolve_device(args.device) if sim == "isaac" else "cpu"
    policy_file = polish(
        run, args.out, sim=sim, device=device, threads=args.threads, resume=run_dir
    )
    if policy_file is not None:
        print(f"policy -> {policy_file}")
        print(f"curves -> tensorboard --logdir {policy_file.parent}")


if __name__ == "__main__":
    run_main(main, interrupted="what was saved is kept; go on with --resume latest")
