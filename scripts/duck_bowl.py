"""Duck into bowl in simulation: 30 demonstrations, imitation, offline RL, 15 online rollouts.

    python scripts/duck_bowl.py --seed 0
    python scripts/duck_bowl.py --kind act --seed 0                 # or flow_matching, gaussian
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
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.models.architecture import KINDS

ROOT = Path("runs/duck_bowl")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--seed", default=0)
    add("--kind", choices=KINDS, default="flow", help="of policy; the last two only imitate")
    add("--data", type=Path, default=ROOT / "demonstrations", help="episode store")
    add("--demonstrations", type=int, default=30, help="episodes to learn from")
    uses = ("successful", "all")
    add("--demonstrations_used", choices=uses, default=uses[0], help="which are imitated")
    add("--imitation_only", action="store_true", help="stop after stage I")
    add("--rollouts_of", type=Path, default=None, help="imitate this run's successes too")
    add("--rollouts", type=int, default=15, help="online, a multiple of 5")
    add("--episodes", default=16, help="episodes per evaluation")
    add("--tests", type=int, default=0, help="which draw of the tests; settings were chosen on 0")
    add("--out", default=None, help="folder to write; default: runs/duck_bowl/[VARIANT/]seed_SEED")
    add("--summary", default=None, help="compare these finished runs and stop")
    add("--evaluate", type=Path, nargs="+", default=None, help="policy files to try; stop")
    add("--picture", type=Path, default=None, help="draw the scene and stop")
    add("--draw", type=Path, default=None, help="new store with pictures; stop")
    add("--image_size", type=int, default=84, help="of --draw [pixels]")
    add("--json", default=None, help="file for all trials of --evaluate")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch

    from tasks.duck_bowl.comparison import Variant
    from tasks.duck_bowl.demonstrations import record_demonstrations
    from tasks.duck_bowl.evaluation import evaluate_files
    from tasks.duck_bowl.pictures import draw_run, save_picture
    from tasks.duck_bowl.report import comparison, load_result, trials_table
    from tasks.duck_bowl.run import learn

    torch.set_num_threads(1)
    data = (args.demonstrations, args.demonstrations_used, args.imitation_only, args.rollouts_of)
    variant = Variant(args.kind, *data)
    run = apply_overrides(variant.settings(args.seed), overrides)
    if args.print_config:
        print_settings(run)
    elif args.summary:
        print(comparison([load_result(folder) for folder in args.summary]))
    elif args.picture:
        print(f"picture -> {save_picture(args.picture, seed=args.seed)}")
    elif args.evaluate:
        settings = {"episodes": args.episodes, "candidates": run.online.candidates}
        settings["tests"] = args.tests
        print(trials_table(evaluate_files(args.evaluate, args.json, **settings)))
    elif args.draw:
        record_demonstrations(args.data, args.demonstrations)
        draw_run(args.data, args.draw, size=args.image_size, count=args.demonstrations)
        print(f"demonstrations with pictures -> {args.draw}")
    else:
        folder = args.out or variant.folder(ROOT, args.seed)
        tries = {"rollouts": args.rollouts, "episodes": args.episodes, "tests": args.tests}
        learn(variant, run, args.data, folder, **tries)


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
