"""Duck into bowl in simulation: 30 demonstrations, imitation, critics, 15 online rollouts.

    python scripts/duck_bowl.py --seed 0
    python scripts/duck_bowl.py --kind act --seed 0                 # or flow_matching, gaussian
    python scripts/duck_bowl.py --imitation_only --demonstrations 45 --seed 0
    python scripts/duck_bowl.py --imitation_only --rollouts_of runs/duck_bowl/seed_0 --seed 0
    python scripts/duck_bowl.py --start_from runs/duck_bowl/seed_0 --out runs/k8 online.candidates=8
    python scripts/duck_bowl.py --summary runs/duck_bowl/seed_* runs/duck_bowl/*/seed_*
    python scripts/duck_bowl.py --draw runs/duck_bowl/seen          # or --picture scene.png
    python scripts/duck_bowl.py --evaluate runs/duck_bowl/seed_0/policy_online.pt --episodes 100

Demonstrations come from two scripted operators and are recorded into DATA unless they are there;
after every stage the policy is tried on fixed test configurations and kept. --draw adds the three
cameras' pictures to the demonstrations, for train_offline.py --task duck_bowl; --evaluate tries
policies of either script, with live pictures for those that see. A run that was interrupted goes on
when it is started again. Everything else is a `group.key=value` setting; --print_config shows them.
"""

from pathlib import Path

from sernf_isaac.cli import apply_overrides, run_main
from tasks.table.flags import table_parser

ROOT = Path("runs/duck_bowl")


def main() -> None:
    parser = table_parser(
        *(__doc__, ROOT), demonstrations=30, rollouts=15, per_round=5, episodes=16
    )
    args, overrides = parser.parse_with_settings()
    from tasks.duck_bowl.table_task import DUCK_BOWL
    from tasks.table.commands import carry_out, variant_of

    variant = variant_of(DUCK_BOWL, args)
    run = apply_overrides(variant.settings(args.seed), overrides)
    carry_out(variant, run, args, ROOT)


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
