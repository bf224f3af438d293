"""Film the twin, true poses included: a teacher spins the cube before a rendered camera.

    python scripts/record_camera.py --out runs/recordings/spin --seconds 20
    python scripts/record_camera.py --out runs/recordings/path --renderer path --seconds 5
    python scripts/record_camera.py --out runs/recordings/straight view.tilt_deg=5
    python scripts/record_camera.py --out runs/recordings/mine --episode runs/hand/first
    python scripts/record_camera.py --out runs/recordings/real --calibration runs/calibration.json
    python scripts/evaluate_pose.py --detector FILE --sequence runs/recordings/spin --video pose.mp4

The recording is a folder of pictures with camera.json, as a real camera's would be. --episode films
the longest stored episode of a run instead, as its sensors saw it. --calibration films with the
real camera that it is of; nobody knows the true poses then.
"""

import argparse
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser
from tasks.assets import DEFAULT_TEACHER

MOST_S = 36_000.0


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    parser.add_argument("--out", required=True, help="folder of the recording")
    parser.add_argument("--seconds", default=20.0, help="length of the recording [s]")
    text = "who draws; path takes seconds per picture, in a plain room unless room.conditions says"
    parser.add_argument("--renderer", choices=("twin", "path"), default="twin", help=text)
    parser.add_argument("--width", type=int, default=320, help="of the pictures [pixels]")
    parser.add_argument("--height", type=int, default=240, help="of the pictures [pixels]")
    parser.add_argument("--policy", default=DEFAULT_TEACHER, help="teacher that spins the cube")
    parser.add_argument("--spin", type=float, default=None, help="command it [rad/s]; default: any")
    text = "show the longest episode of this run of run_hand.py instead"
    parser.add_argument("--episode", type=Path, default=None, help=text)
    text = "film with this real camera (file of calibrate_camera.py)"
    parser.add_argument("--calibration", type=Path, default=None, help=text)
    parser.add_argument("--seed", default=0)
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    import torch

    from perception.synthetic.pictures import PictureConfig
    from perception.synthetic.room import RoomConfig
    from tasks.cube_spin.config import CONTROL_DT_S
    from tasks.cube_spin.eyes import recording as eyes
    from tasks.cube_spin.eyes.real_cameras import record_real
    from tasks.cube_spin.hand.which_hand import object_of_run
    from tasks.cube_spin.teacher.policy import load_teacher
    from tasks.orca.hands import hand_of_run, load_hand

    config = apply_overrides(PictureConfig(room=RoomConfig(conditions=("plain",))), overrides)
    if args.print_config:
        return print_settings(config)
    if not 2 * CONTROL_DT_S <= args.seconds <= MOST_S:
        raise ValueError(f"--seconds ({args.seconds}) must be {2 * CONTROL_DT_S:g} to {MOST_S:g}")
    torch.set_num_threads(1)
    if args.calibration:
        frames = record_real(args.calibration, args.out, args.seconds)
        return print(f"{frames} frames -> {args.out}")
    if args.episode:
        hand, held = hand_of_run(args.episode), object_of_run(args.episode)
        states = eyes.episode_states(eyes.longest_episode(args.episode), args.seconds)
    else:
        task = load_teacher(args.policy).task
        hand, held = load_hand(task.hand), task.object
        states = eyes.teacher_states(args.policy, args.seconds, args.seed, args.spin)
    size = args.width, args.height
    drawn = {"config": config, "path_traced": args.renderer == "path"}
    frames = eyes.record(hand, states, args.out, size, seed=args.seed, held=held, **drawn)
    print(f"{frames} frames -> {args.out}")


if __name__ == "__main__":
    run_main(main)
