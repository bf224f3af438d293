"""Train the teacher: the ORCA hand, palm down, learns to spin a cube (PPO, domain randomisation).

    python scripts/train_teacher.py --sim twin                     # laptop, CPU
    python scripts/train_teacher.py --sim twin --preset fast       # half an hour, one direction
    python scripts/train_teacher.py --sim twin --resume latest     # continue after an interruption
    python scripts/train_teacher.py --sim isaac --num_envs 8192    # GPU workstation with Isaac Lab
    isaaclab.sh -p scripts/train_teacher.py                        # the same

Everything beyond the flags is `key=value`: `task.*` and `ppo.*` on the twin, for example
`task.reward.tilt=-1 ppo.learning_rate=1e-4`; `env.*` and `agent.*` in Isaac Lab. On both,
`start_from=FILE` begins with a teacher. `--print_config` shows every key. Results go to
runs/teacher/<time>/: teacher.pt, TensorBoard events, a video.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, resolve_sim, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import new_run_dir, resumed_run_dir
from sernf_isaac.verbs import as_typed


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--sim", choices=("auto", "twin", "isaac"), default="auto", help="the simulator")
    text = "settings to begin from (twin)"
    add("--preset", choices=("wide", "fast", "paper"), default="wide", help=text)
    add("--physics", default=None, help="physics of the twin: preset or YAML file")
    add("--description")
    add("--num_envs", default=None, help="environments side by side; default: the preset's")
    add("--max_iterations", default=None, help="default: the preset's")
    add("--max_minutes", default=None, help="stop training after so long (twin)")
    add("--seed", default=None)
    add("--device", default=None, help="auto, cpu, cuda or cuda:N (Isaac Lab); default: auto")
    add("--threads", default=None, help="physics threads (twin); default: all")
    add("--resume", default=None)
    add("--out", default=Path("runs/teacher"), help="folder of the runs")
    add("--no-video", dest="video", action="store_false", help="no film at the end")
    return parser.parse_with_settings()


def train_on_twin(args: argparse.Namespace, overrides: list[str]) -> None:
    if args.resume and (overrides or args.physics):
        raise ValueError(f"a resumed run keeps its settings; remove {overrides or '--physics'}")
    run_dir = resumed_run_dir(args.out, args.resume) if args.resume else None
    from tasks.cube_spin.runs import train_teacher as runs

    begin = runs.preset(args.preset)
    run = runs.load_run(run_dir) if run_dir else apply_overrides(begin, overrides)
    flags = {"num_envs": args.num_envs, "iterations": args.max_iterations, "seed": args.seed}
    flags |= {"max_minutes": args.max_minutes, "physics": args.physics}
    run = replace(run, **{name: value for name, value in flags.items() if value is not None})
    if args.print_config:
        return print_settings(run)
    import torch

    torch.set_num_threads(1)  # small networks: a second thread only steals from the physics
    resume = run_dir is not None
    run_dir = run_dir or new_run_dir(args.out)
    policy_file = runs.train(run, run_dir, threads=args.threads, resume=resume)
    if args.video:
        from tasks.cube_spin.runs.play import film_policy
        from tasks.cube_spin.teacher.policy import load_teacher

        film_policy(load_teacher(policy_file), run_dir / "teacher.mp4")
    report(policy_file)


def train_on_isaac(args: argparse.Namespace, overrides: list[str]) -> None:
    from tasks.cube_spin.isaac import train_teacher as runs

    if args.preset != "wide" or args.max_minutes or args.threads or args.physics:
        raise ValueError("--preset, --max_minutes, --threads and --physics are for --sim twin")
    settings = {"num_envs": args.num_envs, "iterations": args.max_iterations, "seed": args.seed}
    settings |= {"device": resolve_device(args.device), "resume": args.resume}
    starts = [word for word in overrides if word.startswith("start_from=")]
    settings["start_from"] = Path(starts[-1].split("=", 1)[1]) if starts else None
    overrides = [word for word in overrides if word not in starts]
    policy_file = runs.train(args.out, overrides, print_only=args.print_config, **settings)
    if policy_file:
        report(policy_file)


def report(policy_file: Path) -> None:
    print(f"policy     -> {policy_file}")
    print(f"curves     -> tensorboard --logdir {policy_file.parent}")
    print(as_typed(f"next       -> python scripts/evaluate.py --policy {policy_file}"))


def main() -> None:
    args, overrides = parse()
    train_on = train_on_twin if resolve_sim(args.sim) == "twin" else train_on_isaac
    train_on(args, overrides)


if __name__ == "__main__":
    run_main(main)
