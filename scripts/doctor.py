"""What works on this computer: versions, assets, GPU, hand, camera, clock and disk in one table.

    python scripts/doctor.py
    python scripts/doctor.py --hand_config my_hand/config.yaml     # before a session with this hand

Status 0: the twin can train and evaluate. Nothing moves; only --read_hand opens the hand's bus.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser
from sernf_isaac.install import install_command, restore_command
from sernf_isaac.verbs import as_typed
from tasks.assets import ASSETS

Check = tuple[str, bool, Callable[[], str], str]
"""What, whether the twin needs it, the check, what to do when it fails and does not say."""


def students() -> str:
    from sernf_isaac.policy import load_policy

    names = "student.pt", "student_wide.pt"
    return ", ".join(f"{name} ({load_policy(ASSETS / name)[1].kind})" for name in names)


def detector() -> str:
    from perception.detector.files import load_detector  # what it needs is optional

    return f"{load_detector(ASSETS / 'detector.pt').image_size} pixels"


def package(what: str, name: str, remedy: str, *, needed: bool = False) -> Check:
    from sernf_isaac.deploy.checks import check_package

    return what, needed, partial(check_package, name, remedy), remedy


def table(hand_config: Path | None, runs: Path, *, read_hand: bool = False) -> list[Check]:
    from sernf_isaac.deploy import checks
    from sernf_isaac.deploy.hand_checks import hand_rows
    from tasks.cube_spin.grasps import load_grasps
    from tasks.cube_spin.teacher.policy import load_teacher
    from tasks.orca.hand import hand_mjcf
    from tasks.orca.hands import driven_hand, load_hand
    from tasks.rendering import choose_gl_backend

    first, install, restore = load_hand(), install_command(None), restore_command()
    return [
        package("PyTorch", "torch", install, needed=True),
        package("MuJoCo", "mujoco", install, needed=True),
        package("RSL-RL", "rsl-rl-lib", install, needed=True),
        ("ORCA hand description", True, lambda: hand_mjcf(first).parent.name, install),
        ("grasp bank", True, lambda: str(len(load_grasps(first))), restore),
        ("shipped teacher", False, lambda: load_teacher().task.action.mode, restore),
        ("shipped students", False, students, restore),
        ("shipped detector", False, detector, f"{restore}; {install_command('vision')}"),
        ("drawing (videos)", False, choose_gl_backend, "apt-get install libosmesa6"),
        ("CUDA GPU", False, checks.check_gpu, ""),
        package("Isaac Lab", "isaaclab", install_command("isaac")),
        package("Isaac Sim (PhysX, RTX)", "isaacsim", "optional; Isaac Lab's installation guide"),
        package("OpenCV (eyes)", "opencv-python", install_command("vision")),
        package("ROS 2 bags", "rosbags", install_command("bags")),
        package("labelling page", "fastapi", install_command("label")),
        *hand_rows(hand_config, driven_hand, read=read_hand),
        ("camera (OAK)", False, checks.check_camera, ""),
        ("clock", False, checks.check_clock, ""),
        ("priority of the hand", False, checks.check_priority, ""),
        ("disk: space", False, partial(checks.check_space, runs), ""),
        ("disk: syncing", False, partial(checks.check_sync, runs), ""),
    ]


def main() -> None:
    parser = ScriptParser(__doc__)
    parser.add_argument("--hand_config", type=Path, help="config.yaml of a hand that is plugged in")
    parser.add_argument("--read_hand", action="store_true", help="ask it; leaves its torque off")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are stored")
    args = parser.parse()
    from sernf_isaac.deploy.checks import NotReadyError

    print(f"Python {sys.version.split()[0]} in {Path(sys.prefix).name}")
    healthy = True
    for name, needed, check, remedy in table(args.hand_config, args.runs, read_hand=args.read_hand):
        try:
            line = f"ok       {check()}"
        except (ValueError, FileNotFoundError, RuntimeError, ImportError) as error:
            said = error if isinstance(error, NotReadyError) else NotReadyError("", remedy)
            line = f"{said.verdict.upper() if needed else said.verdict:8s} {error} -> {said.remedy}"
            healthy = healthy and not needed
        print(as_typed(f"{name:24s} {line}"))
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    run_main(main)
