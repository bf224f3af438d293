"""Random lights, materials and textures (paper F.2); plain numbers that any renderer can apply."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception.cube_art import COLUMNS, ROWS, atlas
from perception.synthetic.room import Room

Range = tuple[float, float]


@dataclass
class LookConfig:
    """How much appearance varies."""

    lights: tuple[int, int] = (1, 4)
    """Fewest and most lamps."""
    shadow_probability: float = 0.25
    """Chance that the first lamp casts shadows; they triple a picture's cost on a CPU."""
    brightness: Range = (0.35, 1.1)
    """Sum of all lamps' diffuse light."""
    ambient: Range = (0.2, 0.6)
    """Light from everywhere."""
    light_tint: float = 0.1
    """Largest deviation of a lamp's colour from white, per channel."""
    specular: Range = (0.0, 0.6)
    """Strength of highlights on surfaces."""
    shininess: Range = (0.05, 0.8)
    """Sharpness of highlights."""
    cube_hue: float = 0.04
    """Largest change of the print's colours, per channel."""
    cube_gain: Range = (0.65, 1.1)
    """Contrast of the print."""
    cube_wear: float = 0.12
    """Largest amplitude of stains on the print."""
    texture_contrast: Range = (0.0, 0.7)
    """Of the hand's patterns; 0 is a plain colour."""


@dataclass(frozen=True)
class Light:
    """A lamp at a point, shining on the workspace."""

    offset_m: tuple[float, float, float]
    """From the workspace."""
    diffuse: tuple[float, float, float]
    shadow: bool


@dataclass(frozen=True)
class Material:
    """Surface of a part of the hand or of the cube."""

    specular: float
    shininess: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Everything about one picture but geometry."""

    lights: tuple[Light, ...]
    ambient: float
    hand: tuple[Material, ...]
    hand_textures: np.ndarray
    """(materials, texture, texture, 3) uint8."""
    cube: Material
    cube_atlas: np.ndarray
    """(2 tile, 3 tile, 3) uint8."""
    room: Room | None = None
    """Where a path tracer takes the picture; it has lamps of its own."""


def draw_look(
    config: LookConfig, materials: int, sizes_px: tuple[int, int], rng: np.random.Generator
) -> Look:
    """A random appearance.

    Args:
        config: Ranges.
        materials: Differently coloured parts of the hand.
        sizes_px: Edge of a hand texture and of a tile of the cube's atlas.
        rng: Random numbers; those of held-out pictures come from other seeds.
    """
    texture_px, tile_px = sizes_px
    return Look(
        lights=_lights(config, rng),
        ambient=rng.uniform(*config.ambient),
        hand=tuple(_material(config, _hand_colour(rng), rng) for _ in range(materials)),
        hand_textures=np.stack([_pattern(config, texture_px, rng) for _ in range(materials)]),
        cube=_material(config, (1.0, 1.0, 1.0), rng),
        cube_atlas=printed_cube(config, tile_px, rng),
    )


_CLEAN: dict[int, np.ndarray] = {}


def printed_cube(config: LookConfig, tile_px: int, rng: np.random.Generator) -> np.ndarray:
    """The atlas as a printer and use might leave it: other colours, less contrast, stains."""
    if tile_px not in _CLEAN:
        _CLEAN[tile_px] = atlas(tile_px).astype(np.float32)
    gain = rng.uniform(*config.cube_gain)
    tint = 1.0 + rng.uniform(-config.cube_hue, config.cube_hue, 3)
    base = rng.uniform(0.0, 25.0)
    stains = _smooth_noise(_CLEAN[tile_px].shape[:2], 6 * max(COLUMNS, ROWS), rng)
    stains *= 255.0 * rng.uniform(0.0, config.cube_wear)
    printed = base + _CLEAN[tile_px] * (gain * tint).astype(np.float32) + stains[..., None]
    return np.clip(printed, 0.0, 255.0).astype(np.uint8)


def _lights(config: LookConfig, rng: np.random.Generator) -> tuple[Light, ...]:
    """Lamps around the hand, most of them below: that is the side the camera sees."""
    count = rng.integers(config.lights[0], config.lights[1] + 1)
    share = rng.dirichlet(np.ones(count)) * rng.uniform(*config.brightness)
    lamps = []
    for number in range(count):
        direction = rng.normal(size=3)
        direction[2] = -abs(direction[2]) if rng.random() < 0.75 else direction[2]
        offset = direction / np.linalg.norm(direction) * rng.uniform(0.4, 1.5)
        colour = share[number] * (1.0 + rng.uniform(-config.light_tint, config.light_tint, 3))
        shadow = number == 0 and rng.random() < config.shadow_probability
        lamps.append(Light(tuple(offset.tolist()), tuple(colour.tolist()), bool(shadow)))
    return tuple(lamps)


def _material(
    config: LookConfig, colour: tuple[float, float, float], rng: np.random.Generator
) -> Material:
    return Material(rng.uniform(*config.specular), rng.uniform(*config.shininess), colour)


def _hand_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Half of them grey, as plastic and silicone are; the others anything."""
    value = rng.uniform(0.1, 1.0)
    colour = np.full(3, value) if rng.random() < 0.5 else rng.uniform(0.05, 1.0, 3)
    return tuple(np.clip(colour + rng.uniform(-0.04, 0.04, 3), 0.0, 1.0).tolist())


def _pattern(config: LookConfig, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) uint8 around white: noise of a random scale, stripes, or both."""
    contrast = rng.uniform(*config.texture_contrast)
    noise = _smooth_noise((size_px, size_px), int(rng.integers(2, 24)), rng)
    y, x = np.mgrid[:size_px, :size_px] / size_px * 2.0 * np.pi
    waves = rng.integers(1, 9, 2)
    stripes = np.sin(waves[0] * x + waves[1] * y + rng.uniform(0.0, 6.3))
    mix = rng.random()
    shade = 1.0 - contrast * (0.5 + 0.5 * ((1.0 - mix) * noise + mix * stripes))
    tint = 1.0 - contrast * rng.uniform(0.0, 0.3, 3)
    return np.clip(255.0 * shade[..., None] * tint, 0.0, 255.0).astype(np.uint8)


def _smooth_noise(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (shape) in [-1, 1], interpolated between random values on a grid of `cells`."""
    coarse = rng.uniform(-1.0, 1.0, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)
