"""Starts a network from published weights or from one of our own files."""

from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights
from torchvision.models._api import WeightsEnum
from torchvision.models.detection import (
    KeypointRCNN_ResNet50_FPN_Weights,
    MaskRCNN,
    MaskRCNN_ResNet50_FPN_Weights,
)

from perception.detector.files import load_detector


def load_pretrained(network: MaskRCNN, source: str) -> list[str]:
    """Take over whatever fits by name and shape; returns the names of the tensors that did.

    Args:
        network: Is changed in place.
        source: "none", "imagenet" (backbone), "coco" (backbone and heads), or a detector file.

    Raises:
        FileNotFoundError: If the weights are not on this machine and cannot be fetched; says where
            to put them.
        ValueError: If the network is no ResNet-50, which the published weights are for, or there is
            no such file.
    """
    if source == "none":
        return []
    if source == "imagenet":
        return _take(network, _prefixed(_published(ResNet50_Weights.IMAGENET1K_V1)))
    if source == "coco":
        masks = _published(MaskRCNN_ResNet50_FPN_Weights.COCO_V1)
        people = _published(KeypointRCNN_ResNet50_FPN_Weights.COCO_V1)
        corner_head = {k: v for k, v in people.items() if k.startswith("roi_heads.keypoint_head")}
        return _take(network, masks | corner_head)
    if not (path := Path(source)).is_file():
        raise ValueError(
            f"weights '{source}' is neither none, imagenet or coco nor a file of train_detector.py"
        )
    return _take(network, load_detector(path).network.state_dict())


def _take(network: MaskRCNN, weights: dict[str, Tensor]) -> list[str]:
    mine = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in mine and mine[k].shape == v.shape}
    if not any(name.startswith("backbone.body") for name in fitting):
        raise ValueError(
            "these weights do not fit the backbone; 'imagenet' and 'coco' are for preset=paper"
        )
    network.load_state_dict(mine | fitting)
    return sorted(fitting)


def _published(weights: WeightsEnum) -> dict[str, Tensor]:
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:  # RuntimeError: a wrong checksum
        name = weights.url.rpartition("/")[2]
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise FileNotFoundError(
            f"cannot fetch {weights.url} ({error}); on a machine with a network, download it and "
            f"put it at {folder / name}, or pass weights=none"
        ) from error


def _prefixed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of a classifier's weights as they are inside the pyramid."""
    return {f"backbone.body.{name}": value for name, value in weights.items()}
