"""Random cameras under the palm; training and held-out cameras never share a direction of view."""

from dataclasses import dataclass

import numpy as np

from perception.geometry import intrinsics, look_at

Range = tuple[float, float]
SPLITS = ("train", "heldout")
_CELL = 0.06
_CELLS_PER_HELD_OUT = 5


@dataclass
class ViewConfig:
    """Where the camera may be, in the hand's frame (z up, the palm looks along -z)."""

    width: int = 320
    """Picture width in pixels (paper F.2: 320 x 240)."""
    height: int = 240
    """Picture height in pixels."""
    focal_px: Range = (235.0, 320.0)
    """Focal length at this width; an OAK-D Lite has 229 over its whole field of view."""
    aspect: Range = (0.99, 1.01)
    """Vertical over horizontal focal length."""
    principal_px: float = 6.0
    """Largest offset of the principal point from the middle, per axis."""
    workspace_m: tuple[float, float, float] = (0.0416, 0.1825, -0.0641)
    """Where the cube should stay."""
    distance_m: Range = (0.22, 0.36)
    """From the workspace to the camera (paper: about 0.3 m below)."""
    tilt_deg: float = 32.0
    """Largest angle between the line of sight and the vertical."""
    target_m: float = 0.04
    """Largest horizontal offset of the point looked at from the workspace."""
    roll_deg: float = 20.0
    """Largest turn of the picture; without it the fingers point up in the image."""

    def __post_init__(self) -> None:
        for name, (low, high), (least, most) in (
            ("width", (self.width, self.width), (16, 4096)),
            ("height", (self.height, self.height), (16, 4096)),
            ("focal_px", self.focal_px, (0.1 * self.width, 20.0 * self.width)),
            ("aspect", self.aspect, (0.5, 2.0)),
            ("principal_px", (self.principal_px, self.principal_px), (0.0, self.width / 4)),
            ("distance_m", self.distance_m, (0.05, 2.0)),
            ("tilt_deg", (self.tilt_deg, self.tilt_deg), (1.0, 80.0)),
            ("target_m", (self.target_m, self.target_m), (0.0, 0.5)),
            ("roll_deg", (self.roll_deg, self.roll_deg), (0.0, 180.0)),
        ):
            if not least <= low <= high <= most:
                value = low if low == high else (low, high)
                raise ValueError(f"view.{name} ({value}) must lie in {least:g} to {most:g}")


@dataclass(frozen=True)
class View:
    """One camera."""

    camera: np.ndarray
    """K (3, 3), continuous pixels."""
    T_world_camera: np.ndarray
    """(4, 4); the world is the hand's root frame."""
    size: tuple[int, int]
    """Width and height in pixels."""


def draw_view(config: ViewConfig, split: str, rng: np.random.Generator) -> View:
    """A camera of one split.

    Raises:
        ValueError: If `split` is not one of `SPLITS`.
    """
    workspace = np.array(config.workspace_m)
    offset = rng.uniform(*config.distance_m) * _direction(config, split, rng)
    target = workspace + config.target_m * np.append(rng.uniform(-1.0, 1.0, 2), 0.0)
    roll = np.radians(rng.uniform(-config.roll_deg, config.roll_deg))
    up = np.array([np.sin(roll), np.cos(roll), 0.0])
    focal = rng.uniform(*config.focal_px)
    shift = rng.uniform(-config.principal_px, config.principal_px, 2)
    return View(
        camera=intrinsics(
            (focal, focal * rng.uniform(*config.aspect)),
            (config.width / 2 + shift[0], config.height / 2 + shift[1]),
        ),
        T_world_camera=look_at(target + offset, target, up),
        size=(config.width, config.height),
    )


def is_held_out(direction: np.ndarray) -> bool:
    """Whether a direction (3,) from the workspace to the camera is kept from training.

    Directions are divided into cells of 3.4 degrees; every fifth one is held out.
    """
    cell = np.floor(direction[:2] / np.linalg.norm(direction) / _CELL).astype(int)
    return bool((cell[0] + 2 * cell[1]) % _CELLS_PER_HELD_OUT == 0)


def _direction(config: ViewConfig, split: str, rng: np.random.Generator) -> np.ndarray:
    """Unit vector from workspace to camera, uniform over the cap of the sphere below."""
    if split not in SPLITS:
        raise ValueError(f"split '{split}' is not one of {SPLITS}")
    while True:
        height = rng.uniform(np.cos(np.radians(config.tilt_deg)), 1.0)
        azimuth, across = rng.uniform(0.0, 2.0 * np.pi), np.sqrt(1.0 - height**2)
        direction = np.array([across * np.cos(azimuth), across * np.sin(azimuth), -height])
        if is_held_out(direction) == (split == "heldout"):
            return direction
