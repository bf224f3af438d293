"""Which command adds optional packages to this environment."""

import importlib.util
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
OWN_UV = Path(".cache/uv/bin/uv")
"""Where `make` puts uv if there is none."""


def install_command(extra: str, checkout: Path = CHECKOUT) -> str:
    """The command that installs an extra of this project, with a uv or pip that is there.

    Args:
        extra: Its name in pyproject.toml.
        checkout: Folder of the project, where the command is to be called; without a pyproject.toml
            the project was installed as a package.
    """
    uv = "uv" if _runs("uv") else None
    if not (checkout / "pyproject.toml").is_file():
        return f"{'uv pip' if uv else 'python -m pip'} install 'sernf-isaac[{extra}]'"
    if not uv and _runs(str(checkout / OWN_UV)):
        uv = str(OWN_UV)
    if not uv and importlib.util.find_spec("pip"):
        return f"python -m pip install -e '.[{extra}]'"
    return f"{uv or OWN_UV} sync --inexact --extra {extra}"


def _runs(uv: str) -> bool:
    """Whether uv is there and starts; a shim of pyenv may be there and not start."""
    try:
        return subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
