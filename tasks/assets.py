"""Where the files shipped with the project are: grasps, trained policies, the cube's pictures."""

from pathlib import Path

from sernf_isaac.install import ASSETS, CLONE

DEFAULT_BANK = ASSETS / "grasps.npz"
"""Stable grasps of the ORCA v1 right hand, that episodes start from."""
DEFAULT_TEACHER = ASSETS / "teacher.pt"
SMOOTH_TEACHER = ASSETS / "teacher_smooth.pt"
"""The same, trained on for steadier actions and more latency; the shipped student's teacher."""
DEFAULT_STUDENT = ASSETS / "student.pt"
BLIND_STUDENT = ASSETS / "student_blind.pt"
"""A student without a camera, for when the eyes lose the object."""
DEFAULT_DETECTOR = ASSETS / "detector.pt"
CUBE_FOLDER = ASSETS / "cube"
"""Texture, mesh and page to print."""
WORLDS = ASSETS / "worlds"
"""Physics files of worlds that no policy was trained in or chosen by."""


def grasp_bank(hand: str, held: str = "") -> Path:
    """The file of a hand's grasps; the first hand's is older than hands had names.

    Args:
        hand: Its name.
        held: Label of the object, as "cube 60 mm"; empty: the paper's cube.
    """
    if held:
        return ASSETS / f"grasps_{hand}_{held.removesuffix(' mm').replace(' ', '_')}mm.npz"
    return DEFAULT_BANK if hand == "orca_v1_right" else ASSETS / f"grasps_{hand}.npz"


def remade(asset: Path) -> Path:
    """Where a command that makes an asset anew writes it: its place in a clone, else below here.

    What a wheel has installed stays as it is.
    """
    return asset if CLONE else Path("assets") / asset.relative_to(ASSETS)
