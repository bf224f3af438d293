"""The first hour on a GPU: one command that measures everything a GPU is for.

    python scripts/gpu_report.py                        # 12 minutes; --minutes 50 trains longer
    python scripts/gpu_report.py                        # again: goes on with what is not done
    python scripts/gpu_report.py --parts rl_updates decisions_graphs
    python scripts/gpu_report.py --list                 # the parts, and what each should show
    python scripts/gpu_report.py --tiny --device cpu    # tries the report itself on a CPU

Each part runs in a process of its own with a time limit; if one fails, the others go on. The last
part trains a teacher for the rest of the time. `report.json` holds all numbers, `gpu_report.json`
is a table for the documents.
"""

import argparse
import datetime
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.cli import resolve_device, run_main, save_numbers
from sernf_isaac.flags import ScriptParser

if TYPE_CHECKING:
    from sernf_isaac.benchmarks.parts import Part

DEFAULT_MINUTES = 12.0


def parse() -> argparse.Namespace:
    add = (parser := ScriptParser(__doc__)).add_argument
    add("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto")
    add("--minutes", default=DEFAULT_MINUTES, help="for all parts; their limits grow with it")
    add("--parts", nargs="+", default=None, metavar="PART", help="only these; see --list")
    add("--again", action="store_true", help="measure all parts, also those that are done")
    add("--tiny", action="store_true", help="small sizes, for a CPU; without Isaac Lab")
    add("--list", action="store_true", help="show the parts and leave")
    add("--out", default=Path("runs/gpu_report"), help="folder of the report")
    return parser.parse()


def chosen(args: argparse.Namespace, parts: "list[Part]") -> "list[Part]":
    from dataclasses import replace

    names = [part.name for part in parts]
    asked: list[str] = args.parts or []
    if wrong := sorted(set(asked) - set(names)):
        raise ValueError(f"no part is called {', '.join(wrong)}; there are {', '.join(names)}")
    scale = args.minutes / DEFAULT_MINUTES
    wanted = [part for part in parts if not args.parts or part.name in args.parts]
    return [replace(part, limit_s=max(1.0, scale) * part.limit_s) for part in wanted]


def main() -> None:
    args = parse()
    from sernf_isaac.benchmarks.parts import run_parts
    from sernf_isaac.benchmarks.parts_table import result_table, text_table
    from sernf_isaac.run_folder import made_with
    from tasks.cube_spin.runs.gpu_report import parts_of

    device = resolve_device(args.device)
    parts = chosen(args, parts_of(device, args.out, tiny=args.tiny))
    if args.list:
        for part in parts:
            print(f"{part.name:20s} {part.limit_s:4.0f} s  {part.expected}")
        return
    about = made_with() | {
        "commands": [shlex.join(["python", *sys.argv])],
        "machine": name_of(device),
        "date": datetime.date.today().isoformat(),
    }
    report = run_parts(parts, args.out, about=about, budget_s=60.0 * args.minutes, again=args.again)
    print("\n" + text_table(report))
    save_numbers(args.out / "gpu_report.json", result_table(report))
    print(f"everything -> {args.out / 'report.json'}")


def name_of(device: str) -> str:
    """The GPU's name, or the processor's cores."""
    import os

    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"a computer without a GPU ({os.cpu_count()} cores)"


if __name__ == "__main__":
    run_main(main)
