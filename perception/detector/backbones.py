"""From images to a pyramid of features, finest level first."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large, resnet50
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import Conv2dNormActivation
from torchvision.ops.misc import FrozenBatchNorm2d

from perception.detector.config import DetectorConfig


def build_backbone(config: DetectorConfig) -> BackboneWithFPN:
    """The pyramid of a size; levels are named "0", "1", ... from fine to coarse.

    Raises:
        ValueError: If there is no backbone of that name.
    """
    builders: dict[str, Callable[[DetectorConfig], BackboneWithFPN]] = {
        "resnet50": _resnet50,
        "mobilenet_v3": _mobilenet_v3,
        "tiny": _tiny,
    }
    if config.backbone not in builders:
        raise ValueError(f"unknown backbone '{config.backbone}'; known: {', '.join(builders)}")
    return builders[config.backbone](config)


def _resnet50(config: DetectorConfig) -> BackboneWithFPN:
    body = resnet50(norm_layer=FrozenBatchNorm2d if config.frozen_norm else nn.BatchNorm2d)
    if config.frozen_norm:  # what torchvision freezes with pretrained weights
        body.conv1.requires_grad_(False)
        body.layer1.requires_grad_(False)
    layers = {f"layer{stage + 1}": str(stage) for stage in range(4)}
    return BackboneWithFPN(body, layers, [256, 512, 1024, 2048], config.feature_channels)


def _mobilenet_v3(config: DetectorConfig) -> BackboneWithFPN:
    """Strides 4, 8 and 16: torchvision's own detector begins at 16, a third of the cube's width."""
    features = mobilenet_v3_large().features[:13]
    layers, channels = {"3": "0", "6": "1", "12": "2"}, [24, 40, 112]
    return BackboneWithFPN(features, layers, channels, config.feature_channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            Conv2dNormActivation(channels, channels),
            Conv2dNormActivation(channels, channels, activation_layer=None),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return self.activation(x + self.inner(x))


def _tiny(config: DetectorConfig) -> BackboneWithFPN:
    """Residual blocks at strides 4, 8 and 16; about half a million parameters."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            Conv2dNormActivation(3, 16, stride=2), Conv2dNormActivation(16, 32, stride=2)
        ),
        fine=ResidualBlock(32),
        middle=nn.Sequential(Conv2dNormActivation(32, 64, stride=2), ResidualBlock(64)),
        coarse=nn.Sequential(Conv2dNormActivation(64, 128, stride=2), ResidualBlock(128)),
    )
    levels = {"fine": "0", "middle": "1", "coarse": "2"}
    return BackboneWithFPN(nn.Sequential(layers), levels, [32, 64, 128], config.feature_channels)
