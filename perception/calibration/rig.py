"""From pictures of a board to a calibrated camera, and to its place at the hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from perception.calibration.charuco import Board
from perception.calibration.file import CalibratedRig, load_settings
from perception.calibration.intrinsics import MIN_PICTURES, calibrate
from perception.calibration.mounting import board_pose, mounting
from perception.calibration.pictures import read_views


def calibrate_rig(
    board: Board,
    images: Path,
    fixture: Path | None,
    T_hand_board: np.ndarray | None,
    tell: Callable[[str], None],
) -> CalibratedRig:
    """How a camera sees, and where it is if pictures at the hand are given.

    Args:
        board: What was filmed.
        images: Folder of pictures of the board, tilted to all sides.
        fixture: Folder of pictures of the board at its known place at the hand.
        T_hand_board: (4, 4) that place, board to hand [m].
        tell: Takes what was found, line by line.

    Raises:
        ValueError: If the pictures do not determine the camera, or are not of cameras set alike.
    """
    seen, oak = read_views(images, board, MIN_PICTURES), load_settings(images)
    found = calibrate(seen.views, seen.size)
    tell(f"{len(seen.views)} pictures show the board, {len(seen.without)} do not")
    tell(f"residual {found.residual_px:.3f} px, board turned by {found.turned_deg:.0f} degrees")
    known = (f"{name} {value:.2g}" for name, value in found.deviations.items())
    tell(f"known to {' '.join(known)}")
    rig = CalibratedRig(found.intrinsics, found.distortion, seen.size, found.residual_px, oak=oak)
    rig = replace(rig, deviations=found.deviations)
    if fixture is None or T_hand_board is None:
        return rig
    fixed = read_views(fixture, board)
    if (fixed.size, load_settings(fixture)) != (seen.size, oak):
        raise ValueError(f"{fixture} and {images} are not of a camera set alike")
    poses = [board_pose(view, found.intrinsics, found.distortion)[0] for view in fixed.views]
    at = mounting(poses, T_hand_board)
    spread_m = at.spread_m if at.pictures > 1 else None
    spread = "spread not known" if spread_m is None else f"spread {1e3 * spread_m:.2f} mm"
    tell(f"camera at the hand: {at.pictures} pictures, {spread}")
    return replace(rig, T_hand_camera=at.T_hand_camera, spread_m=spread_m)
