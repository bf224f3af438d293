"""Errors a user can cause: one to three lines that say what, where and what to do."""

import errno
import json
import os
import pickle
import runpy
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from sernf_isaac import install, user_errors
from sernf_isaac.cli import run_main, say_if_interrupted
from sernf_isaac.install import EXTRAS, ROOT, install_command
from sernf_isaac.user_errors import explain

SCRIPTS = ROOT / "scripts"


def said(work: Callable[[], object]) -> str:
    """What a script that does this ends with."""
    with pytest.raises(SystemExit) as ended:
        run_main(work)  # type: ignore[arg-type]
    text = str(ended.value.code)
    assert 1 <= len(text.splitlines()) <= 3, text
    return text


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


# Of the system ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; make room"),
        (errno.EROFS, "read-only; choose another place"),
        (errno.EACCES, "not allowed; choose another place"),
        (errno.EDQUOT, "used up; make room"),
        (errno.EEXIST, "exists already; choose another name"),
        (errno.ENOENT, "no such file or folder"),
        (errno.ENOTDIR, "is a file, not a folder"),
        (errno.EADDRINUSE, "choose another one (--port)"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_an_error_of_the_system_names_the_path_and_what_to_do(number: int, remedy: str) -> None:
    text = said(raising(OSError(number, os.strerror(number), "/data/run/x.npz")))
    assert text.startswith("error: /data/run/x.npz: ") and remedy in text


def test_an_error_of_the_system_without_a_path_names_the_file_in_hand() -> None:
    def work() -> None:
        target = Path("/data/run/policy.pt")
        raise OSError(errno.ENOSPC, "No space left on device") if target else AssertionError

    assert said(work).startswith("error: /data/run/policy.pt: the disk is full")


def test_our_own_texts_are_shown_as_they_are() -> None:
    for kind in (
        ValueError,
        FileNotFoundError,
        FileExistsError,
        FloatingPointError,
        ConnectionError,
    ):
        assert said(raising(kind("wrong shape"))) == "error: wrong shape"


def test_full_memory_says_what_to_make_smaller() -> None:
    assert "GPU's memory is full: use smaller" in said(raising(torch.OutOfMemoryError("CUDA ...")))
    assert "the memory is full" in said(raising(MemoryError()))


# Files --------------------------------------------------------------------------------------------


def _json(path: Path) -> None:
    path.write_text('{"a": ')
    json.loads(path.read_text())


def _yaml(path: Path) -> None:
    path.write_text("a: [1,\nb: 2")
    yaml.safe_load(path.read_text())


def _zip(path: Path) -> None:
    path.write_bytes(b"PK no")
    zipfile.ZipFile(path)


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x04garbage")
    pickle.loads(path.read_bytes())


def _utf16(path: Path) -> None:
    path.write_text("a: 1", encoding="utf-16")
    path.read_text(encoding="utf-8")


def _struct(path: Path) -> None:
    path.write_bytes(b"x")
    struct.unpack("<Q", path.read_bytes())


def _picture(path: Path) -> None:
    from PIL import Image

    path.write_bytes(b"no picture")
    Image.open(path)


@pytest.mark.parametrize("read", [_json, _yaml, _zip, _pickle, _utf16, _struct, _picture])
def test_a_file_that_cannot_be_read_is_named(read: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "settings.bin"
    text = said(lambda: read(path))
    assert text.startswith("error: ") and str(path) in text


# Packages -----------------------------------------------------------------------------------------


def test_a_missing_package_names_the_command_that_installs_it_here(monkeypatch) -> None:
    monkeypatch.setattr(install.shutil, "which", lambda _: "/usr/bin/uv")
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    text = said(raising(ModuleNotFoundError("No module named 'depthai'", name="depthai")))
    assert "needs the package depthai" in text
    assert text.endswith(f"cd {ROOT} && uv sync --inexact --extra oak") or "/usr/bin/uv" in text
    core = said(raising(ModuleNotFoundError("No module named 'roma'", name="roma")))
    assert core.endswith("sync --inexact")


def test_the_uv_that_make_fetched_is_found(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "CLONE", tmp_path)
    monkeypatch.setattr(install.shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    uv = tmp_path / ".cache/uv/bin/uv"
    uv.parent.mkdir(parents=True)
    uv.write_text("")
    assert install_command("bags") == f"cd {tmp_path} && {uv} sync --inexact --extra bags"


def test_another_environment_installs_with_what_it_has(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install.shutil, "which", lambda _: None)
    monkeypatch.setattr(install, "CLONE", tmp_path)
    found = {"pip": object()}
    monkeypatch.setattr(install.importlib.util, "find_spec", found.get)
    assert install_command("oak") == f"{sys.executable} -m pip install -e '{tmp_path}[oak]'"
    found.clear()
    assert install_command(None).startswith("python3 -m pip install uv && uv pip install --python")


def test_who_has_a_wheel_and_no_clone_is_told_the_project_by_name(monkeypatch) -> None:
    monkeypatch.setattr(install, "CLONE", None)
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda _: object())
    command = f"{sys.executable} -m pip install 'sernf-isaac[vision]'"
    assert install_command("vision") == command
    assert "wheel" in install.restore_command()


def test_every_extra_named_is_one_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])


