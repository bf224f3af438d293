"""What works on this machine: versions, GPU, drawing, assets and drivers in one table.

    python scripts/doctor.py

Ends with status 0 when the twin can train and evaluate; everything missing says what to install.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from _cli import run_main

from tasks.cube_spin.grasps import load_grasps
from tasks.cube_spin.teacher import load_teacher
from tasks.orca.hand import hand_mjcf
from tasks.rendering import choose_gl_backend

Check = tuple[str, bool, Callable[[], str], str]


def package(name: str) -> Callable[[], str]:
    """A check that a distribution is installed; returns its version."""

    def look() -> str:
        try:
            return version(name)
        except PackageNotFoundError as error:
            raise ValueError("not installed") from error

    return look


def gpu() -> str:
    if not torch.cuda.is_available():
        raise ValueError("none found")
    return torch.cuda.get_device_name()


def isaac_sim() -> str:
    if importlib.util.find_spec("isaacsim") is None:
        raise ValueError("not installed")
    return version("isaacsim")


# What, whether the twin needs it, the check, what to do when it fails.
CHECKS: tuple[Check, ...] = (
    ("PyTorch", True, package("torch"), "uv sync"),
    ("MuJoCo", True, package("mujoco"), "uv sync"),
    ("RSL-RL", True, package("rsl-rl-lib"), "uv sync"),
    ("ORCA hand description", True, lambda: hand_mjcf().parent.name, "uv sync"),
    ("grasp bank", True, lambda: f"{len(load_grasps())} grasps", "python scripts/search_grasps.py"),
    (
        "shipped teacher",
        False,
        lambda: load_teacher().task.action.mode,
        "restore assets/teacher.pt",
    ),
    ("drawing (videos)", False, choose_gl_backend, "apt-get install libosmesa6"),
    ("CUDA GPU", False, gpu, "the twin needs none; Isaac Lab trains on one"),
    ("Isaac Lab", False, package("isaaclab"), "uv sync --extra isaac"),
    ("Isaac Sim (PhysX, RTX)", False, isaac_sim, "optional; see Isaac Lab's installation guide"),
    ("ORCA hand driver", False, package("orca_core"), "uv sync --extra hand"),
    ("OpenCV (eyes)", False, package("opencv-python"), "uv sync --extra vision"),
    ("ROS 2 bags", False, package("rosbags"), "uv sync --extra bags"),
    ("labelling page", False, package("fastapi"), "uv sync --extra label"),
    ("OAK camera driver", False, package("depthai"), "uv sync --extra oak"),
)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(f"Python {sys.version.split()[0]} in {Path(sys.prefix).name}")
    healthy = True
    for name, needed, check, remedy in CHECKS:
        try:
            line = f"ok       {check()}"
        except (ValueError, FileNotFoundError, RuntimeError) as error:
            line = f"{'MISSING' if needed else 'missing':8s} {error} -> {remedy}"
            healthy = healthy and not needed
        print(f"{name:24s} {line}")
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    run_main(main)
