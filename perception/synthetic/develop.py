"""From the light that a lens lets in to the picture that a camera gives: what a sensor does."""

import cv2
import numpy as np

from perception.synthetic.room import Motion, Sensor
from perception.tone import tone_curve

READ_NOISE = 4.0
"""Electrons of noise without any light."""
METERED = 0.6
"""Linear brightness that the meter gives to what it looks at."""


def develop(
    light: np.ndarray, metered: np.ndarray, sensor: Sensor, rng: np.random.Generator
) -> np.ndarray:
    """Exposure, white balance, noise, tone curve and compression.

    Args:
        light: (H, W, 3) linear RGB, from 0 without a bound.
        metered: (H, W) bool: what the exposure is set for.
        sensor: The camera's.
        rng: Of the noise.

    Returns:
        (H, W, 3) uint8.
    """
    bright = np.quantile(light[metered].mean(axis=1), 0.8) if metered.any() else light.mean()
    exposed = light * (METERED * 2.0**sensor.exposure_stops / max(float(bright), 1e-6))
    electrons = np.clip(exposed, 0.0, 1.5) * sensor.electrons
    noise = rng.standard_normal(light.shape) * np.sqrt(electrons + READ_NOISE**2)
    measured = (electrons + noise) / sensor.electrons * np.array(sensor.gains)
    picture = np.round(255.0 * tone_curve(measured)).astype(np.uint8)
    return compressed(picture, sensor.jpeg)


def compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB after a JPEG of this quality."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, code = cv2.imencode(".jpg", picture[:, :, ::-1], flags)
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert decoded is not None, "it was encoded just now"
    return np.ascontiguousarray(decoded[:, :, ::-1])


def exposure_times(motion: Motion, count: int) -> np.ndarray:
    """Times (count,) [s] to draw a scene at, over all rows' exposures; 0 is the middle."""
    span = motion.exposure_s + motion.readout_s
    return ((np.arange(count) + 0.5) / count - 0.5) * span


def rolling_shutter(slices: np.ndarray, motion: Motion) -> np.ndarray:
    """One picture (H, W, 3) out of drawings (S, H, W, 3) at `exposure_times`.

    Each row is the mean over its own exposure; the middle row's is around time 0.
    """
    count, height = slices.shape[:2]
    span = motion.exposure_s + motion.readout_s
    edges = (np.arange(count + 1) / count - 0.5) * span
    middle = ((np.arange(height) + 0.5) / height - 0.5) * motion.readout_s
    opens, closes = middle - motion.exposure_s / 2, middle + motion.exposure_s / 2
    overlap = np.minimum(closes, edges[1:, None]) - np.maximum(opens, edges[:-1, None])
    weight = np.clip(overlap, 0.0, None)  # (S, H)
    weight /= weight.sum(axis=0)
    return np.einsum("sh,shwc->hwc", weight, slices)
