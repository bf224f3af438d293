"""Calibrate the camera below the hand with a ChArUco board.

    python scripts/calibrate_camera.py --print board.png              # print, measure a square
    python scripts/calibrate_camera.py --capture 20 --images DIR      # from the OAK, as it is used
    python scripts/calibrate_camera.py --capture 1 --images DIR2
    python scripts/calibrate_camera.py --images DIR --square 0.0198 --marker 0.0149 \\
        --fixture DIR2 --hand_board 0 0 -0.1 1 0 0 0

--images are 10 or more pictures of the board at different angles, for how the camera sees.
--fixture are pictures of the board at its known place at the hand, for where the camera is;
--hand_board is that place: x y z [m] and a quaternion xyzw, board to hand. Settings of the OAK are
`key=value` (lens=140); sessions open it with those it was calibrated with.
"""

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from _cli import apply_overrides, run_main

from perception.calibration.charuco import Board, board_pose, calibrate, mounting
from perception.calibration.file import CalibratedRig, load_settings, save_rig, save_settings
from perception.calibration.pictures import print_board, read_views, take_pictures
from perception.cameras.oak import OakCamera, OakSettings
from perception.geometry import transform


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", type=Path, default=None, help="write the board and stop")
    parser.add_argument("--capture", type=int, default=None, help="take so many pictures and stop")
    parser.add_argument("--images", type=Path, default=None, help="pictures of the board")
    parser.add_argument("--fixture", type=Path, default=None, help="the board at its known place")
    parser.add_argument("--hand_board", type=float, nargs=7, default=None)
    parser.add_argument("--columns", type=int, default=7)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--square", type=float, default=0.02, help="edge on the print [m]")
    parser.add_argument("--marker", type=float, default=0.015, help="edge on the print [m]")
    parser.add_argument("--out", type=Path, default=Path("runs/calibration.json"))
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    settings = apply_overrides(OakSettings(), overrides)
    board = Board(args.columns, args.rows, args.square, args.marker)
    if args.print:
        print_board(args.print, board)
        print(f"board -> {args.print}; print it, glue it to something flat, measure a square")
        return
    if args.images is None:
        raise ValueError("give --images, or --print to make a board first")
    if args.capture:
        with closing(OakCamera(settings)) as camera:
            save_settings(args.images, settings)
            take_pictures(camera, board, args.images, args.capture, print)
        return
    if (args.fixture is None) != (args.hand_board is None):
        raise ValueError("--fixture and --hand_board belong together")
    save_rig(args.out, _calibrate(args, board))
    print(f"calibration -> {args.out}")


def _calibrate(args: argparse.Namespace, board: Board) -> CalibratedRig:
    views, size = read_views(args.images, board)
    found = calibrate(views, size)
    print(f"{len(views)} pictures, residual {found.residual_px:.3f} px")
    oak = load_settings(args.images)
    rig = CalibratedRig(found.intrinsics, found.distortion, size, found.residual_px, oak=oak)
    if args.fixture is None:
        return rig
    place = transform(np.array(args.hand_board[:3]), np.array(args.hand_board[3:]))
    fixed, fixed_size = read_views(args.fixture, board)
    if (fixed_size, load_settings(args.fixture)) != (size, oak):
        raise ValueError(f"{args.fixture} and {args.images} are not of a camera set alike")
    at = mounting([board_pose(view, found)[0] for view in fixed], place)
    spread_m = at.spread_m if at.pictures > 1 else None
    spread = f"spread {1e3 * spread_m:.2f} mm" if spread_m is not None else "spread not known"
    print(f"camera at the hand: {at.pictures} pictures, {spread}")
    return replace(rig, T_hand_camera=at.T_hand_camera, spread_m=spread_m)


if __name__ == "__main__":
    run_main(main)
