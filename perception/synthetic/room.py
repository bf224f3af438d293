"""Random rooms for path-traced pictures: lamps, surroundings, surfaces, lens and sensor.

Plain numbers; `path_renderer.py` builds them. One thing is wrong with each picture, its condition,
and the others are as in a good laboratory: so errors can be told apart.
"""

from dataclasses import dataclass, replace

import numpy as np

from perception.cube import FACES

Range = tuple[float, float]
Colour = tuple[float, float, float]
CONDITIONS = (
    "plain",
    "highlight",
    "raking",
    "dim",
    "tinted",
    "faded",
    "defocused",
    "moving",
    "distorted",
    "misprinted",
)
"""Everything as it should be; a lamp mirrored in a face; one lamp at a flat angle and no other
light; few photons; white balance of another light; a bleached print; out of focus; a cube that
turns fast before a rolling shutter; a lens whose distortion nobody removed; a cube that was printed
2 % too small or too large."""


@dataclass
class RoomConfig:
    """What rooms, lenses and sensors are like."""

    samples: int = 64
    """Paths per pixel; half of the noise costs four times the time."""
    conditions: tuple[str, ...] = CONDITIONS
    """Those of the pictures, each as often as the others."""
    lamps: tuple[int, int] = (1, 3)
    """Fewest and most lamps of an ordinary room."""
    kelvin: Range = (3500.0, 6500.0)
    """Colour temperature of lamps."""
    ambient: Range = (0.15, 0.8)
    """Light of the surroundings, as a share of the lamps'."""
    colourful: Range = (0.05, 0.5)
    """How much of the surroundings' colours there is; 0 is grey."""
    white_balance: float = 0.06
    """Largest error of a channel's gain in an ordinary picture."""
    tint: Range = (0.45, 1.7)
    """Gains of red and blue in a tinted picture."""
    exposure_stops: Range = (-0.8, 0.5)
    """Error of the exposure."""
    electrons: Range = (2_000.0, 20_000.0)
    """Light that a white pixel collects; its square root is the signal over the noise."""
    dim_electrons: Range = (60.0, 300.0)
    """The same in a dim picture."""
    jpeg: tuple[int, int] = (70, 97)
    """Quality of the camera's own compression."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.conditions) - set(CONDITIONS)):
            raise ValueError(f"room.conditions {unknown}: there are {', '.join(CONDITIONS)}")
        if not self.conditions:
            raise ValueError("room.conditions is empty; name at least one, as 'plain'")
        if self.samples < 1:
            raise ValueError(f"room.samples ({self.samples}) must be at least 1")


@dataclass(frozen=True)
class Lamp:
    """A bright square that shines towards the cube."""

    offset_m: tuple[float, float, float]
    """From the cube."""
    edge_m: float
    power: Colour
    """Light that reaches the cube [relative]."""


@dataclass(frozen=True)
class Surface:
    """How a material throws light back."""

    roughness: float
    """0 is a mirror, 1 is matt."""
    metal: bool = False
    coat: bool = True
    """Whether it has a clear coat, as plastic and printed photo paper do."""


@dataclass(frozen=True)
class Lens:
    """Departures from a pinhole."""

    aperture_m: float
    """Radius."""
    focus: float
    """Distance in focus over the cube's."""
    k1: float = 0.0
    """Radial distortion that the camera's model does not know."""


@dataclass(frozen=True)
class Motion:
    """What the cube does while the shutter is open."""

    velocity_m_s: np.ndarray
    """(3,) in the world."""
    spin_rad_s: np.ndarray
    """(3,) in the world."""
    exposure_s: float
    readout_s: float
    """From the first row's exposure to the last one's."""


@dataclass(frozen=True)
class Sensor:
    """From light to numbers."""

    gains: Colour
    """White balance; 1 is right for the lamps."""
    exposure_stops: float
    electrons: float
    jpeg: int


@dataclass(frozen=True)
class Room:
    """Everything about one path-traced picture but the scene's geometry and colours."""

    condition: str
    lamps: tuple[Lamp, ...]
    ambient: float
    colourful: float
    surroundings: np.ndarray
    """(H, W, 3) uint8, all around the hand; it is seen and gives light."""
    hand: tuple[Surface, ...]
    cube: Surface
    bleached: float
    """Share of the print's colours that is lost to white."""
    print_scale: float
    """Edge of the cube over what it should be."""
    lens: Lens
    motion: Motion | None
    sensor: Sensor
    noise_seed: int


def draw_room(
    config: RoomConfig,
    materials: int,
    surroundings: np.ndarray,
    T_world_camera: np.ndarray,
    T_world_cube: np.ndarray,
    rng: np.random.Generator,
) -> Room:
    """A random room.

    Args:
        config: Ranges.
        materials: Differently coloured parts of the hand.
        surroundings: (H, W, 3) uint8.
        T_world_camera, T_world_cube: (4, 4); a highlight depends on them.
        rng: Random numbers.
    """
    condition = str(rng.choice(config.conditions))
    glossy = rng.random() < 0.3
    room = Room(
        condition=condition,
        lamps=_lamps(config, rng),
        ambient=rng.uniform(*config.ambient),
        colourful=rng.uniform(*config.colourful),
        surroundings=surroundings,
        hand=tuple(_hand_surface(rng) for _ in range(materials)),
        cube=Surface(rng.uniform(0.15, 0.3) if glossy else rng.uniform(0.35, 0.8), coat=glossy),
        bleached=rng.uniform(0.0, 0.08),
        print_scale=1.0,
        lens=Lens(rng.uniform(0.0003, 0.0012), rng.uniform(0.9, 1.15)),
        motion=None,
        sensor=Sensor(
            gains=_gains(1.0 - config.white_balance, 1.0 + config.white_balance, rng),
            exposure_stops=rng.uniform(*config.exposure_stops),
            electrons=_log_uniform(*config.electrons, rng),
            jpeg=int(rng.integers(config.jpeg[0], config.jpeg[1] + 1)),
        ),
        noise_seed=int(rng.integers(1 << 31)),
    )
    return _spoilt(room, config, T_world_camera, T_world_cube, rng)


