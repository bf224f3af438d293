"""What a task's script does once its flags are read."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from sernf_isaac.cli import apply_overrides, print_settings
from tasks.table.comparison import Variant
from tasks.table.demonstrations import record_demonstrations
from tasks.table.evaluation import evaluate_files
from tasks.table.pictures import draw_run, save_picture
from tasks.table.report import comparison, load_result, trials_table
from tasks.table.run import learn
from tasks.table.task import TableTask


def carry_out(
    task: TableTask, args: argparse.Namespace, overrides: Sequence[str], root: Path
) -> None:
    """Do what the command line asks for.

    Args:
        task: Which one.
        args: As `tasks.table.flags.table_parser` reads them.
        overrides: Settings, as `group.key=value`.
        root: Where runs go.
    """
    torch.set_num_threads(1)
    data = (args.demonstrations, args.demonstrations_used, args.imitation_only, args.rollouts_of)
    variant = Variant(task, args.kind, *data)
    run = apply_overrides(variant.settings(args.seed), overrides)
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
        learn(variant, run, args.data, folder, **tries)
