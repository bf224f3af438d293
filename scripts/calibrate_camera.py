"""Calibrate the camera below the hand with a ChArUco board.

    python scripts/calibrate_camera.py --print board.png              # print, measure a square
    python scripts/calibrate_camera.py --capture 20 --images DIR      # from the OAK, as it is used
    python scripts/calibrate_camera.py --capture 1 --images DIR2
    python scripts/calibrate_camera.py --images DIR --square 0.0198 --marker 0.0149 \\
        --fixture DIR2 --hand_board 0 0 -0.1 1 0 0 0

--images are 10 or more pictures of the board tilted to all sides, for how the camera sees.
--fixture are pictures of the board at its known place at the hand, for where the camera is.
Settings of the OAK are `key=value` (lens=140); sessions open it with those it was calibrated with.
"""

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from perception.calibration.charuco import Board
from perception.calibration.file import CalibratedRig, load_settings, save_rig, save_settings
from perception.calibration.intrinsics import MIN_PICTURES, calibrate
from perception.calibration.mounting import board_pose, mounting
from perception.calibration.pictures import check_empty, print_board, read_views, take_pictures
from perception.cameras.checks import HAND_REACH_M, pose
from perception.cameras.oak import OakCamera, OakSettings
from perception.files import check_writable
from perception.geometry import transform
from sernf_isaac.cli import apply_overrides, run_main


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, default = parser.add_argument, Board()
    add("--print", type=Path, default=None, help="write the board (PNG) and stop")
    add("--capture", type=int, default=None, help="take so many pictures and stop")
    add("--images", type=Path, default=None, help="folder of pictures of the board")
    add("--fixture", type=Path, default=None, help="folder of pictures of the board at the hand")
    place = "the board's place at the hand: x y z [m], then a quaternion x y z w, board to hand"
    add("--hand_board", type=float, nargs=7, default=None, metavar="NUMBER", help=place)
    add("--columns", type=int, default=default.columns, help="squares (default: %(default)s)")
    add("--rows", type=int, default=default.rows, help="squares (default: %(default)s)")
    for name, size in (("square", default.square_m), ("marker", default.marker_m)):
        add(f"--{name}", type=float, default=size, help="edge on the print [m] (%(default)s)")
    add("--dictionary", default=default.dictionary, help="OpenCV's name of it (%(default)s)")
    add("--legacy", action="store_true", help="a board as OpenCV drew them before version 4.6")
    add("--out", type=Path, default=Path("runs/calibration.json"), help="default: %(default)s")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse()
    settings = apply_overrides(OakSettings(), overrides)
    dictionary = args.dictionary.upper().removeprefix("DICT_")
    board = Board(args.columns, args.rows, args.square, args.marker, dictionary, args.legacy)
    if args.print:
        print_board(args.print, board)
        print(f"board -> {args.print}; print it, glue it to something flat, measure a square")
        return
    if args.images is None:
        raise ValueError("give --images, or --print to make a board first")
    if args.capture is not None:
        check_empty(args.images)
        with closing(OakCamera(settings)) as camera:
            save_settings(args.images, settings)
            take_pictures(camera, board, args.images, args.capture, print)
        return
    if (args.fixture is None) != (args.hand_board is None):
        raise ValueError("--fixture and --hand_board belong together")
    if args.hand_board is not None:
        args.hand_board = transform(*pose(args.hand_board, "--hand_board", HAND_REACH_M))
    check_writable(args.out)
    save_rig(args.out, _calibrate(args, board))
    print(f"calibration -> {args.out}")


def _calibrate(args: argparse.Namespace, board: Board) -> CalibratedRig:
    seen, oak = read_views(args.images, board, MIN_PICTURES), load_settings(args.images)
    found = calibrate(seen.views, seen.size)
    print(f"{len(seen.views)} pictures show the board, {len(seen.without)} do not")
    print(f"residual {found.residual_px:.3f} px, board turned by {found.turned_deg:.0f} degrees")
    print("known to", *(f"{name} {value:.2g}" for name, value in found.deviations.items()))
    rig = CalibratedRig(found.intrinsics, found.distortion, seen.size, found.residual_px, oak=oak)
    rig = replace(rig, deviations=found.deviations)
    if args.fixture is None:
        return rig
    fixed = read_views(args.fixture, board)
    if (fixed.size, load_settings(args.fixture)) != (seen.size, oak):
        raise ValueError(f"{args.fixture} and {args.images} are not of a camera set alike")
    poses = [board_pose(view, found.intrinsics, found.distortion)[0] for view in fixed.views]
    at = mounting(poses, args.hand_board)
    spread_m = at.spread_m if at.pictures > 1 else None
    spread = "spread not known" if spread_m is None else f"spread {1e3 * spread_m:.2f} mm"
    print(f"camera at the hand: {at.pictures} pictures, {spread}")
    return replace(rig, T_hand_camera=at.T_hand_camera, spread_m=spread_m)


if __name__ == "__main__":
    run_main(main)
