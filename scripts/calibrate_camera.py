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
from pathlib import Path

from sernf_isaac.cli import apply_overrides, print_settings, run_main
from sernf_isaac.flags import ScriptParser


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = ScriptParser(__doc__, settings=True)
    add = parser.add_argument
    add("--print", type=Path, default=None, help="write the board (PNG) and stop")
    add("--capture", type=int, default=None, help="take so many pictures and stop")
    add("--images", type=Path, default=None, help="folder of pictures of the board")
    add("--fixture", type=Path, default=None, help="folder of pictures of the board at the hand")
    place = "the board's place at the hand: x y z [m], then a quaternion x y z w, board to hand"
    add("--hand_board", type=float, nargs=7, default=None, metavar="NUMBER", help=place)
    add("--columns", type=int, default=7, help="squares")
    add("--rows", type=int, default=5, help="squares")
    add("--square", type=float, default=0.02, help="edge on the print [m]")
    add("--marker", type=float, default=0.015, help="edge on the print [m]")
    add("--dictionary", default="4X4_100", help="OpenCV's name of it")
    add("--legacy", action="store_true", help="a board as OpenCV drew them before version 4.6")
    add("--out", default=Path("runs/calibration.json"), help="file to write")
    return parser.parse_with_settings()


def main() -> None:
    args, overrides = parse()
    from perception.calibration.charuco import Board
    from perception.calibration.file import save_rig, save_settings
    from perception.calibration.pictures import check_empty, print_board, take_pictures
    from perception.calibration.rig import calibrate_rig
    from perception.camera_checks import HAND_REACH_M, pose
    from perception.cameras.oak import OakCamera, OakSettings
    from perception.geometry import transform

    settings = apply_overrides(OakSettings(), overrides)
    if args.print_config:
        return print_settings(settings)
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
    place = args.hand_board and transform(*pose(args.hand_board, "--hand_board", HAND_REACH_M))
    save_rig(args.out, calibrate_rig(board, args.images, args.fixture, place, print))
    print(f"calibration -> {args.out}")


if __name__ == "__main__":
    run_main(main)
