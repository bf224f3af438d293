"""Errors as a user reads them: what, where, what to do, in one to three lines.

Types of other packages are told by name, so that none of these packages is imported for it.
"""

import errno
import importlib.util
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

from sernf_isaac.install import EXTRAS, PACKAGE, ROOT, install_command

OURS = ("sernf_isaac", "tasks", "perception", "scripts")
_UNREADABLE = {
    "yaml.error.YAMLError": "is no YAML that can be read",
    "omegaconf.errors.OmegaConfBaseException": "holds a setting that cannot be used",
    "json.decoder.JSONDecodeError": "is no JSON",
    "builtins.UnicodeDecodeError": "is no text in UTF-8",
    "zipfile.BadZipFile": "is damaged or not what its name says",
    "_pickle.UnpicklingError": "is damaged or not what its name says",
    "tarfile.TarError": "is damaged or not what its name says",
    "zlib.error": "is damaged",
    "lzma.LZMAError": "is damaged",
    "struct.error": "is damaged or not what its name says",
    "builtins.EOFError": "is empty or ends too early",
    "csv.Error": "is no table that can be read",
    "configparser.Error": "cannot be read",
    "sqlite3.DatabaseError": "is no database that can be read",
    "xml.etree.ElementTree.ParseError": "is no XML",
    "PIL.UnidentifiedImageError": "is no picture that can be read",
    "pyarrow.lib.ArrowException": "cannot be read as a table",
}
"""What is wrong with a file that one of these errors is about."""
_OUT_OF_MEMORY = {
    "torch.OutOfMemoryError": "the GPU's memory is full",
    "torch.cuda.OutOfMemoryError": "the GPU's memory is full",
    "builtins.MemoryError": "the memory is full",
    "numpy._core._exceptions._ArrayMemoryError": "the memory is full",
}
_OF_A_USER = (ValueError, FloatingPointError)
"""What our own code raises with a text for the user; `RuntimeError` too, where it is ours."""
_FOREIGN = {
    "cv2.error": "OpenCV",
    "h5py": "HDF5",
    "mujoco.FatalError": "MuJoCo",
    "mujoco._structs.FatalError": "MuJoCo",
    "glfw.GLFWError": "the window system",
    "zarr.errors.BaseZarrError": "the episode store",
    "subprocess.CalledProcessError": "a program that was started",
    "concurrent.futures.process.BrokenProcessPool": "a process that was started",
}


def explain(error: BaseException) -> str | None:
    """An error in words for who started the script; None if it is a bug of the project."""
    if isinstance(error, ImportError):
        return _missing_package(error)
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    for kind, text in _OUT_OF_MEMORY.items():
        if kind in names:
            return f"{text}: use smaller sizes (--num_envs, --processes, batch_size=)"
    for kind, text in _UNREADABLE.items():
        if kind in names:
            return _unreadable(error, text)
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, _OF_A_USER):
        return str(error) or type(error).__name__
    if isinstance(error, RuntimeError) and _is_raised_by_us(error.__traceback__):
        return str(error)
    if isinstance(error, RuntimeError) and "environment variable MUJOCO_GL" in str(error):
        return f"{_first_line(error)}; unset it, or set egl (with a GPU) or osmesa"
    for kind, who in _FOREIGN.items():
        if kind in names:
            return f"{who} says: {_first_line(error)}{_with(_file_in_hand(error))}"
    return None


def report_bug(error: BaseException) -> str:
    """Keep the traceback in a file; says that the user is not at fault, and where the file is."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="sernf_isaac_", suffix=".txt", delete=False
    ) as file:
        file.write(f"{' '.join(sys.argv)}\n\n{text}")
    return (
        f"this is a bug in the project, not a mistake of yours: {type(error).__name__}: "
        f"{_first_line(error)} ({Path(where.filename).name}, line {where.lineno})\n"
        f"its traceback is in {file.name}; the same command with --traceback shows it here"
    )


def _missing_package(error: ImportError) -> str | None:
    name = (error.name or "").partition(".")[0]
    if name in OURS:
        return None if importlib.util.find_spec(name) else f"run it in {ROOT} (no {name})"
    if not isinstance(error, ModuleNotFoundError) and (not name or importlib.util.find_spec(name)):
        if ".so" not in str(error) and "DLL" not in str(error):
            return None
        return f"{name or 'a package'} cannot be loaded: {_first_line(error)}; install that library"
    extra = EXTRAS.get(name)
    why = f"this needs the package {name}, which is not installed"
    return f"{why}\nto install it: {install_command(extra)}"


def _of_the_system(error: OSError) -> str:
    if isinstance(error, BrokenPipeError):
        return "who read the output is gone"
    if error.errno is None or not error.strerror:
        return str(error) or type(error).__name__
    where = str(error.filename2 or error.filename or "") or str(_file_in_hand(error) or "")
    at = f"{where}: " if where else ""
    told = {
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "not allowed; choose another place, or change its rights",
        errno.EPERM: "not allowed; choose another place, or change its rights",
        errno.EROFS: "cannot be written: the disk is read-only; choose another place",
        errno.ENOSPC: "the disk is full; make room, or choose another disk",
        errno.EDQUOT: "your share of the disk is used up; make room, or choose another disk",
        errno.EEXIST: "exists already; choose another name",
        errno.ENOTDIR: "a part of this path is a file, not a folder",
        errno.EISDIR: "is a folder, not a file",
        errno.EADDRINUSE: "the port is in use; choose another one (--port)",
        errno.EMFILE: "too many open files; raise the limit: ulimit -n 4096",
        errno.ENAMETOOLONG: "the name is too long",
        errno.EBUSY: "in use by another program",
        errno.ENODEV: "no such device; is it plugged in?",
        errno.ENXIO: "no such device; is it plugged in?",
    }
    return f"{at}{told.get(error.errno, error.strerror)}"


def _unreadable(error: BaseException, text: str) -> str:
    file, said = _file_in_hand(error), _first_line(error)
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or said
    known = file is None or str(file) in said
    return f"{problem}{place}" if known else f"{file}{place} {text}: {problem}"


def _file_in_hand(error: BaseException) -> Path | None:
    """The file that the innermost function with one was working on."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        for value in frame.f_locals.values():
            if isinstance(value, Path) and value.suffix:
                return value
    return None


def _is_raised_by_us(trace: TracebackType | None) -> bool:
    frames = traceback.extract_tb(trace)
    ours = {PACKAGE, *(ROOT / folder for folder in OURS)}
    return bool(frames) and any(Path(frames[-1].filename).is_relative_to(place) for place in ours)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


def _with(file: Path | None) -> str:
    return f" ({file})" if file else ""
