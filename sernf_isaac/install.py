"""How an optional package is installed into the environment that runs this, whatever it is."""

import importlib.util
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
    "rosbags": "bags",
    "pyarrow": "lerobot",
    "fastapi": "label",
    "uvicorn": "label",
    "ogbench": "ogbench",
    "submitit": "cluster",
    "ray": "cluster",
    "obstore": "sync",
    "wandb": "wandb",
    "onnx": "dev",
    "onnxruntime": "dev",
}
"""Which extra of this project brings a package."""


def install_command(extra: str | None) -> str:
    """The command that installs an extra of the project, or the project itself, right here."""
    wanted = f"[{extra}]" if extra else ""
    uv = shutil.which("uv") or next(iter(map(str, ROOT.glob(".cache/uv/bin/uv"))), None)
    if Path(sys.prefix) == ROOT / ".venv" and uv:
        shown = uv if uv != shutil.which("uv") else "uv"
        return f"cd {ROOT} && {shown} sync --inexact" + (f" --extra {extra}" if extra else "")
    if importlib.util.find_spec("pip"):
        return f"{sys.executable} -m pip install -e '{ROOT}{wanted}'"
    if uv:
        return f"{uv} pip install --python {sys.executable} -e '{ROOT}{wanted}'"
    target = f"--python {sys.executable} -e '{ROOT}{wanted}'"
    return f"python3 -m pip install uv && uv pip install {target}"
