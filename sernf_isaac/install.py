"""Where this project is installed, as what, and how an optional package is added to it.

Importing this is cheap.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CLONE = None if (PACKAGE / "tasks" / "__init__.py").is_file() else PACKAGE.parent
"""The repository that this runs from; None where a wheel was installed."""
ROOT = CLONE or PACKAGE
"""Holds `tasks/`, `perception/`, `scripts/` and `assets/`: the clone, or the package of a wheel."""
ASSETS = ROOT / "assets"
PROJECT = "sernf-isaac"
EXTRAS = {
    "isaaclab": "isaac",
    "isaaclab_rl": "isaac",
    "isaaclab_tasks": "isaac",
    "isaaclab_newton": "isaac",
    "mujoco_usd_converter": "isaac",
    "pxr": "isaac",
    "newton": "isaac",
    "warp": "isaac",
    "orca_core": "hand",
    "depthai": "oak",
    "cv2": "vision",
    "torchvision": "vision",
    "filterpy": "vision",
    "timm": "vision",
    "fast_simplification": "vision",
    "mitsuba": "path",
    "rosbags": "bags",
    "pyarrow": "lerobot",
    "fastapi": "label",
    "uvicorn": "label",
    "ogbench": "ogbench",
    "submitit": "cluster",
    "ray": "cluster",
    "obstore": "sync",
    "wandb": "wandb",
    "viser": "viewer",
    "trimesh": "viewer",
    "onnx": "dev",
    "onnxruntime": "dev",
}
"""Which extra of this project brings a package."""


def project_version() -> str:
    """Version of this code: what its clone says, or what was installed."""
    if CLONE is None:
        from importlib.metadata import version

        return version(PROJECT)
    import tomllib

    return tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]["version"]


def install_command(extra: str | None) -> str:
    """The command that installs an extra of the project, or the project itself, right here."""
    wanted = f"[{extra}]" if extra else ""
    uv = shutil.which("uv") or _uv_of_make()
    if CLONE and Path(sys.prefix) == CLONE / ".venv" and uv:
        shown = uv if uv != shutil.which("uv") else "uv"
        return f"cd {CLONE} && {shown} sync --inexact" + (f" --extra {extra}" if extra else "")
    what = f"-e '{CLONE}{wanted}'" if CLONE else f"'{PROJECT}{wanted}'"
    if importlib.util.find_spec("pip"):
        return f"{sys.executable} -m pip install {what}"
    if uv:
        return f"{uv} pip install --python {sys.executable} {what}"
    return f"python3 -m pip install uv && uv pip install --python {sys.executable} {what}"


def _uv_of_make() -> str | None:
    uv = CLONE / ".cache" / "uv" / "bin" / "uv" if CLONE else None
    return str(uv) if uv and uv.exists() else None


def restore_command() -> str:
    """What brings a file back that should be in `assets/`."""
    return "restore assets/" if CLONE else "install the wheel again: pip install --force-reinstall"


def shipped(path: Path) -> Path:
    """A path as commands write it: `assets/x` is the project's if none is here."""
    ours = ROOT / path
    named = not path.is_absolute() and path.parts[:1] == (ASSETS.name,)
    return ours if named and not path.exists() and ours.exists() else path
