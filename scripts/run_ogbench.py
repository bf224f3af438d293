"""OGBench: imitation, offline RL and 20,000 steps of online RL on play data, one task and one core.

    python scripts/run_ogbench.py --task cube-single-singletask-task2-v0 --data runs/ogbench/data \\
      --seed 0 --json runs/ogbench/flow_0.json
    python scripts/run_ogbench.py --variant gaussian --seed 0 --json runs/ogbench/gaussian_0.json
    python scripts/run_ogbench.py --summary runs/ogbench/*.json --figure runs/ogbench/curves.png

DATA may hold any npz files in OGBench's format, for its task; if it holds none, OGBench's own
oracle plays 100 episodes of cube-single there. A run that was interrupted goes on when it is
started again. Needs OGBench: pip install "ogbench==1.2.2" "mujoco==3.12.0"
"""

import argparse
from pathlib import Path

import torch
from omegaconf import OmegaConf

from sernf_isaac.cli import apply_overrides, run_main
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD
from sernf_isaac.learning.online.in_memory import FourStages
from tasks.ogbench import report
from tasks.ogbench.environment import OgbenchEnv, make_envs
from tasks.ogbench.play_data import ensure_play_data
from tasks.ogbench.problem import problem_of
from tasks.ogbench.relabel import relabel
from tasks.ogbench.run_log import RunLog, run_folder
from tasks.ogbench.variants import VARIANTS, settings

ROOT = Path("runs/ogbench")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="cube-single-singletask-task2-v0")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="folder of npz files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0])
    parser.add_argument("--json", type=Path, default=None, help="default: result.json of the run")
    parser.add_argument("--out", type=Path, default=ROOT / "runs", help="folder of the runs")
    parser.add_argument("--envs", type=int, default=5, help="acting side by side in stage IV")
    parser.add_argument("--episodes", type=int, default=50, help="per evaluation")
    parser.add_argument("--play_episodes", type=int, default=100, help="to generate")
    parser.add_argument("--summary", type=Path, nargs="+", default=None, help="result files")
    parser.add_argument("--figure", type=Path, default=ROOT / "curves.png", help="of --summary")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if args.summary:
        results = [report.load(path) for path in args.summary]
        report.curves_figure(args.figure, results)
        print(f"{report.table(results)}\ncurves -> {args.figure}")
        return
    torch.set_num_threads(1)
    run = apply_overrides(settings(args.variant, args.seed), overrides)
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    envs = make_envs(args.task, args.envs)
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
    run_main(main)
