"""Picks a way to draw without a display."""

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable

BACKENDS = ("egl", "osmesa")
WINDOWS, OFF = (
    ("glfw", "glx", "on", "enable", "enabled", "true", "1"),
    (*("off", "disable", "disabled", "false", "0"),),
)
"""Other values that MuJoCo knows: those that need a display, and those that forbid drawing."""
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
        ValueError: If the user's value cannot draw here; says what to set instead.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if chosen:
        _check_choice(chosen)
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


def _check_choice(chosen: str) -> None:
    """Refuse a user's value of which it is known without trying that it cannot draw."""
    if chosen in OFF:
        raise ValueError(f"MUJOCO_GL={chosen} forbids drawing: unset it, or set MUJOCO_GL=egl")
    no_window = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if chosen in WINDOWS and platform.system() == "Linux" and no_window:
        raise ValueError(
            f"MUJOCO_GL={chosen} draws in a window, and there is no display here (DISPLAY is not "
            "set): unset MUJOCO_GL, or set MUJOCO_GL=egl"
        )


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
