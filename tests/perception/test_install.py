"""The command that installs an extra is one that works in this environment."""

import importlib.util
from pathlib import Path

import pytest

from perception.install import OWN_UV, install_command


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def put_uv(folder: Path, status: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "uv").write_text(f"#!/bin/sh\nexit {status}\n")
    (folder / "uv").chmod(0o755)


@pytest.fixture(autouse=True)
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_uv_on_the_path_is_used(checkout: Path, empty_path: Path, tmp_path: Path) -> None:
    put_uv(empty_path)
    assert install_command("oak", checkout) == "uv sync --inexact --extra oak"
    assert install_command("oak", tmp_path / "none") == "uv pip install 'sernf-isaac[oak]'"


def test_the_uv_that_make_fetched_is_used(checkout: Path, empty_path: Path) -> None:
    put_uv(checkout / OWN_UV.parent)
    expected = ".cache/uv/bin/uv sync --inexact --extra vision"
    assert install_command("vision", checkout) == expected
    put_uv(empty_path, status=127)  # a shim without a uv behind it
    assert install_command("vision", checkout) == expected


@pytest.mark.parametrize("has_pip", [True, False])
def test_without_uv_pip_is_named_where_there_is_one(checkout, monkeypatch, has_pip) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if has_pip else None)
    command = install_command("oak", checkout)
    assert command.startswith("python -m pip install -e '.[oak]'" if has_pip else str(OWN_UV))
