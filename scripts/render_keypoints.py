"""Render a labelled data set for the keypoint detector; run again to go on after an interruption.

python scripts/render_keypoints.py --renderer twin --train 20000 --heldout 2000 --processes 2
python scripts/render_keypoints.py --backgrounds ~/places365/val_256 --out runs/keypoints/places
python scripts/render_keypoints.py --renderer path --train 0 --heldout 500 --out runs/keypoints/path
python scripts/render_keypoints.py --renderer isaac --device cuda:0 --num_envs 200 --train 4000000
python scripts/render_keypoints.py --train 4000000 --processes 64 --on slurm \\
  --engine partition=cpu --out /shared/keypoints
python scripts/render_keypoints.py --object cylinder --size_mm 50 --out runs/keypoints/cylinder
python scripts/render_keypoints.py --out runs/keypoints/places --verify      # after it was copied

Processes share the shards, wherever they run: the same command may also be started by hand on
several machines that see --out.
"""

import argparse
import os
import sys
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, resolve_device, run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.held_object import object_of_flags


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--renderer", choices=("twin", "path", "isaac"), default="twin", help="who draws")
    add("--out", default=Path("runs/keypoints/twin"), help="folder of the data set")
    add("--train", type=int, default=20000, help="training pictures")
    add("--heldout", type=int, default=2000, help="pictures to evaluate on")
    add("--per_shard", type=int, default=500, help="pictures per file")
    add("--on", default="local")
    add("--engine", default=[])
    add("--processes", default=1)
    add("--num_envs", default=64, help="pictures at once (isaac)")
    add("--device", default="auto", help="device of Isaac Lab")
    add("--policy", default=DEFAULT_TEACHER, help="teacher whose grasps are shown")
    add("--object", default=None, help="what is held, in its own grasps; default: the policy's")
    add("--size_mm", default=None)
    add("--height_mm", default=None)
    add("--backgrounds", type=Path, default=None, help="folder of pictures")
    add("--seed", default=0)
    add("--verify", action="store_true", help="compare --out with its checksums and stop")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    from perception.contact_sheet import write_sheets
    from perception.shards import read_index, verify
    from perception.synthetic.generate import missing, plan_shards
    from perception.synthetic.pictures import PictureConfig
    from sernf_isaac.sweep.engines import engine_named
    from tasks.cube_spin.eyes import rendering

    config = apply_overrides(PictureConfig(), overrides)
    config.backgrounds = str(args.backgrounds) if args.backgrounds else config.backgrounds
    if args.print_config:
        return print_settings(config)
    if args.verify:
        print(f"{verify(args.out)} samples of {args.out} are as they were written")
        return
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software rendering without threads of its own
    out, pictures = args.out.resolve(), {"train": args.train, "heldout": args.heldout}
    plans = plan_shards(out, pictures, args.per_shard)
    device, here = args.device, args.on == "local"
    held = object_of_flags(args.object, args.size_mm, args.height_mm)
    if here and args.renderer == "isaac":
        device = resolve_device(args.device)
    painters = rendering.painters_of(
        *(args.renderer, config, args.policy, args.seed),
        **{"num_envs": args.num_envs, "device": device, "here": here, "held": held},
    )
    data = rendering.DataSet(out, plans, painters, args.per_shard)
    if args.processes > 1 or not here:
        limits = {"at_once": args.processes, "threads": 1}
        engine = engine_named(args.on, args.engine, logs=out, **limits)
        gpus = rendering.gpus_for(args.device) if here and args.renderer == "isaac" else ()
        command = (str(Path(__file__).resolve()), *sys.argv[1:])
        rendering.render_on(engine, command, data, workers=args.processes, gpus=gpus)
    rendering.render_here(data)
    counts = read_index(out)["counts"]
    print(f"{sum(counts.values())} of {sum(pictures.values())} pictures -> {out}")
    if missing(plans):
        return print("other processes are at the rest")
    for split in (split for split, count in pictures.items() if count):
        for path in write_sheets(out, split, args.backgrounds):
            print(f"look at {path}")


if __name__ == "__main__":
    run_main(main, interrupted="what is finished is kept; the same command goes on")
