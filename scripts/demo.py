"""The whole story in minutes, on a laptop: teacher, student, fine-tuning on a hand, eyes.

    make demo                       or      python scripts/demo.py --minutes 2

1. evaluates assets/teacher.pt on the MuJoCo twin, and films it (two camera views),
2. trains a fresh teacher: it learns to hold the cube, and starts to turn it,
3. distils a fresh student from the shipped teacher: a flow policy that sees what a hand can tell,
4. lets assets/student.pt drive a twin whose physics it has never met, twice two minutes: critics
   learn from that, choose what it does, and it learns on (curve: turns by minutes of data),
5. films the longest run before a rendered camera, with the pose that assets/detector.pt finds.

A few minutes of training show how it goes, not how well it works: see docs/results.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    parser.add_argument("--minutes", default=1.5, help="minutes of each training")
    parser.add_argument("--episodes", default=64, help="episodes of the evaluation")
    parser.add_argument("--seconds", default=12.0, help="length of the films [s]")
    parser.add_argument("--seed", default=0)
    parser.add_argument("--out", default=Path("runs/demo"))
    return parser.parse()


def main() -> None:
    args = parse()
    import torch

    from tasks.cube_spin.runs.demo import show_everything

    torch.set_num_threads(1)
    show_everything(args.out, args.minutes, args.episodes, args.seconds, args.seed)


if __name__ == "__main__":
    run_main(main)
