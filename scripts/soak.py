"""Drive the twin for hours and see whether memory grows or anything fails.

    python scripts/soak.py                          # 2 hours of data, as fast as it computes
    python scripts/soak.py --live --minutes 120     # with all processes, in real time
    python scripts/soak.py --policy my_student.pt --physics nominal --json soak.json

Everything is as in a session of run_hand.py: loop, guard, store, poses with a camera's errors. An
error in any of it ends the soak; the last line says how much memory grew after the first tenth.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from sernf_isaac.cli import run_main, save_numbers
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_STUDENT


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--policy", default=DEFAULT_STUDENT, help="student that drives")
    parser.add_argument("--physics", default="hard")
    parser.add_argument("--minutes", default=120.0, help="minutes of robot data")
    parser.add_argument("--live", action="store_true", help="in real time, with all processes")
    parser.add_argument("--seed", default=0)
    parser.add_argument("--json", default=None)
    return parser.parse()


def main() -> None:
    args = parse()
    import torch

    from sernf_isaac.benchmarks.soak import soak
    from sernf_isaac.deploy.policy.local import DecisionSettings
    from sernf_isaac.progress import MinutesBar
    from tasks.cube_spin.hand.session import open_session, open_virtual_session, prepare
    from tasks.cube_spin.hand.settings import HandRun, TwinOptions

    torch.set_num_threads(1)
    twin, decisions = TwinOptions(physics=args.physics), DecisionSettings(candidates=1)
    run = HandRun(seed=args.seed, twin=twin, decisions=decisions)
    opened = open_session if args.live else open_virtual_session
    with tempfile.TemporaryDirectory() as folder, MinutesBar(args.minutes) as bar:
        prepare(run, Path(folder), args.policy)
        with opened(run, Path(folder), lambda _: None) as session:
            report = soak(session, args.minutes, bar.reach)
    print(f"{report.episodes} episodes, {report.minutes:.0f} minutes, {report.underruns} underruns")
    print(
        f"memory {report.before_mb:.1f} -> {report.after_mb:.1f} MB: {100 * report.growth:+.2f} %"
    )
    save_numbers(args.json, asdict(report) | {"growth": report.growth})


if __name__ == "__main__":
    run_main(main)
