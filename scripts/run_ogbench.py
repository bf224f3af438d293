"""OGBench: imitation, offline RL and 20,000 steps of online RL on play data, one task and one core.

    python scripts/run_ogbench.py --task cube-single-singletask-task2-v0 --data runs/ogbench/data \\
      --seed 0 --json runs/ogbench/flow_0.json
    python scripts/run_ogbench.py --variant gaussian --seed 0 --json runs/ogbench/gaussian_0.json
    python scripts/run_ogbench.py --summary runs/ogbench/*.json --figure runs/ogbench/curves.png

DATA may hold any npz files in OGBench's format, for its task; if it holds none, OGBench's own
oracle plays 100 episodes of cube-single there. A run that was interrupted goes on when it is
started again. Needs OGBench, the extra `ogbench`.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser

ROOT = Path("runs/ogbench")
VARIANTS = ("flow", "gaussian", "per_step", "no_likelihood", "one_candidate")
VARIANTS += ("act", "flow_matching")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--task", default="cube-single-singletask-task2-v0", help="OGBench's name of the task")
    add("--data", type=Path, default=ROOT / "data", metavar="FOLDER", help="folder of npz files")
    add("--seed", default=0)
    add("--variant", choices=VARIANTS, default=VARIANTS[0], help="what learns")
    add("--json", default=None, help="file for the numbers; default: result.json of the run")
    add("--out", default=ROOT / "runs", help="folder of the runs")
    add("--num_envs", default=5, help="environments side by side in stage IV")
    add("--episodes", default=50, help="episodes per evaluation")
    add("--play_episodes", type=int, default=100, help="to generate where there are no data")
    add("--summary", default=None, help="compare these result files and stop")
    add("--figure", default=ROOT / "curves.png", help="picture of --summary")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch
    from omegaconf import OmegaConf

    from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
    from sernf_isaac.learning.online.in_memory import FourStages
    from tasks.ogbench import report
    from tasks.ogbench.environment import OgbenchEnv, make_envs
    from tasks.ogbench.play_data import ensure_play_data
    from tasks.ogbench.problem import problem_of
    from tasks.ogbench.relabel import relabel
    from tasks.ogbench.run_log import RunLog, run_folder
    from tasks.ogbench.variants import settings

    if args.summary:
        results = [report.load(path) for path in args.summary]
        report.curves_figure(args.figure, results)
        print(f"{report.table(results)}\ncurves -> {args.figure}")
        return
    torch.set_num_threads(1)
    run = apply_overrides(settings(args.variant, args.seed), overrides)
    if args.print_config:
        return print_settings(run)
    envs = make_envs(args.task, args.num_envs)
    env = OgbenchEnv(envs, seed=1000 * args.seed)
    files = ensure_play_data(args.task, args.data, episodes=args.play_episodes)
    folder = run_folder(args.out, args.task, args.variant, run)
    problem = problem_of(relabel(args.task, files, folder / "data"), env.sizes)
    path = args.json or folder / "result.json"
    about = {"task": args.task, "variant": args.variant, "seed": args.seed}
    about["settings"] = OmegaConf.to_container(OmegaConf.structured(run))
    log = RunLog(
        *(path, folder, about, envs), episodes=args.episodes, candidates=run.online.candidates
    )
    stages = FourStages(run, problem, folder, log)
    stages.train_offline(resume=True)
    if args.variant not in WITHOUT_LIKELIHOOD:
        stages.train_online(env, hold=torch.zeros(problem.action_dim), resume=True)
    print(f"{report.table([log.result()])}\nnumbers -> {path}\ncurves  -> {folder}")


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
