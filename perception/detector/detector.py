"""The detector as the tracker sees it: an image in, corners out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.roi_heads import paste_masks_in_image

from perception.detector.config import DetectorConfig
from perception.detector.core import TrackedCore
from perception.detector.heatmaps import measure_corners
from perception.detector.network import heads_of
from perception.pose.solver import Corners

Array = np.ndarray


@dataclass(frozen=True)
class Detection:
    """The cube in one image."""

    score: float
    """Probability that the box holds the cube."""
    box: Array
    """(4,) x0, y0, x1, y1 of all eight corners with padding, continuous pixels."""
    corners: Corners
    mask: Array
    """(M, M) probability over the box that a pixel shows the cube."""


class CornerDetector:
    """Runs a trained network on single images.

    Args:
        network: Trained weights; is put into evaluation mode.
        config: What it was built from.
        device: Where it runs.
        min_score: Boxes below are no cube.
        min_mass: Places of a corner that hold less probability are not reported.
        candidates: At most so many boxes are looked into.
    """

    def __init__(
        self,
        network: MaskRCNN,
        config: DetectorConfig,
        device: str | torch.device = "cpu",
        *,
        min_score: float = 0.5,
        min_mass: float = 0.05,
        candidates: int = 3,
    ) -> None:
        self.network = network.to(device).eval()
        self.config, self.device = config, torch.device(device)
        self.min_score, self.min_mass = min_score, min_mass
        heads_of(self.network).detections_per_img = candidates
        self.core = TrackedCore(self.network).to(device).eval()

    def detect(self, image: Array) -> Detection | None:
        """Look for the cube in a whole image (h, w, 3), uint8 RGB; None if there is none."""
        return next(iter(self.detect_all(image)), None)

    @torch.inference_mode()
    def detect_all(self, image: Array) -> list[Detection]:
        """All that may be the cube in a whole image (h, w, 3), uint8 RGB, the likeliest first."""
        pixels = self._to_tensor(image)
        batch, _ = self.network.transform([pixels])
        features = self.network.backbone(batch.tensors)
        proposals, _ = self.network.rpn(batch, features)
        heads, sizes = heads_of(self.network), batch.image_sizes
        patches = heads.box_head(heads.box_roi_pool(features, proposals, sizes))
        class_logits, correction = heads.box_predictor(patches)
        boxes, scores, _ = heads.postprocess_detections(class_logits, correction, proposals, sizes)
        likely = scores[0] >= self.min_score
        if not likely.any():
            return []
        boxes, scores = [boxes[0][likely]], scores[0][likely]
        patches = heads.keypoint_head(heads.keypoint_roi_pool(features, boxes, sizes))
        heatmaps = heads.keypoint_predictor(patches)
        masks = heads.mask_head(heads.mask_roi_pool(features, boxes, sizes))
        masks = heads.mask_predictor(masks)[:, 1]
        each = [slice(i, i + 1) for i in range(len(scores))]
        return [self._detection(scores[i], boxes[0][i], heatmaps[i], masks[i]) for i in each]

    @torch.inference_mode()
    def track(self, image: Array, box: Array) -> Detection | None:
        """Measure the cube near a known box (4,); faster than `detect`, None if it is not there.

        Args:
            image: (h, w, 3), uint8 RGB.
            box: Where the cube is expected, as in `Detection.box`.
        """
        expected = torch.as_tensor(box, dtype=torch.float32, device=self.device)[None]
        found = self.core(self._to_tensor(image)[None], expected)
        if found[0][0] < self.min_score:
            return None
        return self._detection(*found)

    def _to_tensor(self, image: Array) -> Tensor:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an image must be (h, w, 3) uint8 RGB, got {image.shape} {image.dtype}"
            )
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        return pixels.permute(2, 0, 1).float() / 255.0

    def _detection(self, score: Tensor, box: Tensor, heatmaps: Tensor, mask: Tensor) -> Detection:
        measured = measure_corners(heatmaps, box)
        uv, covariance, mass = (
            values[0].double().cpu().numpy()
            for values in (measured.uv, measured.covariance, measured.mass)
        )
        uv[mass < self.min_mass] = np.nan
        return Detection(
            score=float(score[0]),
            box=box[0].cpu().numpy(),
            corners=Corners(uv, covariance, mass),
            mask=mask[0].sigmoid().cpu().numpy(),
        )


def paste_mask(detection: Detection, height: int, width: int) -> Array:
    """The detection's mask in the image (h, w), bool."""
    mask = torch.from_numpy(detection.mask)[None, None]
    box = torch.from_numpy(detection.box)[None]
    return (paste_masks_in_image(mask, box, (height, width))[0, 0] > 0.5).numpy()


def padded_box(corners_px: Array, padding: float) -> Array:
    """(4,) rectangle around corners (8, 2), widened by a part of its size on each side."""
    low, high = corners_px.min(axis=0), corners_px.max(axis=0)
    margin = padding * (high - low)
    return np.concatenate([low - margin, high + margin])
