"""Scissors and tape in simulation: 121 demonstrations, imitation, critics, 50 online rollouts.

    python scripts/scissors_tape.py --seed 0
    python scripts/scissors_tape.py --kind act --seed 0             # or flow_matching, gaussian
    python scripts/scissors_tape.py --imitation_only --seed 0
    python scripts/scissors_tape.py --summary runs/scissors_tape/seed_*
    python scripts/scissors_tape.py --picture scene.png
    python scripts/scissors_tape.py --evaluate runs/scissors_tape/seed_0/policy_online.pt

Demonstrations come from three scripted operators and are recorded into DATA unless they are there;
after every stage the policy is tried on 10 fixed test configurations and on 50 others, and kept. A
run that was interrupted goes on when it is started again. Everything else is a `group.key=value`
setting; --print_config shows them.
"""

from pathlib import Path

from sernf_isaac.cli import apply_overrides, run_main
from tasks.table.flags import table_parser

ROOT = Path("runs/scissors_tape")


def main() -> None:
    parser = table_parser(
        *(__doc__, ROOT), demonstrations=121, rollouts=50, per_round=10, episodes=60
    )
    args, overrides = parser.parse_with_settings()
    from tasks.scissors_tape.table_task import SCISSORS_TAPE
    from tasks.table.commands import carry_out, variant_of

    variant = variant_of(SCISSORS_TAPE, args)
    run = apply_overrides(variant.settings(args.seed), overrides)
    carry_out(variant, run, args, ROOT)


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
