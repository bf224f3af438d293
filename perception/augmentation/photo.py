"""What lighting and camera do to colours and sharpness; no label changes."""

import cv2
import numpy as np

from perception.augmentation.config import PhotoConfig
from perception.tone import to_linear, tone_curve


def photograph(config: PhotoConfig, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 as another camera in another light might have taken it."""
    if rng.random() < config.jitter_probability:
        image = jitter_colours(config, image, rng)
    if config.white_balance_probability > 0.0 and rng.random() < config.white_balance_probability:
        low, high = np.log(config.white_balance)
        red, blue = np.exp(rng.uniform(low, high, 2))
        image = white_balanced(image, (red, 1.0, blue))
    if rng.random() < config.motion_probability:
        length, angle = rng.uniform(*config.motion_px), rng.uniform(0.0, np.pi)
        image = cv2.filter2D(
            image, -1, motion_kernel(length, angle), borderType=cv2.BORDER_REPLICATE
        )
    if rng.random() < config.blur_probability:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(*config.blur_px))
    if rng.random() < config.noise_probability:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(*config.noise)
        image = np.clip(image + noise, 0.0, 255.0).astype(np.uint8)
    return image


def jitter_colours(config: PhotoConfig, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Saturation and hue, then contrast and brightness; all of it one linear map of RGB."""
    turn = np.radians(rng.uniform(-config.hue_deg, config.hue_deg))
    saturation, contrast, brightness = (
        rng.uniform(*bounds) for bounds in (config.saturation, config.contrast, config.brightness)
    )
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    cosine, sine = saturation * np.cos(turn), saturation * np.sin(turn)
    change = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = contrast * brightness * np.linalg.inv(to_yiq) @ change @ to_yiq
    offset = brightness * (1.0 - contrast) * float(image.mean())
    mapped = cv2.transform(image.astype(np.float32), np.column_stack([matrix, np.full(3, offset)]))
    return np.clip(mapped, 0.0, 255.0).astype(np.uint8)


def white_balanced(image: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """(H, W, 3) uint8 with gains on red, green and blue in linear light."""
    value = np.arange(256) / 255.0
    tables = [255.0 * tone_curve(gain * to_linear(value)) for gain in gains]
    table = np.clip(np.round(np.stack(tables, axis=-1)), 0.0, 255.0).astype(np.uint8)
    return cv2.LUT(image, table[None])


def motion_kernel(length_px: float, angle_rad: float) -> np.ndarray:
    """(n, n) weights of a straight smear, n odd; symmetric, so nothing is displaced."""
    half = int(np.ceil(length_px / 2)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    along = x * np.cos(angle_rad) + y * np.sin(angle_rad)
    across = np.abs(-x * np.sin(angle_rad) + y * np.cos(angle_rad))
    inside = np.clip(length_px / 2 + 0.5 - np.abs(along), 0.0, 1.0)
    kernel = inside * np.clip(1.0 - across, 0.0, 1.0)
    return kernel / kernel.sum()
