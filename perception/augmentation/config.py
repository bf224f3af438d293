"""Every number of the augmentation; the defaults follow the paper (F.2) and DeXtreme (Table 5)."""

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass
class WarpConfig:
    """Crop, rotation and stretch, applied as one homography."""

    probability: float = 0.7
    """Share of samples that are warped at all."""
    crop: Range = (0.7, 1.0)
    """Edge of the part that is kept, as a share of the picture (paper: 0.7 to 1.0)."""
    rotation_deg: float = 10.0
    """Largest roll of the camera (paper: 10 degrees)."""
    stretch: Range = (0.9, 1.1)
    """Factor per axis (paper: anisotropic stretch, without a number)."""


@dataclass
class OccluderConfig:
    """Things pasted in front of the cube (paper: synthetic occlusions)."""

    probability: float = 0.5
    """Chance that a picture gets any."""
    count: tuple[int, int] = (1, 3)
    """Fewest and most in such a picture."""
    width_px: Range = (5.0, 26.0)
    """Of a finger-like bar; polygons and patches are up to twice as wide."""
    near_cube: float = 0.75
    """Share of occluders placed at the cube; the others may be anywhere."""
    min_visible_fraction: float = 0.35
    """An occluder that would leave less of the cube is not pasted."""


@dataclass
class PrintConfig:
    """What happens to the cube's print; nothing by default (the paper)."""

    fade_probability: float = 0.0
    """Chance that the print is bleached."""
    fade: Range = (0.2, 0.7)
    """Share of its colours that are lost to white."""
    glare_probability: float = 0.0
    """Chance that a lamp is mirrored in the cube."""
    glare: Range = (0.3, 1.0)
    """Share of the print that it hides."""
    glare_size: Range = (0.15, 1.0)
    """How far it reaches from its middle, as a share of the cube's width in the picture."""
    glare_blur: Range = (0.01, 0.2)
    """Softness of its edge, likewise."""


@dataclass
class PhotoConfig:
    """What a camera and its lighting do; each with its own probability."""

    jitter_probability: float = 0.8
    """Chance that brightness, contrast, saturation and hue change."""
    brightness: Range = (0.6, 1.4)
    """Factor on all values."""
    contrast: Range = (0.6, 1.4)
    """Factor on the distance of each value from the mean."""
    saturation: Range = (0.3, 1.3)
    """Factor on the distance of each colour from grey."""
    hue_deg: float = 8.0
    """Largest turn of the colour circle; faces also differ by colour, so it stays small."""
    white_balance_probability: float = 0.0
    """Chance that red and blue have gains of another light; never by default (the paper)."""
    white_balance: Range = (0.45, 1.7)
    """Those gains, in linear light, evenly in their logarithm."""
    blur_probability: float = 0.3
    """Chance that a picture is blurred."""
    blur_px: Range = (0.3, 1.4)
    """Standard deviation of the Gaussian blur."""
    motion_probability: float = 0.3
    """Chance that a picture is smeared by motion."""
    motion_px: Range = (2.0, 8.0)
    """Length of the smear; symmetric, so corners stay in its middle."""
    noise_probability: float = 0.6
    """Chance that a picture gets noise."""
    noise: Range = (1.0, 12.0)
    """Standard deviation of the noise, of 255."""


@dataclass
class AugmentConfig:
    """How training samples are changed."""

    warp: WarpConfig = field(default_factory=WarpConfig)
    occluder: OccluderConfig = field(default_factory=OccluderConfig)
    print: PrintConfig = field(default_factory=PrintConfig)
    photo: PhotoConfig = field(default_factory=PhotoConfig)
    background_probability: float = 0.5
    """Share of samples that get another background."""
