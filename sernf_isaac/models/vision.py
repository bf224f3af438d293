"""Image backbones: camera images to grids of tokens (paper App. G, visual encoders).

They need the optional extra `vision`. Pretrained weights are read from a file the user names;
nothing is downloaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TUNING = ("frozen", "norm", "all")
NORMS = (nn.LayerNorm, nn.BatchNorm2d)


class ResNet18Tokens(nn.Module):
    """ResNet-18 up to its last stage: images (B, 3, h, w) to (B, h / 32, w / 32, 512).

    Args:
        weights: File of torchvision's `resnet18` state dict, or None to start untrained.
        tuning: Parameters that train: none ("frozen"), those of the norms ("norm"), or "all".
    """

    def __init__(self, weights: Path | str | None = None, *, tuning: str = "all") -> None:
        super().__init__()
        from torchvision.models import resnet18  # optional extra

        network = resnet18()
        if weights is not None:
            _fill(network, _read_weights(weights, "torchvision's resnet18"), weights)
        self.backbone = nn.Sequential(*list(network.children())[:-2])  # neither pooling nor fc
        _set_tuning(self.backbone, tuning)
        self.tuning, self.scale = tuning, ImageNetScale()

    def train(self, mode: bool = True) -> "ResNet18Tokens":
        """As usual, but a frozen backbone keeps its batch statistics."""
        super().train(mode)
        self.backbone.train(mode and self.tuning != "frozen")
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w), bytes or floats in [0, 1], to (B, h / 32, w / 32, 512)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tuning != "frozen"):
            return self.backbone(self.scale(images)).movedim(1, -1)


class Dinov2Tokens(nn.Module):
    """DINOv2 with registers and a projector: images (B, 3, h, w) to (B, 16, 16, D).

    Images are resized to 224 x 224; patch tokens are those after the penultimate block. As the
    parameter count of the paper implies, there is no LayerScale: published weights with it are
    folded into the layer before, which changes nothing.

    Args:
        weights: File of timm's or Meta's published state dict (ViT-L/14: timm's
            `vit_large_patch14_reg4_dinov2.lvd142m`, Meta's `dinov2_vitl14_reg4_pretrain.pth`), or
            None to start untrained.
        token_dim: D; None: without the projector, patch tokens have the backbone's width.
        tuning: Parameters of the backbone that train: none ("frozen"), those of the norms ("norm"),
            or "all". The projector always does.
        variant: timm's name of the network.
    """

    IMAGE_SIZE = 224

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        token_dim: int | None = 512,
        tuning: str = "frozen",
        variant: str = "vit_large_patch14_reg4_dinov2",
    ) -> None:
        super().__init__()
        import timm  # optional extra

        network = timm.create_model(
            variant, img_size=self.IMAGE_SIZE, init_values=0, no_embed_class=False, num_classes=0
        )
        self.backbone = cast("VisionTransformer", network)
        if weights is not None:
            state = _without_layer_scale(_timm_names(_read_weights(weights, f"timm's {variant}")))
            _fill(self.backbone, _with_positions(state, self.backbone), weights)
        width = self.backbone.embed_dim
        self.projector = nn.Identity() if token_dim is None else nn.Linear(width, token_dim)
        _set_tuning(self.backbone, tuning)
        self.tuning, self.scale = tuning, ImageNetScale()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w), bytes or floats in [0, 1], to (B, 16, 16, D)."""
        images = self.scale(images)
        size = (self.IMAGE_SIZE, self.IMAGE_SIZE)
        if images.shape[-2:] != size:
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        penultimate = len(list(self.backbone.blocks.children())) - 2
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tuning != "frozen"):
            found = self.backbone.forward_intermediates(
                images,
                indices=[penultimate],
                stop_early=True,
                output_fmt="NLC",
                intermediates_only=True,
            )
        (patches,) = cast("list[Tensor]", found)  # (B, rows x columns, width)
        return self.projector(patches).unflatten(1, self.backbone.patch_embed.grid_size)


