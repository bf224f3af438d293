"""Ablations and seeds: one script with many settings, as runs on this machine or on a cluster.

    python scripts/sweep.py scripts/two_doors.py --grid lambda --seeds 0 1 2 --processes 2 \\
      --result results.json --metric offline.success online.success
    python scripts/sweep.py scripts/run_ogbench.py --grid chunk --seeds 0 1 2 3 \\
      --metric success_imitation success_online
    python scripts/sweep.py scripts/rehearse.py --seeds 0 1 2 3 --processes 4 --on slurm \\
      --engine partition=cpu --engine timeout_min=2000 --out /shared/rehearsals
    python scripts/sweep.py scripts/train_teacher.py --seeds 0 1 2 --threads 8 --on ray --sim twin

Grids: chunk, couplings, lambda (the paper's Figs. 10 to 12), prefix, ensemble, bins, candidates and
sigma; --vary takes "key=[values]" for any setting, or other values for a grid. Several of them are
combined. What the script knows (--task, key=value) may follow; each run gets its own --seed, --out
and --json. A sweep that was interrupted goes on when it is started again, and repeats what failed.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser, script


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("script", type=script, help="script that each run starts: a file or a verb")
    add("--grid", nargs="+", default=[], help="names of grids")
    add("--vary", nargs="+", default=[], help="key=[values]")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    add("--metric", nargs="+", default=[], help="names in the script's result, for the table")
    add("--result", default=None, help="file in --out; for scripts without --json")
    add("--on", default="local")
    add("--engine", default=[])
    add("--processes", default=1, help="runs side by side")
    add("--threads", default=1, help="threads of each run")
    add("--out", default=Path("runs/sweep"), help="folder of the runs")
    add("--dry_run", action="store_true", help="show the commands and stop")
    add("--report", action="store_true", help="show what is there and stop")
    args, options = parser.parse_known_args()  # what the script knows follows
    for name in ("grid", "metric"):  # flags take all that follows them, settings too
        given = getattr(args, name)
        setattr(args, name, [item for item in given if "=" not in item])
        options += [item for item in given if "=" in item]
    return args, [option for option in options if option != "--"]


def main() -> None:
    args, options = parse()
    from sernf_isaac.sweep import report as sweep_report
    from sernf_isaac.sweep.engines import engine_named
    from sernf_isaac.sweep.grids import axes_of
    from sernf_isaac.sweep.sweep import Plan, command_of, folder_of, jobs_of, outcome_of, sweep

    result = args.result if args.metric or args.result else ""
    plan = Plan(args.script, tuple(options), result)
    jobs = jobs_of(axes_of(args.grid, args.vary), args.seeds)
    root = args.out.resolve()
    if args.dry_run:
        for job in jobs:
            print(" ".join(command_of(plan, job, folder_of(root, plan, job))))
        return
    if args.report:
        outcomes = [outcome_of(root, plan, job) for job in jobs]
    else:
        limits = {"at_once": args.processes, "threads": args.threads}
        engine = engine_named(args.on, args.engine, logs=root, **limits)
        with sweep_report.progress(args.script.stem, len(jobs), root) as tell:
            outcomes = sweep(plan, jobs, root, engine, threads=args.threads, report=tell)
    rows = sweep_report.rows_of(outcomes, args.metric)
    sweep_report.save(root, outcomes, rows, args.metric)
    print(sweep_report.table(rows, args.metric))
    print(f"table  -> {root / 'sweep.txt'}\nruns   -> {root / 'sweep.json'}")
    if (figure := root / "sweep.png").is_file():
        print(f"figure -> {figure}")


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
