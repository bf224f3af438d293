"""A detector that knows the truth, and frames that carry it."""

import numpy as np
from drawn_cube import camera_for
from scipy.spatial.transform import Rotation

from perception.cameras.frames import Frame
from perception.cube import cube_corners
from perception.detector.detector import Detection, padded_box
from perception.geometry import project, transform
from perception.pose.solver import Corners
from perception.tracking.plausible import PlausibleConfig
from perception.tracking.tracker import TrackerConfig

RATE_HZ = 30.0
SPIN_RAD_S = 2.4
FRAMES = 66
UNSEEN = PlausibleConfig(min_glyphs=None, min_colours=None)
"""For frames that carry marks instead of a cube."""
SMALL = TrackerConfig(detect_size=(60, 80), track_size=(40, 48), plausible=UNSEEN)
CAMERA = camera_for(160, 120)


def truth(time_s):
    """A cube that spins about the line of sight."""
    turn = Rotation.from_rotvec([0.3, 0.2, 0.0]) * Rotation.from_rotvec([0, 0, SPIN_RAD_S * time_s])
    return transform(np.array([0.01 * np.sin(time_s), 0.0, 0.28]), turn.as_quat())


class KnowingDetector:
    """Measures where the cube is in the view it is given, with noise; the view is all it gets.

    The frame's image carries its time in its first pixels; the camera of the view is worked out
    from the view's place, which the tracker must therefore get right.
    """

    def __init__(self, rng, sigma_px=0.3):
        self.rng, self.sigma_px = rng, sigma_px
        self.view = self.blind = None
        self.asked = []

    def detect_all(self, image):
        found = self._measure(image, "detect")
        return [] if found is None else [found]

    def track(self, image, box):
        self.asked.append(box)
        return self._measure(image, "track")

    def _measure(self, image, kind):
        if self.blind:
            return None
        uv = self.view(image, kind)
        uv = uv + self.sigma_px * self.rng.normal(size=(8, 2))
        covariance = np.tile(self.sigma_px**2 * np.eye(2), (8, 1, 1))
        return Detection(
            0.9, padded_box(uv, 0.08), Corners.certain(uv, covariance), np.zeros((28, 28))
        )


GRID = np.stack(np.meshgrid(np.arange(160), np.arange(120)), axis=-1)


def marked_frame(time_s):
    """Every pixel says where it is in the frame, and, in blue, when that was."""
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    image[..., :2] = GRID
    image[..., 2] = round(time_s * RATE_HZ) % 256
    return Frame(image, CAMERA, time_s)


def located(image):
    """Corners in a view of a marked frame, from the marks alone."""
    height, width = image.shape[:2]
    time_s = float(np.median(image[..., 2])) / RATE_HZ
    uv, _ = project(cube_corners(), CAMERA, truth(time_s))
    columns, rows = image[height // 2, :, 0].astype(float), image[:, width // 2, 1].astype(float)
    # Marks are at pixel centres; averaging them over a view's pixel keeps that true.
    x = np.polyval(np.polyfit(columns + 0.5, np.arange(width) + 0.5, 1), uv[:, 0])
    y = np.polyval(np.polyfit(rows + 0.5, np.arange(height) + 0.5, 1), uv[:, 1])
    return np.stack([x, y], axis=1)
