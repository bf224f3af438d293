"""Settings of a run as a file: written whole, and read only if it is whole."""

import os
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

FIRST_LINE = "# Settings of this run. The last line of this file is: # end"
LAST_LINE = "# end"


def write_settings(path: Path, settings: object) -> None:
    """Write a dataclass as YAML: a crash leaves the old file or the new one, never a part."""
    text = OmegaConf.to_yaml(OmegaConf.structured(settings))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        file.write(f"{FIRST_LINE}\n{text}{LAST_LINE}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def read_settings[Settings](path: Path, kind: type[Settings]) -> Settings:
    """The settings in a file of `write_settings`; nothing is filled in.

    Files of earlier versions, which say nothing of their last line, must have every setting too.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is cut, lacks settings, or holds unknown ones or values of the wrong type.
    """
    text = path.read_text()
    marked = text.startswith(FIRST_LINE)
    if not text.endswith(f"\n{LAST_LINE}\n" if marked else "\n"):
        raise ValueError(f"{path} is cut off or empty; {_REMEDY}")
    try:
        found = OmegaConf.create(text)
        structured = OmegaConf.structured(kind)
        missing = _missing(OmegaConf.to_container(structured), OmegaConf.to_container(found))
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}; {_REMEDY}")
        return OmegaConf.to_object(OmegaConf.merge(structured, found))  # type: ignore[return-value]
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: {first}; {_REMEDY}") from error


_REMEDY = "restore it from a copy, or begin a new run"


def _missing(expected: object, found: object, prefix: str = "") -> list[str]:
    """Dotted names of the settings that are not there."""
    if not isinstance(expected, dict):
        return []
    if not isinstance(found, dict):
        return [prefix.rstrip(".") or "all settings"]
    return [
        name
        for key, value in expected.items()
        for name in (
            _missing(value, found[key], f"{prefix}{key}.") if key in found else [f"{prefix}{key}"]
        )
    ]
