"""Calibrate the camera below the hand with a ChArUco board.

    python scripts/calibrate_camera.py --print board.png              # print, measure a square
    python scripts/calibrate_camera.py --images DIR --square 0.0198 --marker 0.0149
    python scripts/calibrate_camera.py --images DIR --fixture DIR2 --hand_board 0 0 -0.1 1 0 0 0

--images are 10 or more pictures of the board at different angles, for how the camera sees.
--fixture are pictures of the board at its known place at the hand, for where the camera is;
--hand_board is that place: x y z [m] and a quaternion xyzw, board to hand.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from _cli import run_main

from perception.calibration.charuco import Board, board_pose, calibrate, mounting
from perception.calibration.pictures import print_board, read_views
from perception.geometry import transform


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", type=Path, default=None, help="write the board and stop")
    parser.add_argument("--images", type=Path, default=None, help="pictures of the board")
    parser.add_argument("--fixture", type=Path, default=None, help="the board at its known place")
    parser.add_argument("--hand_board", type=float, nargs=7, default=None)
    parser.add_argument("--columns", type=int, default=7)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--square", type=float, default=0.02, help="edge on the print [m]")
    parser.add_argument("--marker", type=float, default=0.015, help="edge on the print [m]")
    parser.add_argument("--out", type=Path, default=Path("runs/calibration.json"))
    return parser.parse_args()


def main() -> None:
    args = parse()
    board = Board(args.columns, args.rows, args.square, args.marker)
    if args.print:
        print_board(args.print, board)
        print(f"board -> {args.print}; print it, glue it to something flat, measure a square")
        return
    if args.images is None:
        raise ValueError("give --images, or --print to make a board first")
    if (args.fixture is None) != (args.hand_board is None):
        raise ValueError("--fixture and --hand_board belong together")
    views, size = read_views(args.images, board)
    calibration = calibrate(views, size)
    print(f"{len(views)} pictures, residual {calibration.residual_px:.3f} px")
    content = {
        "intrinsics": calibration.intrinsics.tolist(),
        "distortion": list(calibration.distortion),
        "size": list(size[::-1]),
        "residual_px": calibration.residual_px,
    }
    if args.fixture:
        place = transform(np.array(args.hand_board[:3]), np.array(args.hand_board[3:]))
        fixed, fixed_size = read_views(args.fixture, board)
        if fixed_size != size:
            raise ValueError(
                f"{args.fixture} has pictures of {fixed_size}, {args.images} of {size}"
            )
        found = mounting([board_pose(view, calibration)[0] for view in fixed], place)
        print(
            f"camera at the hand: {found.pictures} pictures, spread {1e3 * found.spread_m:.2f} mm"
        )
        content |= {"T_hand_camera": found.T_hand_camera.tolist(), "spread_m": found.spread_m}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(content, indent=1))
    print(f"calibration -> {args.out}")


if __name__ == "__main__":
    run_main(main)
