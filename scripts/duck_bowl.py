"""Duck into bowl in simulation: 30 demonstrations, imitation, offline RL, 15 online rollouts.

    python scripts/duck_bowl.py --seed 0
    python scripts/duck_bowl.py --policy act --seed 0               # or flow_matching, gaussian
    python scripts/duck_bowl.py --imitation_only --demonstrations 45 --seed 0
    python scripts/duck_bowl.py --imitation_only --rollouts_of runs/duck_bowl/seed_0 --seed 0
    python scripts/duck_bowl.py --summary runs/duck_bowl/seed_* runs/duck_bowl/*/seed_*
    python scripts/duck_bowl.py --draw runs/duck_bowl/seen          # or --picture scene.png
    python scripts/duck_bowl.py --evaluate runs/duck_bowl/seed_0/policy_online.pt --episodes 100

Demonstrations come from two scripted operators and are recorded into DATA unless they are there;
after every stage the policy is tried on fixed test configurations and kept. --draw adds the three
cameras' pictures to the demonstrations, for train_offline.py --task duck_bowl; --evaluate tries
policies of either script, with live pictures for those that see. A run that was interrupted goes on
when it is started again. Everything else is a `group.key=value` setting; --print_config shows them.
"""

import argparse
import time
from pathlib import Path

import torch
from omegaconf import OmegaConf

from sernf_isaac.cli import apply_overrides, run_main
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.models.architecture import KINDS
from tasks.duck_bowl.comparison import DEMONSTRATIONS, USES, Variant
from tasks.duck_bowl.demonstrations import record_demonstrations
from tasks.duck_bowl.evaluation import evaluate_files
from tasks.duck_bowl.experiment import Experiment
from tasks.duck_bowl.pictures import IMAGE_SIZE, draw_run, save_picture
from tasks.duck_bowl.report import comparison, load_result, trials_table

ROOT = Path("runs/duck_bowl")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seed", type=int, default=0)
    add("--policy", choices=KINDS, default=KINDS[0], help="act and flow_matching only imitate")
    add("--data", type=Path, default=ROOT / "demonstrations", help="episode store")
    add("--demonstrations", type=int, default=DEMONSTRATIONS, help="to learn from")
    add("--demonstrations_used", choices=USES, default=USES[0], help="in imitation")
    add("--imitation_only", action="store_true", help="stop after stage I")
    add("--rollouts_of", type=Path, default=None, help="imitate this run's online successes too")
    add("--rollouts", type=int, default=15, help="online, a multiple of 5")
    add("--episodes", type=int, default=16, help="per evaluation")
    add("--out", type=Path, default=None, help="default: runs/duck_bowl/[VARIANT/]seed_SEED")
    add("--summary", type=Path, nargs="+", default=None, help="finished runs")
    add("--evaluate", type=Path, nargs="+", default=None, help="policy files to try; stop")
    add("--picture", type=Path, default=None, help="draw the scene and stop")
    add("--draw", type=Path, default=None, help="new store with pictures; stop")
    add("--image_size", type=int, default=IMAGE_SIZE, help="of --draw, in pixels")
    add("--json", type=Path, default=None, help="where --evaluate writes all trials")
    add("--print_config", action="store_true", help="show every setting and stop")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    torch.set_num_threads(1)
    data = (args.demonstrations, args.demonstrations_used, args.imitation_only, args.rollouts_of)
    variant = Variant(args.policy, *data)
    run = apply_overrides(variant.settings(args.seed), overrides)
    if args.summary:
        print(comparison([load_result(folder) for folder in args.summary]))
    elif args.picture:
        print(f"picture -> {save_picture(args.picture, seed=args.seed)}")
    elif args.print_config:
        print(OmegaConf.to_yaml(OmegaConf.structured(run)))
    elif args.evaluate:
        settings = {"episodes": args.episodes, "candidates": run.online.candidates}
        print(trials_table(evaluate_files(args.evaluate, args.json, **settings)))
    elif args.draw:
        record_demonstrations(args.data, args.demonstrations)
        draw_run(args.data, args.draw, size=args.image_size, count=args.demonstrations)
        print(f"demonstrations with pictures -> {args.draw}")
    else:
        learn(args, variant, run)


def learn(args: argparse.Namespace, variant: Variant, run: FourStageRun) -> None:
    started = time.monotonic()
    record_demonstrations(args.data, args.demonstrations)
    shown = variant.data(args.data)
    won = sum(episode.outcome == "success" for episode in shown.values())
    print(f"demonstrations: {won} of {len(shown)} succeeded")
    folder = args.out or variant.folder(ROOT, args.seed)
    options = {"rollouts": args.rollouts if variant.learns_online else 0, "label": variant.label}
    Experiment(run, shown, folder, episodes=args.episodes, **options).go()
    print(f"\n{comparison([load_result(folder)])}")
    print(f"{(time.monotonic() - started) / 60:.1f} min, seed {args.seed}\nnumbers -> {folder}")


if __name__ == "__main__":
    run_main(main)
