"""Lights unlit pictures: for renderers whose lights cannot differ between pictures.

Colour comes from the look, so both renderers share it: the cube's print is looked up by where a
pixel lies on the cube, the hand's patterns by where it lies in the world. There are no shadows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perception.cube import CUBE_SIZE_M, FACES
from perception.cube_art import COLUMNS, ROWS
from perception.geometry import inverse
from perception.samples import CUBE_ID, HAND_ID
from perception.synthetic.looks import Look

PATTERN_M = 0.05
"""Edge of a hand texture on the surface."""


@dataclass(frozen=True)
class Unlit:
    """What a renderer knows about one picture of H x W pixels; tensors on any device."""

    normal: Tensor
    """(H, W, 3) unit, world frame."""
    depth_m: Tensor
    """(H, W) along the optical axis."""
    ids: Tensor
    """(H, W) long, as in `Sample`."""
    material: Tensor
    """(H, W) long: which of the hand's materials."""
    camera: np.ndarray
    """K (3, 3)."""
    T_world_camera: np.ndarray
    """(4, 4)."""
    T_world_cube: np.ndarray
    """(4, 4)."""


def relight(unlit: Unlit, look: Look) -> Tensor:
    """(H, W, 3) uint8, black where there is nothing."""
    points, rays = _points(unlit)
    normal = unlit.normal
    normal = torch.where((normal * rays).sum(-1, keepdim=True) > 0.0, -normal, normal)
    colour, specular, shininess = _surface(unlit, look, points)
    light = torch.full_like(points, look.ambient)
    gloss = torch.zeros_like(points)
    workspace = unlit.T_world_cube[:3, 3]
    for lamp in look.lights:
        place = torch.as_tensor(workspace + np.array(lamp.offset_m)).to(points)
        strength = torch.tensor(lamp.diffuse).to(points)
        to_lamp = torch.nn.functional.normalize(place - points, dim=-1)
        light += (normal * to_lamp).sum(-1, keepdim=True).clamp_min(0.0) * strength
        halfway = torch.nn.functional.normalize(to_lamp - rays, dim=-1)
        facing = (normal * halfway).sum(-1, keepdim=True).clamp_min(0.0)
        gloss += specular * facing ** (128.0 * shininess) * strength
    shaded = (255.0 * (colour * light + gloss)).clamp(0.0, 255.0)
    return (shaded * (unlit.ids > 0)[..., None]).to(torch.uint8)


def _points(unlit: Unlit) -> tuple[Tensor, Tensor]:
    """World positions and directions from the camera (H, W, 3) of all pixels."""
    depth = unlit.depth_m
    height, width = depth.shape
    x = torch.arange(width, device=depth.device) + 0.5
    y = torch.arange(height, device=depth.device) + 0.5
    (fx, _, cx), (_, fy, cy) = unlit.camera[0], unlit.camera[1]
    across = ((x - cx) / fx).expand(height, width)
    down = ((y - cy) / fy)[:, None].expand(height, width)
    rays = torch.stack([across, down, torch.ones_like(across)], dim=-1).float()
    pose = torch.as_tensor(unlit.T_world_camera).to(rays)
    points = (rays * depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
    return points, torch.nn.functional.normalize(rays @ pose[:3, :3].T, dim=-1)


def _surface(unlit: Unlit, look: Look, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (H, W, 3), specular and shininess (H, W, 1) of every pixel."""
    shape = (*unlit.ids.shape, 1)
    specular = torch.full(shape, look.cube.specular, device=points.device)
    shininess = torch.full(shape, look.cube.shininess, device=points.device)
    colour = cube_colour(unlit, look.cube_atlas, points)
    kinds = [(unlit.ids == HAND_ID) & (unlit.material == i) for i in range(len(look.hand))]
    for mine, surface, texture in zip(kinds, look.hand, look.hand_textures, strict=True):
        pattern = _pattern(texture, points[mine])
        colour[mine] = pattern * torch.tensor(surface.colour).to(points)
        specular[mine], shininess[mine] = surface.specular, surface.shininess
    return colour, specular, shininess


def _pattern(texture: np.ndarray, points: Tensor) -> Tensor:
    """Colours (M, 3) of points (M, 3) under a texture that repeats in space."""
    picture = torch.as_tensor(texture).to(points) / 255.0
    size = len(picture)
    place = torch.stack([points[:, 0] + points[:, 2], points[:, 1] - points[:, 2]], dim=1)
    index = torch.floor(place / PATTERN_M * size).long() % size
    return picture[index[:, 1], index[:, 0]]


def cube_colour(unlit: Unlit, atlas: np.ndarray, points: Tensor) -> Tensor:
    """(H, W, 3) from 0 to 1: the print at the nearest point of the cube's surface.

    Args:
        unlit: The picture.
        atlas: (2 tile, 3 tile, 3) uint8.
        points: (H, W, 3) world positions.
    """
    colour = torch.zeros_like(points)
    mine = unlit.ids == CUBE_ID
    to_cube = torch.as_tensor(inverse(unlit.T_world_cube)).to(points)
    inside = (points[mine] @ to_cube[:3, :3].T + to_cube[:3, 3]) / CUBE_SIZE_M  # -0.5 to 0.5
    axes = torch.as_tensor(np.stack([face.axes for face in FACES])).to(points)  # (6, 3, 3)
    local = torch.einsum("md,fdk->mfk", inside, axes)  # right, up, normal per face
    face = local[..., 2].argmax(dim=1)
    right, up = (local[torch.arange(len(face)), face, axis] + 0.5 for axis in (0, 1))
    tile = len(atlas) // ROWS
    column = (face % COLUMNS) * tile + (right * tile).clamp(0.0, tile - 1.0)
    row = torch.div(face, COLUMNS, rounding_mode="floor") * tile
    row = row + ((1.0 - up) * tile).clamp(0.0, tile - 1.0)
    picture = torch.as_tensor(atlas).to(points) / 255.0
    colour[mine] = picture[row.long(), column.long()]
    return colour
