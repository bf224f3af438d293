"""Picks a way to draw without a display."""

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable

BACKENDS = ("egl", "osmesa")
_PROBE = "import mujoco; mujoco.GLContext(16, 16).make_current()"
HELP = (
    "cannot draw without a display: neither EGL nor OSMesa works here. "
    "Install one package: apt-get install libosmesa6 (or libegl1 where there is a GPU), "
    "or run without pictures (--no-video)."
)


def choose_gl_backend(works: Callable[[str], bool] | None = None) -> str:
    """Set `MUJOCO_GL` to the first backend that works and return it; a value set by the user stays.

    MuJoCo reads the variable when it is imported; its context module is reloaded to read it again.

    Args:
        works: Test of one backend; by default a separate process, since a bad driver may crash it.

    Raises:
        RuntimeError: If none works; names the package to install.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen:
        return chosen
    if platform.system() != "Linux" or os.environ.get("DISPLAY"):
        return "window system"
    for backend in BACKENDS:
        if (works or _works)(backend):
            os.environ["MUJOCO_GL"] = backend
            os.environ["PYOPENGL_PLATFORM"] = backend
            if "mujoco" in sys.modules:
                importlib.reload(sys.modules["mujoco.rendering.classic.gl_context"])
            return backend
    raise RuntimeError(HELP)


def _works(backend: str) -> bool:
    environment = os.environ | {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    probe = subprocess.run(
        [sys.executable, "-c", _PROBE],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return probe.returncode == 0
