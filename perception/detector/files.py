"""Detector files: weights, what they were built from, and what they were trained to see."""

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import MaskRCNN

from perception.cube import check_cube_contract, cube_contract
from perception.detector.config import DetectorConfig
from perception.detector.network import build_network

FORMAT = "sernf-isaac-detector/1"


@dataclass
class DetectorFile:
    """The content of a detector file."""

    network: MaskRCNN
    config: DetectorConfig
    image_size: tuple[int, int]
    """Height and width of the images it was trained on."""
    covariance_factor: float = 1.0
    """Factor on the corners' covariance that makes the errors on unseen images as large as told."""
    training: dict = field(default_factory=dict)
    """How it was made: plain values, told and not compared."""


def save_detector(path: Path, content: DetectorFile) -> None:
    """Write a detector file by one rename.

    Raises:
        ValueError: If a weight is not finite.
    """
    weights = {k: v.detach().cpu().clone() for k, v in content.network.state_dict().items()}
    if bad := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise ValueError(f"{path}: weights hold values that are not finite: {', '.join(bad[:3])}")
    write_whole(
        path,
        {
            "format": FORMAT,
            "contract": cube_contract(),
            "config": asdict(content.config),
            "image_size": list(content.image_size),
            "covariance_factor": content.covariance_factor,
            "training": content.training,
            "weights": weights,
        },
    )


def load_detector(path: Path) -> DetectorFile:
    """Read a detector file without running any code in it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, of another kind, or made for another cube.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no detector file at {path}; give another path, or train one: "
            "scripts/train_detector.py"
        )
    content = read_whole(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no detector file of this project (format {FORMAT!r})")
    check_cube_contract(content["contract"], str(path))
    config = _config(content["config"], path)
    network = build_network(config)
    try:
        network.load_state_dict(content["weights"])
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its own configuration: {error}") from error
    height, width = content["image_size"]
    factor = content["covariance_factor"]
    return DetectorFile(network.eval(), config, (height, width), factor, content["training"])


def write_whole(path: Path, content: object) -> None:
    """`torch.save` so that a crash leaves the old file or the new one, also when power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def read_whole(path: Path) -> object:
    """`torch.load` of tensors and plain values.

    Raises:
        ValueError: If the file is damaged or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can fail in any way
        raise ValueError(f"{path} is damaged or of another kind: {error}") from error


def _config(values: dict, path: Path) -> DetectorConfig:
    known = {f.name for f in fields(DetectorConfig)}
    if unknown := sorted(set(values) ^ known):
        raise ValueError(f"{path}: its configuration and this version's differ in {unknown}")
    as_tuples: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()
    }
    return DetectorConfig(**as_tuples)
