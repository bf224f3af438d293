"""The part of the network that runs while the cube is tracked: one image and one box in, static.

No proposals, no suppression, no loops: it can be exported, compiled and captured in a CUDA graph.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name
from torchvision.models.detection import MaskRCNN
from torchvision.ops import RoIAlign

from perception.detector.network import BOX_POOL, CORNER_POOL, heads_of

STRIDE_FINE = 4
"""Of pyramid level "0", which torchvision takes too for boxes below 112 px."""
MULTIPLE = 32
"""Images are padded to multiples of this, as in training."""


class TrackedCore(nn.Module):
    """Everything but the proposals, for a box that is known from earlier images."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = network
        self._box_pool = RoIAlign(BOX_POOL, 1.0 / STRIDE_FINE, sampling_ratio=2)
        self._corner_pool = RoIAlign(CORNER_POOL, 1.0 / STRIDE_FINE, sampling_ratio=2)
        for name, values in (
            ("mean", network.transform.image_mean),
            ("std", network.transform.image_std),
        ):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, image: Tensor, box: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is in the box.

        Args:
            image: (1, 3, h, w), RGB in [0, 1].
            box: (1, 4) x0, y0, x1, y1 in continuous pixels.

        Returns:
            Probability that it is the cube (1,), the corrected box (1, 4), corner heatmaps
            (1, 8, S, S) and mask (1, M, M) over the corrected box, both as logits.
        """
        height, width = image.shape[-2:]
        normal = (image - self.mean) / self.std
        padded = F.pad(normal, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        features = self.network.backbone(padded)["0"]
        heads = heads_of(self.network)
        patch = self._box_pool(features, _indexed(box))
        class_logits, correction = heads.box_predictor(heads.box_head(patch))
        score = class_logits.softmax(dim=1)[:, 1]
        corrected = _apply(correction[:, 4:], box, tuple(heads.box_coder.weights))
        columns = corrected[:, 0::2].clamp(0, width)
        rows = corrected[:, 1::2].clamp(0, height)
        corrected = torch.stack([columns, rows], dim=2).flatten(1)
        patch = self._corner_pool(features, _indexed(corrected))
        heatmaps = heads.keypoint_predictor(heads.keypoint_head(patch))
        mask = heads.mask_predictor(heads.mask_head(patch))[:, 1]
        return score, corrected, heatmaps, mask


def _indexed(box: Tensor) -> Tensor:
    """The box (1, 4) with the number of its image (1, 5)."""
    return torch.cat([torch.zeros_like(box[:, :1]), box], dim=1)


def _apply(correction: Tensor, box: Tensor, weights: tuple[float, ...]) -> Tensor:
    """A box moved and scaled as the box head says; torchvision's coder without its lists."""
    size = box[:, 2:] - box[:, :2]
    centre = box[:, :2] + 0.5 * size
    dx, dy, dw, dh = correction.split(1, dim=1)
    by_x, by_y, by_width, by_height = weights
    centre = centre + torch.cat([dx / by_x, dy / by_y], dim=1) * size
    growth = torch.cat([dw / by_width, dh / by_height], dim=1)
    size = size * growth.clamp(max=1.0).exp()  # a tracked box is never off by more than that
    return torch.cat([centre - 0.5 * size, centre + 0.5 * size], dim=1)
