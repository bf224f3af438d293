"""What the command lines share: `key=value` settings, devices, simulators, readable errors.

Importing this is cheap: torch and OmegaConf are imported by the functions that need them.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

_INTERRUPTED: list[Callable[[], str]] = [lambda: "nothing was saved; start the same command again"]
"""What Ctrl-C tells."""


def apply_overrides[Config](config: Config, overrides: list[str]) -> Config:
    """A copy of a (nested) dataclass with `group.key=value` settings applied.

    Raises:
        ValueError: If an override is no `key=value`, names no setting (with the nearest name), or
            has a value of the wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    structured = OmegaConf.structured(config)
    known = _leaves(OmegaConf.to_container(structured))
    for item in overrides:
        _check_known(item, known)
    try:
        merged = OmegaConf.merge(structured, OmegaConf.from_dotlist(overrides))
        return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely
    except (OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"bad setting in {overrides}: {str(error).splitlines()[0]}") from error


def print_settings(config: object) -> None:
    """Show every setting with its value, as YAML."""
    from omegaconf import OmegaConf

    print(OmegaConf.to_yaml(OmegaConf.structured(config)))


def save_numbers(path: Path | None, numbers: object) -> None:
    """Write what was measured as strict JSON and say where, if a file was asked for (`--json`).

    What cannot be told, such as the mean of nothing, is null.
    """
    if path is None:
        return
    numbers = json.loads(json.dumps(numbers), parse_constant=lambda _: None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    print(f"numbers -> {path}")


def resolve_sim(choice: str) -> str:
    """ "auto" is Isaac Lab where it is installed beside a GPU, else the twin."""
    if choice != "auto":
        return choice
    has_isaac = importlib.util.find_spec("isaaclab") is not None
    return "isaac" if has_isaac and _has_gpu() else "twin"


def resolve_device(choice: str | None) -> str:
    """A device name that exists; None and "auto" take the GPU if there is one.

    Without a number, each process of torchrun takes the GPU of its own. Matrix products on a GPU
    run in TF32 from then on, see `use_tensor_cores`.

    Raises:
        ValueError: If a GPU is asked for and there is none, or torchrun started more processes
            than there are GPUs.
    """
    if choice in (None, "auto"):
        choice = "cuda" if _has_gpu() else "cpu"
    if choice.startswith("cuda") and not _has_gpu():
        raise ValueError(f"--device {choice}: no CUDA GPU found; pass --device cpu")
    if not choice.startswith("cuda"):
        return choice
    from sernf_isaac.devices import use_tensor_cores

    use_tensor_cores(choice)
    return f"cuda:{_own_gpu()}" if choice == "cuda" else choice


def say_if_interrupted(tell: Callable[[], str]) -> None:
    """What Ctrl-C tells from now on: what is saved by then, and how to go on."""
    _INTERRUPTED[:] = [tell]


def run_main(main: Callable[[], None], *, interrupted: str | None = None) -> None:
    """Run a script. What a user can cause ends it with one to three lines, not with a traceback.

    A bug says that it is one, and where its traceback is kept. `--traceback` shows all of it.

    Args:
        main: The script.
        interrupted: What Ctrl-C tells, unless the script says something later.
    """
    if interrupted:
        say_if_interrupted(lambda: interrupted)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(f"interrupted: {_INTERRUPTED[0]()}")
    except BrokenPipeError:  # the output went to a program that has ended, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if "--traceback" in sys.argv:
            raise
        from sernf_isaac.user_errors import explain, report_bug
        from sernf_isaac.verbs import as_typed

        text = explain(error)
        sys.exit(f"error: {as_typed(text)}" if text else report_bug(error))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _own_gpu() -> int:
    """Number of the GPU of this process among those of torchrun on this machine; 0 if alone."""
    import torch

    rank, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if rank > 0 and rank >= gpus:
        raise ValueError(
            f"process {rank} of torchrun has no GPU of its own: found {gpus}; start at most "
            f"{gpus} (--nproc_per_node), or name a device"
        )
    return rank


def _key_of(item: str) -> str:
    key, separator, _ = item.partition("=")
    if not separator or not key or key.startswith("-"):
        raise ValueError(f"'{item}' is neither a flag nor a key=value setting; see --help")
    return key


def _check_known(item: str, known: list[str]) -> None:
    key = _key_of(item)
    if key in known:
        return
    close = get_close_matches(key, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "; --print_config shows all settings"
    raise ValueError(f"unknown setting '{key}'{hint}")


def _leaves(values: object, prefix: str = "") -> list[str]:
    """Dotted names of all settings in a nested dictionary; a group is named by its members only."""
    if not isinstance(values, dict):
        return [prefix]
    below = [_leaves(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in values.items()]
    return [name for names in below for name in names]
