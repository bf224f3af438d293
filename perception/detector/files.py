"""Detector files: weights, what they were built from, and what they were trained to see."""

import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from perception import camera_checks as checks
from perception.detector.config import DetectorConfig
from perception.detector.network import build_network
from perception.files import required, write_whole
from perception.marked import CUBE, MarkedObject, object_contract, object_of_contract

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
    marked: MarkedObject = CUBE
    """What it was trained to see."""
    pose_factors: tuple[tuple[float, float], ...] = ()
    """Factors on the covariance of whole poses, as `PoseConfig.pose_factors`."""


def save_detector(path: Path, content: DetectorFile) -> None:
    """Write a detector file by one rename.

    Raises:
        ValueError: If a weight is not finite.
    """
    weights = {k: v.detach().cpu().clone() for k, v in content.network.state_dict().items()}
    if bad := _not_finite(weights):
        raise ValueError(f"{path}: weights hold values that are not finite: {', '.join(bad[:3])}")
    write_tensors(
        path,
        {
            "format": FORMAT,
            "contract": object_contract(content.marked),
            "config": asdict(content.config),
            "image_size": list(content.image_size),
            "covariance_factor": content.covariance_factor,
            "pose_factors": [list(pair) for pair in content.pose_factors],
            "training": content.training,
            "weights": weights,
        },
    )


def load_detector(path: Path) -> DetectorFile:
    """Read a detector file without running any code in it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, of another kind, or made for another print.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no detector file at {path}; give another path, or train one: "
            "scripts/train_detector.py"
        )
    content = read_tensors(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no detector file of this project (format {FORMAT!r})")
    names = ("contract", "config", "image_size", "covariance_factor", "training", "weights")
    contract, values, size, factor, training, weights = required(content, names, f"{path}")
    marked = object_of_contract(contract, f"{path}")
    config = _config(values, path)
    network = build_network(config)
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not fit its own configuration: {error}") from error
    if bad := _not_finite(weights):
        raise ValueError(f"{path}: weights hold values that are not finite: {', '.join(bad[:3])}")
    factor = float(checks.numbers(factor, (), f"{path}: covariance_factor"))
    if factor <= 0.0:
        raise ValueError(f"{path}: covariance_factor ({factor}) must be above 0")
    image_size = checks.picture_size(size, f"{path}: image_size")
    pairs = _pose_factors(content.get("pose_factors", []), f"{path}: pose_factors")
    return DetectorFile(network.eval(), config, image_size, factor, training, marked, pairs)


def write_tensors(path: Path, content: object) -> None:
    """`torch.save`, whole."""
    write_whole(path, lambda file: torch.save(content, file))


def read_tensors(path: Path) -> object:
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
        reason = str(error).partition("\n")[0]  # torch adds a page about its safety
        raise ValueError(f"{path} is damaged or of another kind: {reason}") from error


def _not_finite(weights: dict[str, Tensor]) -> list[str]:
    return [name for name, value in weights.items() if not torch.isfinite(value).all()]


def _pose_factors(values: object, where: str) -> tuple[tuple[float, float], ...]:
    """Pairs of a deviation [rad] and a factor, growing; older files have none."""
    if values == []:
        return ()
    if not isinstance(values, list):
        raise ValueError(f"{where} is no list of pairs, but {values!r:.60}")
    pairs = checks.numbers(values, (len(values), 2), where)
    if (pairs <= 0.0).any() or (np.diff(pairs[:, 0]) <= 0.0).any():
        raise ValueError(f"{where} must be above 0, with growing deviations, got {values!r:.60}")
    return tuple((float(at), float(factor)) for at, factor in pairs)


def _config(values: object, path: Path) -> DetectorConfig:
    known = {f.name for f in fields(DetectorConfig)}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: its configuration is no mapping, but {values!r:.60}")
    if unknown := sorted(set(values) ^ known):
        raise ValueError(f"{path}: its configuration and this version's differ in {unknown}")
    as_tuples: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()
    }
    return DetectorConfig(**as_tuples)
