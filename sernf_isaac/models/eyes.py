"""Cameras of an encoder: an image backbone of `vision.py` and a projection to tokens.

A frozen backbone exists once: the policy's encoder owns it, the critics' and their targets' borrow
it. What it makes of an image may be computed before (`VisionConfig.cache`), so that encoders take
either: bytes are images, floats are what a backbone has made of them.
"""

from typing import cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sernf_isaac.models.architecture import VisionConfig
from sernf_isaac.models.vision import Dinov2Tokens, ResNet18Tokens

PUBLISHED = {
    "resnet18": "torchvision's resnet18 (resnet18-f37072fd.pth)",
    "dinov2": "timm's or Meta's DINOv2 of the same variant (dinov2_vitl14_reg4_pretrain.pth)",
}
"""Where pretrained weights come from."""
RESNET_WIDTH = 512


class Borrowed:
    """A module that belongs to somebody else; a deep copy borrows the same."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __deepcopy__(self, memo: dict) -> "Borrowed":
        return self


class Eye(nn.Module):
    """Images (B, 3, h, w) of bytes, or their features (B, rows, columns, W), to a grid of tokens.

    Args:
        backbone: Images to features; frozen if it is borrowed.
        projector: Features to tokens (B, rows, columns, D).
    """

    def __init__(self, backbone: nn.Module | Borrowed, projector: nn.Module) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, projector

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, h, w) of bytes to features (B, rows, columns, W)."""
        borrowed = isinstance(self.backbone, Borrowed)
        backbone = self.backbone.module if borrowed else self.backbone
        return cast("nn.Module", backbone)(images)

    def forward(self, images: Tensor) -> Tensor:
        """Images or features to (B, rows, columns, D)."""
        known = images if images.is_floating_point() else self.features(images)
        return self.projector(known.to(_type_of(self.projector)))


def build_eyes(
    vision: VisionConfig, token_dim: int, lender: nn.ModuleDict | None = None
) -> dict[str, nn.Module]:
    """An `Eye` for all cameras together or for each, by the names of `eye_of`.

    Args:
        vision: What they are; without cameras there are none.
        token_dim: D.
        lender: Eyes of the policy; frozen backbones are borrowed from there.

    Raises:
        FileNotFoundError: If there is no file of weights where there should be one.
        ValueError: If that file does not fit.
    """
    eyes: dict[str, nn.Module] = {}
    for name in dict.fromkeys(eye_of(vision).values()):
        owner = cast("Eye", lender[name]) if lender and vision.tuning == "frozen" else None
        backbone = owner.backbone if owner else _backbone(vision)
        width = _width_of(cast("nn.Module", backbone))
        plain = vision.backbone == "resnet18" and width == token_dim  # paper: no projector there
        projector = nn.Identity() if plain else nn.Linear(width, token_dim)
        eyes[name] = Eye(Borrowed(cast("nn.Module", backbone)) if owner else backbone, projector)
    return eyes


def eye_of(vision: VisionConfig) -> dict[str, str]:
    """Which eye reads which camera."""
    return {camera: "shared" if vision.shared else camera for camera in vision.cameras}


def untrained_warning(vision: VisionConfig) -> str | None:
    """What to tell before training on eyes that have seen nothing yet; None if all is well."""
    if not vision.cameras or vision.weights is not None:
        return None
    frozen = " and stay as they are" if vision.tuning == "frozen" else ""
    return (
        f"the cameras {sorted(vision.cameras)} are read by a {vision.backbone} of random weights, "
        f"which start untrained{frozen}; for pretrained ones put the state dict of "
        f"{PUBLISHED[vision.backbone]} in a file and give vision.weights=FILE"
    )


@torch.no_grad()
def compute_features(eye: nn.Module, images: Tensor, batch_size: int = 32) -> Tensor:
    """Features (T, rows, columns, W), of half precision, of images (T, 3, h, w) of bytes."""
    device = next(eye.parameters()).device
    eye.eval()
    bar = tqdm(images.split(batch_size), desc="features", unit="batch", leave=False)
    return torch.cat([cast("Eye", eye).features(part.to(device)).half().cpu() for part in bar])


def _backbone(vision: VisionConfig) -> nn.Module:
    if vision.backbone == "resnet18":
        return ResNet18Tokens(vision.weights, tuning=vision.tuning)
    return Dinov2Tokens(
        vision.weights, token_dim=None, tuning=vision.tuning, variant=vision.variant
    )


def _width_of(backbone: nn.Module) -> int:
    return backbone.backbone.embed_dim if isinstance(backbone, Dinov2Tokens) else RESNET_WIDTH


def _type_of(projector: nn.Module) -> torch.dtype:
    """Of the projector's weights; cached features are of half precision."""
    weight = next(projector.parameters(), None)
    return torch.get_default_dtype() if weight is None else weight.dtype
