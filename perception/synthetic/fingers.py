"""Strange fingers between camera and cube: strong occlusion, which the hand itself rarely makes.

Drawn into finished pictures as capsules with their own depth, so that any renderer can have them
and labels see them like the hand. Everything is in the camera's frame, in metres.
"""

from dataclasses import dataclass, replace

import numpy as np

from perception.samples import HAND_ID
from perception.synthetic.looks import Look
from perception.synthetic.mujoco_renderer import Rendering

Array = np.ndarray
Range = tuple[float, float]
LENGTH_M = 0.2
"""Of a finger; its other end is outside the picture."""


@dataclass
class FingerConfig:
    """How often and where there are fingers that are not the hand's."""

    probability: float = 0.0
    """Share of pictures that have any; none by default, as the paper's renderings have none."""
    count: tuple[int, int] = (1, 2)
    """Fewest and most in such a picture."""
    radius_m: Range = (0.006, 0.011)
    """Radius of a finger."""
    reach: Range = (0.1, 0.4)
    """Where the finger crosses the line of sight, from 0 at the cube to 1 at the camera."""
    off_centre_m: float = 0.02
    """Largest distance of the line of sight it crosses from the cube's centre, per axis."""


@dataclass(frozen=True)
class Finger:
    """A capsule."""

    tip: Array
    """(3,)"""
    root: Array
    """(3,)"""
    radius_m: float
    colour: tuple[float, float, float]


def draw_fingers(
    config: FingerConfig, T_camera_cube: Array, look: Look, rng: np.random.Generator
) -> list[Finger]:
    """Random fingers before a cube; their surfaces are materials of the hand."""
    if config.probability <= 0.0 or rng.random() >= config.probability:
        return []
    fingers = []
    for _ in range(rng.integers(config.count[0], config.count[1] + 1)):
        centre = T_camera_cube[:3, 3] * (1.0 - rng.uniform(*config.reach))
        tip = centre + np.append(rng.uniform(-config.off_centre_m, config.off_centre_m, 2), 0.0)
        angle, rise = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.3, 0.3)
        away = np.array([np.cos(angle), np.sin(angle), rise])
        colour = look.hand[rng.integers(len(look.hand))].colour
        root = tip + LENGTH_M * away / np.linalg.norm(away)
        fingers.append(Finger(tip, root, rng.uniform(*config.radius_m), colour))
    return fingers


def cover(
    rendering: Rendering, finger: Finger, camera: Array, look: Look, T_world_camera: Array
) -> Rendering:
    """The rendering with a finger in front of whatever lies behind it.

    Args:
        rendering: Of a scene whose lamps shine on the cube, as `Look` has them.
        finger: In the camera's frame.
        camera: K (3, 3).
        look: Its light falls on the finger.
        T_world_camera: (4, 4).
    """
    rays = _rays(camera, rendering.ids.shape)
    distance, normal = hit(finger, rays)
    depth = distance * rays[..., 2]
    shown = depth < rendering.depth_m  # NaN is behind everything
    light = np.full((int(shown.sum()), 3), look.ambient)
    turn = T_world_camera[:3, :3].T
    for lamp in look.lights:
        towards = turn @ np.array(lamp.offset_m)
        facing = normal[shown] @ (towards / np.linalg.norm(towards))
        light += np.maximum(facing, 0.0)[:, None] * lamp.diffuse
    image, depth_m, ids = (a.copy() for a in (rendering.image, rendering.depth_m, rendering.ids))
    image[shown] = np.clip(255.0 * light * finger.colour, 0.0, 255.0).astype(np.uint8)
    depth_m[shown], ids[shown] = depth[shown], HAND_ID
    return replace(rendering, image=image, depth_m=depth_m, ids=ids)


def hit(finger: Finger, rays: Array) -> tuple[Array, Array]:
    """Where rays (..., 3) of length one from the camera meet a finger: distances (...) and outward
    normals (..., 3); NaN where they miss or start inside."""
    axis, start = finger.root - finger.tip, finger.tip
    along, to_start = rays @ axis, rays @ start
    length_2 = axis @ axis
    # The side: |s d - start| squared, less the part along the axis, is the radius squared.
    a = length_2 - along**2
    b = (start @ axis) * along - length_2 * to_start
    c = length_2 * (start @ start - finger.radius_m**2) - (start @ axis) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (-b - np.sqrt(b**2 - a * c)) / a
        place = (distance * along - start @ axis) / length_2  # 0 at the tip, 1 at the root
        for end, beyond in ((finger.tip, place < 0.0), (finger.root, place > 1.0)):
            middle = rays @ end
            ball = middle - np.sqrt(middle**2 - end @ end + finger.radius_m**2)
            distance = np.where(beyond, ball, distance)
        distance = np.where(distance > 0.0, distance, np.nan)
        nearest = start + np.clip(place, 0.0, 1.0)[..., None] * axis
        return distance, (distance[..., None] * rays - nearest) / finger.radius_m


def _rays(camera: Array, shape: tuple[int, ...]) -> Array:
    """(H, W, 3) directions of length one through the pixels' centres."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    x = (columns - camera[0, 2]) / camera[0, 0]
    y = (rows - camera[1, 2]) / camera[1, 1]
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)