def test_a_missing_module_of_ours_is_a_bug() -> None:
    gone = "sernf_isaac.nothing"
    assert explain(ModuleNotFoundError(f"No module named '{gone}'", name=gone)) is None


# Bugs and interruptions ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [AssertionError("x > 0"), TypeError("no"), ZeroDivisionError()])
def test_a_bug_says_so_and_keeps_its_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_errors.tempfile, "tempdir", str(tmp_path))
    text = said(raising(error))
    assert "this is a bug in the project" in text and type(error).__name__ in text
    (kept,) = tmp_path.iterdir()
    assert str(kept) in text and "Traceback" in kept.read_text() and "in work" in kept.read_text()


def test_a_runtime_error_of_a_library_is_a_bug_and_one_of_ours_is_not() -> None:
    def library() -> None:
        torch.zeros(2) @ torch.zeros(3)

    assert "this is a bug" in said(library)
    from tasks.rendering import choose_gl_backend

    def ours() -> None:
        choose_gl_backend(works=lambda _: False)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("MUJOCO_GL", "DISPLAY"):
            patch.delenv(name, raising=False)
        assert said(ours).startswith("error: cannot draw without a display")


def test_a_way_to_draw_that_mujoco_does_not_know_is_no_bug() -> None:
    def library() -> None:  # as MuJoCo says it while it is imported
        raise RuntimeError("invalid value for environment variable MUJOCO_GL: nonsense")

    assert said(library).endswith(
        "MUJOCO_GL: nonsense; unset it, or set egl (with a GPU) or osmesa"
    )


def test_traceback_shows_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x.py", "--traceback"])
    with pytest.raises(ValueError, match="wrong"):
        run_main(raising(ValueError("wrong")))


def test_an_interruption_says_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sernf_isaac.cli._INTERRUPTED", [lambda: "nothing was saved"])
    assert said(raising(KeyboardInterrupt())) == "interrupted: nothing was saved"
    with pytest.raises(SystemExit, match="interrupted: the same command goes on"):
        run_main(raising(KeyboardInterrupt()), interrupted="the same command goes on")
    say_if_interrupted(lambda: "runs/x is saved; go on with --resume")
    assert said(raising(KeyboardInterrupt())).endswith("go on with --resume")


# Scripts ------------------------------------------------------------------------------------------


def start(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_a_script_without_an_extra_names_it(tmp_path: Path) -> None:
    (tmp_path / "rosbags.py").write_text("raise ModuleNotFoundError('none', name='rosbags')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = start("import_data.py", "topics", tmp_path, PYTHONPATH=path)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "bags" in ended.stderr


def test_output_that_cannot_be_written_ends_a_script_before_its_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = start("evaluate.py", "--episodes", 1, "--json", tmp_path / "file" / "x.json")
    assert ended.returncode == 2 and "is a file, not a folder" in ended.stderr


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom sernf_isaac.cli import run_main\n"
    code += "def main():\n    for _ in range(100000): print('line')\nrun_main(main)"
    command = f'{sys.executable} -c "$CODE" 2> {tmp_path / "err"} | head -1'
    subprocess.run(command, shell=True, env=os.environ | {"CODE": code}, capture_output=True)
    assert (tmp_path / "err").read_text() == ""


GOES_ON = {
    "rehearse.py": "the same command goes on",
    "run_ogbench.py": "the same command goes on",
    "render_keypoints.py": "the same command goes on",
    "sweep.py": "the same command goes on",
    "run_hand.py": "the same command goes on",
    "run_arm.py": "the same command goes on",
    "duck_bowl.py": "the same command goes on",
    "scissors_tape.py": "the same command goes on",
    "finetune.py": "go on with --resume",
}


@pytest.mark.parametrize("name", GOES_ON)
def test_a_script_that_is_interrupted_says_how_to_go_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.setattr("argparse.ArgumentParser.parse_known_args", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert GOES_ON[name] in str(ended.value.code)
