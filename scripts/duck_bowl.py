"""Duck into bowl in simulation: 30 demonstrations, imitation, offline RL, 15 online rollouts.

    python scripts/duck_bowl.py --seed 0
    python scripts/duck_bowl.py --seed 1 --episodes 48 offline.imitation_steps=2000
    python scripts/duck_bowl.py --summary runs/duck_bowl/seed_*
    python scripts/duck_bowl.py --picture runs/duck_bowl/scene.png
    python scripts/duck_bowl.py --draw runs/duck_bowl/seen

Demonstrations come from a scripted pair of operators and are recorded once into DATA; after every
stage the policy is tried on fixed test configurations. --draw adds the three cameras' pictures to
the demonstrations, for `train_offline.py --task duck_bowl --data runs/duck_bowl/seen --keys pose
hand under_hand beside_hand front`. A run that was interrupted goes on when it
is started again. Everything else is a `group.key=value` setting; --print_config shows them all.
"""

import argparse
import time
from pathlib import Path

import torch
from _cli import apply_overrides, run_main
from omegaconf import OmegaConf

from sernf_isaac.data.sources import load_episodes
from tasks.duck_bowl.demonstrations import record_demonstrations
from tasks.duck_bowl.experiment import Experiment, load_trials, summary
from tasks.duck_bowl.pictures import draw_run, save_picture
from tasks.duck_bowl.preset import simulated

ROOT = Path("runs/duck_bowl")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=ROOT / "demonstrations", help="episode store")
    parser.add_argument("--demonstrations", type=int, default=30, help="to record")
    parser.add_argument("--rollouts", type=int, default=15, help="online, a multiple of 5")
    parser.add_argument("--episodes", type=int, default=16, help="per evaluation")
    parser.add_argument("--out", type=Path, default=None, help="default: runs/duck_bowl/seed_SEED")
    parser.add_argument("--summary", type=Path, nargs="+", default=None, help="finished runs")
    parser.add_argument("--picture", type=Path, default=None, help="draw the scene and stop")
    parser.add_argument("--draw", type=Path, default=None, help="new store with pictures; stop")
    parser.add_argument("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    if args.summary:
        print(summary([load_trials(folder) for folder in args.summary]))
        return
    if args.picture:
        print(f"picture -> {save_picture(args.picture, seed=args.seed)}")
        return
    torch.set_num_threads(1)
    run = apply_overrides(simulated(args.seed), overrides)
    if args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
        return
    started = time.monotonic()
    record_demonstrations(args.data, args.demonstrations)
    if args.draw:
        print(f"demonstrations with pictures -> {draw_run(args.data, args.draw)}")
        return
    shown = load_episodes([str(args.data)], [])
    won = sum(episode.outcome == "success" for episode in shown.values())
    print(f"demonstrations: {won} of {len(shown)} succeeded")
    folder = args.out or ROOT / f"seed_{args.seed}"
    experiment = Experiment(run, shown, folder, rollouts=args.rollouts, episodes=args.episodes)
    print(f"\n{summary([experiment.go()])}")
    print(f"{(time.monotonic() - started) / 60:.1f} min, seed {args.seed}\nnumbers -> {folder}")


if __name__ == "__main__":
    run_main(main)
