"""Evaluate a policy: whole 32 s episodes from the platform, with 95 % intervals; or a hand's run.

    python scripts/evaluate.py --policy assets/teacher.pt --sim twin --episodes 256 --json eval.json
    python scripts/evaluate.py --physics reality --speeds 0.5 1.0 1.5
    python scripts/evaluate.py --policy assets/student.pt --physics distillation --pose_noise
    python scripts/evaluate.py --physics my_hand.yaml     # say, cube_mass_kg: 0.061
    python scripts/evaluate.py --physics worlds           # one row for each of assets/worlds
    python scripts/evaluate.py --run runs/hand/first      # stored episodes of run_hand.py

Rotations per minute in the hand count the time after the platform has left and before the cube
drops; per wall-clock minute counts everything. `--speeds` adds a table per commanded spin.
"""

import argparse

from sernf_isaac.cli import run_main, save_numbers
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_TEACHER


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--policy", default=DEFAULT_TEACHER, help="teacher or student")
    add("--sim", choices=("twin", "isaac"), default="twin", help="the simulator")
    add("--episodes", default=256)
    add("--seed", default=1000, help="training uses small seeds")
    text = "preset, YAML file, folder of such files, or worlds (assets/worlds)"
    add("--description")
    add("--physics", default="randomized", help=text)
    text = "also evaluate at fixed spins [rad/s]"
    add("--speeds", type=float, nargs="*", default=[], help=text)
    add("--num_envs", default=256)
    add("--threads", default=None, help="physics threads (twin); default: all")
    add("--device", default="cpu", help="device of Isaac Lab")
    add("--candidates", default=1, help="chunks that a student chooses from")
    add("--sigma", type=float, default=None, help="of a student's latent; default: the file's")
    text = "what a student chooses by"
    add("--rank", choices=("likelihood", "value"), default="likelihood", help=text)
    add("--pose_noise", action="store_true", help="late, lost and wrong poses (student)")
    add("--run", default=None, help="judge the stored episodes of this run instead")
    add("--support", type=float, default=0.0, help="time not counted [s] (--run)")
    add("--json", default=None)
    add("--figure", default=None)
    return parser.parse()


def main() -> None:
    args = parse()
    import torch

    from tasks.cube_spin.evaluation.figures import evaluation_figure, run_figure
    from tasks.cube_spin.evaluation.metrics import report_table
    from tasks.cube_spin.hand.report import run_report, run_table
    from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
    from tasks.cube_spin.runs.worlds import evaluate_in_worlds, world_files, worlds_table

    if args.run:
        rows = run_report(args.run, supported_s=args.support)
        print(run_table(rows))
        save_numbers(args.json, rows)
        if args.figure:
            run_figure(args.figure, rows, f"stored episodes of {args.run.name}")
            print(f"figure  -> {args.figure}")
        return
    torch.set_num_threads(1)
    request = EvaluationRequest(
        policy=args.policy,
        sim=args.sim,
        episodes=args.episodes,
        seed=args.seed,
        physics=args.physics,
        speeds=tuple(args.speeds),
        num_envs=args.num_envs,
        threads=args.threads,
        device=args.device,
        candidates=args.candidates,
        sigma=args.sigma,
        rank=args.rank,
        pose_noise=args.pose_noise,
    )
    if world_files(args.physics):
        if args.figure:
            raise ValueError("--figure shows one world; name a preset or one file")
        result = evaluate_in_worlds(request)
        print(worlds_table(result))
        return save_numbers(args.json, result)
    result, records = evaluate(request)
    print(report_table(result))
    save_numbers(args.json, result)
    if args.figure:
        title = f"{args.policy.name} on {args.sim}, {args.physics} physics, {len(records)} runs"
        evaluation_figure(args.figure, records, result["by_speed"], title)
        print(f"figure  -> {args.figure}")


if __name__ == "__main__":
    run_main(main)
