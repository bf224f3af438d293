"""What a task's script does once its flags are read."""

import argparse
from pathlib import Path

import torch

from sernf_isaac.cli import print_settings
from sernf_isaac.learning.online.in_memory import FourStageRun
from tasks.table.comparison import Variant
from tasks.table.demonstrations import record_demonstrations
from tasks.table.evaluation import evaluate_files
from tasks.table.pictures import draw_run, save_picture
from tasks.table.report import comparison, load_result, trials_table
from tasks.table.run import learn
from tasks.table.task import TableTask


def variant_of(task: TableTask, args: argparse.Namespace) -> Variant:
    """What the flags of `tasks.table.flags.table_parser` choose."""
    data = (args.demonstrations, args.demonstrations_used, args.imitation_only, args.rollouts_of)
    return Variant(task, args.kind, *data)


def carry_out(variant: Variant, run: FourStageRun, args: argparse.Namespace, root: Path) -> None:
    """Do what the command line asks for.

    Args:
        variant: Of `variant_of`.
        run: Its settings, those of the command line included.
        args: As `tasks.table.flags.table_parser` reads them.
        root: Where runs go.
    """
    torch.set_num_threads(1)
    task = variant.task
    if args.print_config:
        print_settings(run)
    elif args.summary:
        print(comparison(task, [load_result(folder) for folder in args.summary]))
    elif args.picture:
        print(f"picture -> {save_picture(task, args.picture, seed=args.seed)}")
    elif args.evaluate:
        settings = {"episodes": args.episodes, "candidates": run.online.candidates}
        settings["tests"] = args.tests
        trials = evaluate_files(task, args.evaluate, args.json, **settings)
        print(trials_table(task, trials))
    elif args.draw:
        record_demonstrations(task, args.data, args.demonstrations)
        draw_run(task, args.data, args.draw, size=args.image_size, count=args.demonstrations)
        print(f"demonstrations with pictures -> {args.draw}")
    else:
        folder = args.out or variant.folder(root, args.seed)
        tries = {"rollouts": args.rollouts, "episodes": args.episodes, "tests": args.tests}
        learn(variant, run, args.data, folder, start_from=args.start_from, **tries)
