"""Errors on purpose: a detector that now and then takes the cube's faces for others."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from perception.cube import cube_corners
from perception.detector.detector import Detection
from perception.tracking.tracker import Detector

Array = np.ndarray


class MistakenDetector:
    """Relabels the corners of some images as if the cube had been turned onto another face.

    The corners still fit a cube, at the right place and without any sign of doubt, so the solver
    cannot tell: the hardest outlier for whoever follows the poses, off by at least a quarter turn.

    Args:
        detector: Looks at the images.
        rate: Part of the detections that are relabelled.
        rng: Decides which, and how.
    """

    def __init__(self, detector: Detector, rate: float, rng: np.random.Generator) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"a rate of outliers is between 0 and 1, not {rate}")
        self._detector, self._rate, self._rng = detector, rate, rng
        self._turns = wrong_labels()
        self.mistakes = 0
        """Detections relabelled so far."""

    def detect_all(self, image: Array) -> list[Detection]:
        """As the detector, or mistaken."""
        return [self._mistake(detection) for detection in self._detector.detect_all(image)]

    def track(self, image: Array, box: Array) -> Detection | None:
        """As the detector, or mistaken."""
        detection = self._detector.track(image, box)
        return None if detection is None else self._mistake(detection)

    def _mistake(self, detection: Detection) -> Detection:
        if self._rng.random() >= self._rate:
            return detection
        self.mistakes += 1
        turn = self._turns[self._rng.integers(len(self._turns))]
        seen = detection.corners
        wrong = replace(
            seen, uv=seen.uv[turn], covariance=seen.covariance[turn], mass=seen.mass[turn]
        )
        return replace(detection, corners=wrong)


def wrong_labels() -> Array:
    """(23, 8) orders of the corners that are a turn of the cube onto itself, but not the right
    one."""
    corners = cube_corners()
    turned = Rotation.create_group("O").as_matrix() @ corners.T  # (24, 3, 8)
    apart = np.linalg.norm(turned[:, :, :, None] - corners.T[:, None, :], axis=1)
    orders = apart.argmin(axis=2)
    return orders[(orders != np.arange(len(corners))).any(axis=1)]