def _spoilt(
    room: Room,
    config: RoomConfig,
    T_world_camera: np.ndarray,
    T_world_cube: np.ndarray,
    rng: np.random.Generator,
) -> Room:
    """The room with what its condition says."""
    sensor, lens = room.sensor, room.lens
    if room.condition == "highlight":
        surface = Surface(rng.uniform(0.08, 0.25), coat=True)
        lamp = mirrored_lamp(T_world_camera, T_world_cube, rng)
        return replace(room, cube=surface, lamps=(*room.lamps[:1], lamp))
    if room.condition == "raking":
        return replace(room, lamps=(_raking_lamp(T_world_cube, rng),), ambient=0.08)
    if room.condition == "dim":
        return replace(
            room, sensor=replace(sensor, electrons=_log_uniform(*config.dim_electrons, rng))
        )
    if room.condition == "tinted":
        return replace(room, sensor=replace(sensor, gains=_gains(*config.tint, rng)))
    if room.condition == "faded":
        return replace(room, bleached=rng.uniform(0.35, 0.7))
    if room.condition == "misprinted":
        return replace(room, print_scale=float(rng.choice((0.98, 1.02))))
    if room.condition == "defocused":
        focus = rng.choice((rng.uniform(0.4, 0.65), rng.uniform(1.5, 3.0)))
        return replace(room, lens=replace(lens, aperture_m=rng.uniform(0.001, 0.0025), focus=focus))
    if room.condition == "moving":
        spin = np.array([0.0, 0.0, rng.choice((-1.0, 1.0)) * rng.uniform(1.0, 5.0)])
        motion = Motion(
            velocity_m_s=rng.normal(0.0, 0.06, 3),
            spin_rad_s=spin + rng.normal(0.0, 0.5, 3),
            exposure_s=rng.uniform(0.008, 0.03),
            readout_s=rng.uniform(0.008, 0.03),
        )
        return replace(room, motion=motion)
    if room.condition == "distorted":
        return replace(
            room, lens=replace(lens, k1=rng.choice((-1.0, 1.0)) * rng.uniform(0.03, 0.1))
        )
    return room


def mirrored_lamp(
    T_world_camera: np.ndarray, T_world_cube: np.ndarray, rng: np.random.Generator
) -> Lamp:
    """A lamp that the camera sees in the face that is turned to it most."""
    to_eye = T_world_camera[:3, 3] - T_world_cube[:3, 3]
    to_eye = to_eye / np.linalg.norm(to_eye)
    normals = np.stack([face.axes[:, 2] for face in FACES]) @ T_world_cube[:3, :3].T
    normal = normals[(normals @ to_eye).argmax()]
    mirrored = 2.0 * (normal @ to_eye) * normal - to_eye
    mirrored = mirrored + rng.normal(0.0, 0.03, 3)
    distance, strength = rng.uniform(0.5, 1.2), rng.uniform(0.4, 1.0)
    place = distance * mirrored / np.linalg.norm(mirrored)
    return Lamp(_point(place), rng.uniform(0.05, 0.15) * distance, (strength, strength, strength))


def _raking_lamp(T_world_cube: np.ndarray, rng: np.random.Generator) -> Lamp:
    angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.5, 1.2)
    direction = np.array([np.cos(angle), np.sin(angle), -rng.uniform(0.1, 0.3)])
    place = distance * direction / np.linalg.norm(direction)
    return Lamp(_point(place), rng.uniform(0.02, 0.05), (1.0, 1.0, 1.0))


def _lamps(config: RoomConfig, rng: np.random.Generator) -> tuple[Lamp, ...]:
    """Lamps and windows around the hand, most of them on the side that the camera sees."""
    lamps = []
    for _ in range(rng.integers(config.lamps[0], config.lamps[1] + 1)):
        direction = rng.normal(size=3)
        direction[2] = -abs(direction[2]) if rng.random() < 0.75 else direction[2]
        distance = rng.uniform(0.5, 1.8)
        place = distance * direction / np.linalg.norm(direction)
        red, green, blue = rng.uniform(0.3, 1.0) * black_body(rng.uniform(*config.kelvin))
        edge = rng.uniform(0.05, 0.6) * distance
        lamps.append(Lamp(_point(place), edge, (red, green, blue)))
    return tuple(lamps)


def _hand_surface(rng: np.random.Generator) -> Surface:
    """Printed plastic, silicone, bare metal."""
    kind = rng.random()
    if kind < 0.5:
        return Surface(rng.uniform(0.15, 0.4), coat=True)
    if kind < 0.9:
        return Surface(rng.uniform(0.4, 0.9), coat=False)
    return Surface(rng.uniform(0.2, 0.5), metal=True)


def black_body(kelvin: float) -> np.ndarray:
    """RGB (3,) of a glowing body, green 1: Planck's law at 610, 550 and 465 nm.

    At 6,500 K it is white.
    """
    wavelength_m = np.array([610e-9, 550e-9, 465e-9])

    def radiance(temperature: float) -> np.ndarray:
        return 1.0 / np.expm1(0.014388 / (wavelength_m * temperature))

    colour = radiance(kelvin) / radiance(6500.0)
    return colour / colour[1]


def _point(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _gains(low: float, high: float, rng: np.random.Generator) -> Colour:
    """Of red and blue; green is the exposure's."""
    return (_log_uniform(low, high, rng), 1.0, _log_uniform(low, high, rng))


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
