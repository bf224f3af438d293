"""The numbers of the detector: three sizes of one architecture (paper F.2)."""

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class DetectorConfig:
    """A Mask R-CNN with box, mask and corner heads for images with at most one cube."""

    backbone: str
    """"resnet50", "mobilenet_v3" or "tiny"."""
    frozen_norm: bool = False
    """ResNet-50 only: normalisation fixed to what pretrained weights bring, as torchvision does;
    the first two stages are then frozen too."""
    feature_channels: int = 256
    """Of every level of the feature pyramid."""
    anchor_sizes_px: tuple[int, ...] = (32, 64, 128, 256, 512)
    """One per level of the pyramid, from fine to coarse."""
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    box_width: int = 1024
    """Of the two linear layers behind the box pooling."""
    mask_channels: tuple[int, ...] = (256, 256, 256, 256)
    corner_channels: tuple[int, ...] = (512,) * 8
    """Of the convolutions before the corner heatmaps."""
    light_proposals: bool = False
    """One depthwise instead of a full convolution where boxes are proposed."""
    corner_norm: bool = False
    """Batch normalisation in the corner head: learns faster from scratch."""
    corner_levels: tuple[str, ...] = ("0", "1", "2", "3")
    """Pyramid levels that mask and corner heads look at; one level makes a box's scale free."""
    box_padding: float = 0.08
    """Boxes are those of all eight corners, hidden or not, widened by this part of their size on
    each side: a corner outside its box can neither be learnt nor found."""
    proposals_train: int = 200
    proposals_test: int = 50
    rois_train: int = 64
    """Boxes per image the heads learn from; the default of 512 is for many objects."""
    positive_fraction: float = 0.25


PRESETS: dict[str, DetectorConfig] = {
    "paper": DetectorConfig(backbone="resnet50"),
    "laptop": DetectorConfig(
        backbone="mobilenet_v3",
        feature_channels=128,
        anchor_sizes_px=(24, 48, 96, 192),
        box_width=512,
        mask_channels=(128, 128),
        corner_channels=(128,) * 4,
        corner_norm=True,
        corner_levels=("0", "1"),
    ),
    "tiny": DetectorConfig(
        backbone="tiny",
        feature_channels=48,
        anchor_sizes_px=(24, 48, 96, 192),
        anchor_ratios=(1.0,),
        light_proposals=True,
        box_width=128,
        mask_channels=(32, 32),
        corner_channels=(64,) * 5,
        corner_norm=True,
        corner_levels=("0",),
        proposals_train=40,
        proposals_test=20,
        rois_train=6,
        positive_fraction=0.5,
    ),
}
"""Sizes by name: the paper's (about 60 M parameters), one for laptops, and the shipped one."""


def preset(name: str) -> DetectorConfig:
    """A size by name.

    Raises:
        ValueError: If there is none of that name; gives the nearest.
    """
    if name not in PRESETS:
        close = get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(PRESETS)}"
        raise ValueError(f"unknown detector preset '{name}'{hint}")
    return PRESETS[name]
