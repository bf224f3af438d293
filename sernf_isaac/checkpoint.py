"""Policy files: tensors and plain values under a contract, written atomically."""

import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from sernf_isaac.data.store.files import publish
from sernf_isaac.spec import Contract

FORMAT = "sernf-isaac/1"


@dataclass(frozen=True)
class Checkpoint:
    """The content of a policy file."""

    contract: Contract
    config: dict
    weights: dict[str, Tensor]


def save_checkpoint(
    path: Path | str, *, contract: Contract, config: dict, weights: dict[str, Tensor]
) -> None:
    """Write a policy file by one rename: a reader sees the old file or the new one, never a part.

    Raises:
        ValueError: If a weight is not finite.
    """
    path = Path(path)
    _require_finite(weights, path)
    contract_values = contract.to_dict() | {"versions": _versions()}
    content = {
        "format": FORMAT,
        "contract": contract_values,
        "config": config,
        "weights": {name: value.detach().cpu().clone() for name, value in weights.items()},
    }
    write_whole(path, content)


def write_whole(path: Path, content: object) -> None:
    """`torch.save` so that a crash leaves the old file or the new one, also when power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(content, file)
    publish(partial, path)


def read_whole(path: Path) -> object:
    """`torch.load` of tensors and plain values, checksums included, which it does not look at.

    Raises:
        ValueError: If the file is damaged or holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can fail in any way
        raise ValueError(f"{path} is damaged or of another kind: {error}") from error


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a policy file without running any code in it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, incomplete, of another format, or holds a weight that is not
            finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no policy file at {path}; give another path, or train one: scripts/train_teacher.py"
        )
    content = read_whole(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} is no policy file of this project (format {FORMAT!r}); an RSL-RL checkpoint "
            "must be exported first"
        )
    _require_entries(content, path)
    _require_finite(content["weights"], path)
    contract = Contract.from_dict(content["contract"])
    return Checkpoint(contract, content["config"], content["weights"])


def _require_entries(content: dict, path: Path) -> None:
    wrong = [
        name
        for name in ("contract", "config", "weights")
        if not isinstance(content.get(name), dict)
    ]
    if not wrong:
        weights = content["weights"].items()
        wrong = [f"weights.{name}" for name, value in weights if not isinstance(value, Tensor)]
    if wrong:
        raise ValueError(f"{path} is incomplete: {', '.join(wrong)} missing or of the wrong type")


def _require_finite(weights: dict[str, Tensor], path: Path) -> None:
    bad = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if bad:
        raise ValueError(f"{path}: weights hold values that are not finite: {', '.join(bad)}")


def _versions() -> dict[str, str]:
    """Versions of the libraries a policy's behaviour may depend on."""
    found = {}
    for package in ("sernf-isaac", "torch", "mujoco", "orca_sim", "rsl-rl-lib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