class ImageNetScale(nn.Module):
    """Bytes or floats in [0, 1] to ImageNet's mean 0 and deviation 1, (B, 3, h, w)."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """In the type of the images, or single precision for bytes.

        Raises:
            ValueError: If images have another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (B, 3, h, w), not of shape {tuple(images.shape)}")
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return (images - self.mean.to(images.dtype)) / self.std.to(images.dtype)


def _set_tuning(backbone: nn.Module, tuning: str) -> None:
    if tuning not in TUNING:
        raise ValueError(f"tuning must be one of {TUNING}, not {tuning!r}")
    for module in backbone.modules():
        trains = tuning == "all" or (tuning == "norm" and isinstance(module, NORMS))
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(trains)


def _read_weights(path: Path | str, content: str) -> dict[str, Tensor]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no backbone weights at {path}; put the state dict of {content} there (.pth, .pt or "
            ".safetensors), or pass weights=None to start untrained"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # comes with timm

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can fail in any way
        raise ValueError(f"{path} is damaged or no state dict of {content}: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} is no state dict of {content}: it must map names to tensors")
    return state


def _fill(module: nn.Module, state: dict[str, Tensor], path: Path | str) -> None:
    """Copy a state dict into a module, apart from a classifier that the module does not use."""
    expected = {n: v for n, v in module.state_dict().items() if not n.startswith("fc.")}
    state = {n: v for n, v in state.items() if not n.startswith(("fc.", "head."))}
    problems = [
        f"lacks {n} {tuple(v.shape)}"
        for n, v in expected.items()
        if n not in state and not n.endswith("num_batches_tracked")  # older files lack these
    ]
    problems += [f"has unknown {name}" for name in state if name not in expected]
    problems += [
        f"has {n} of shape {tuple(state[n].shape)}, expected {tuple(v.shape)}"
        for n, v in expected.items()
        if n in state and state[n].shape != v.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"{path} does not fit: it {', '.join(problems[:5])}{more}")
    module.load_state_dict(state, strict=False)


def _timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Meta's names to timm's; there, the class token has a position of its own."""
    if not {"register_tokens", "cls_token", "pos_embed"} <= state.keys():
        return state
    state = {name: value for name, value in state.items() if name != "mask_token"}
    state["reg_token"] = state.pop("register_tokens")
    state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
    state["pos_embed"] = state["pos_embed"][:, 1:]
    return state


def _without_layer_scale(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """gamma * (W x + b) = (gamma W) x + gamma b."""
    folded = {name: value for name, value in state.items() if not name.endswith(".gamma")}
    for name in state.keys() - folded.keys():
        block, _, scale = name.removesuffix(".gamma").rpartition(".")
        layer = f"{block}.{'attn.proj' if scale == 'ls1' else 'mlp.fc2'}"
        if f"{layer}.weight" in state and f"{layer}.bias" in state:
            folded[f"{layer}.weight"] = state[name][:, None] * state[f"{layer}.weight"]
            folded[f"{layer}.bias"] = state[name] * state[f"{layer}.bias"]
    return folded


def _with_positions(state: dict[str, Tensor], backbone: "VisionTransformer") -> dict[str, Tensor]:
    """Positions of patches only, for another image size, to ours: zeros for the other tokens."""
    positions, ours = state.get("pos_embed"), backbone.state_dict()["pos_embed"]
    if positions is None or positions.shape == ours.shape:
        return state
    side = round(positions.shape[1] ** 0.5)
    if positions.ndim != 3 or side**2 != positions.shape[1]:
        return state  # `_fill` tells the shapes
    square = positions.unflatten(1, (side, side)).movedim(-1, 1)
    grid = functional.interpolate(  # as timm does
        square, backbone.patch_embed.grid_size, mode="bicubic", antialias=True
    )
    patches = grid.flatten(2).movedim(1, -1)
    others = patches.new_zeros(1, ours.shape[1] - patches.shape[1], patches.shape[2])
    return state | {"pos_embed": torch.cat([others, patches], dim=1)}
