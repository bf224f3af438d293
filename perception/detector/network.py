"""Puts the heads together: torchvision's Mask R-CNN with a corner head beside box and mask."""

from typing import Protocol, cast

from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import Conv2dNormActivation, MultiScaleRoIAlign

from perception.cube import NUM_CORNERS
from perception.detector.backbones import build_backbone
from perception.detector.config import DetectorConfig

IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, for which pretrained weights were made."""
NUM_CLASSES = 2
"""Background and cube."""
BOX_POOL, CORNER_POOL = 7, 14
"""Side of the feature patches cut out per box."""


class UnscaledImages(GeneralizedRCNNTransform):
    """Normalises and batches images as they are.

    torchvision's own scales every image to at least 800 pixels: eleven times the area of the
    paper's 240x320, and other pixels than those the labels are in.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(min_size=0, max_size=0, image_mean=list(mean), image_std=list(std))

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Leaves both alone."""
        return image, target


def build_network(config: DetectorConfig) -> MaskRCNN:
    """A network with fresh weights.

    Images are taken as they are, without rescaling to a standard size; the caller chooses it.
    """
    channels = config.feature_channels
    levels = list(config.corner_levels)
    backbone = build_backbone(config)
    anchors = AnchorGenerator(
        sizes=tuple((size,) for size in config.anchor_sizes_px),
        aspect_ratios=(config.anchor_ratios,) * len(config.anchor_sizes_px),
    )
    num_anchors = len(config.anchor_ratios)
    network = MaskRCNN(
        backbone,
        rpn_anchor_generator=anchors,
        rpn_head=_proposal_head(channels, num_anchors, light=config.light_proposals),
        rpn_pre_nms_top_n_train=5 * config.proposals_train // 2,
        rpn_post_nms_top_n_train=config.proposals_train,
        rpn_pre_nms_top_n_test=2 * config.proposals_test,
        rpn_post_nms_top_n_test=config.proposals_test,
        box_roi_pool=MultiScaleRoIAlign(levels, output_size=BOX_POOL, sampling_ratio=2),
        box_head=TwoMLPHead(channels * BOX_POOL**2, config.box_width),
        box_predictor=FastRCNNPredictor(config.box_width, NUM_CLASSES),
        box_detections_per_img=1,
        box_batch_size_per_image=config.rois_train,
        box_positive_fraction=config.positive_fraction,
        mask_roi_pool=MultiScaleRoIAlign(levels, output_size=CORNER_POOL, sampling_ratio=2),
        mask_head=MaskRCNNHeads(channels, config.mask_channels, dilation=1),
        mask_predictor=MaskRCNNPredictor(
            config.mask_channels[-1], config.mask_channels[-1], NUM_CLASSES
        ),
    )
    network.transform = UnscaledImages(IMAGE_MEAN, IMAGE_STD)
    heads = heads_of(network)
    heads.keypoint_roi_pool = MultiScaleRoIAlign(levels, output_size=CORNER_POOL, sampling_ratio=2)
    heads.keypoint_head = _corner_head(config)
    heads.keypoint_predictor = KeypointRCNNPredictor(config.corner_channels[-1], NUM_CORNERS)
    return network


class Heads(Protocol):
    """What torchvision keeps behind the boxes, with types, which it does not declare."""

    box_coder: BoxCoder
    box_roi_pool: nn.Module
    box_head: nn.Module
    box_predictor: nn.Module
    mask_roi_pool: nn.Module
    mask_head: nn.Module
    mask_predictor: nn.Module
    keypoint_roi_pool: nn.Module
    keypoint_head: nn.Module
    keypoint_predictor: nn.Module
    detections_per_img: int
    """Boxes that are kept of an image, the likeliest first."""

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Boxes, scores and labels per image."""
        ...


def heads_of(network: MaskRCNN) -> Heads:
    """The heads of one of our networks."""
    return cast("Heads", network.roi_heads)


def count_parameters(network: nn.Module) -> int:
    """Numbers that make up a network, trained or frozen."""
    return sum(parameter.numel() for parameter in network.parameters())


def _corner_head(config: DetectorConfig) -> nn.Module:
    if not config.corner_norm:
        return KeypointRCNNHeads(config.feature_channels, config.corner_channels)
    layers, channels = [], config.feature_channels
    for width in config.corner_channels:
        layers.append(Conv2dNormActivation(channels, width))
        channels = width
    return nn.Sequential(*layers)


def _proposal_head(channels: int, num_anchors: int, *, light: bool) -> RPNHead:
    head = RPNHead(channels, num_anchors)
    if light:
        head.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.ReLU(inplace=True)
        )
    return head
