"""Lighting of unlit pictures: the print is where it belongs, lamps do what lamps do."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from perception.cube import CUBE_SIZE_M, FACES
from perception.cube_art import atlas, face_picture
from perception.geometry import intrinsics, look_at
from perception.samples import CUBE_ID, HAND_ID
from perception.synthetic.looks import Light, Look, Material
from perception.synthetic.relight import Unlit, relight

PIXELS = 96
DISTANCE_M = 0.3
PLAIN = Look(
    lights=(),
    ambient=1.0,
    hand=(Material(0.0, 0.5, (0.8, 0.4, 0.2)), Material(0.0, 0.5, (0.1, 0.2, 0.3))),
    hand_textures=np.full((2, 8, 8, 3), 255, dtype=np.uint8),
    cube=Material(0.0, 0.5, (1.0, 1.0, 1.0)),
    cube_atlas=atlas(64),
)


def facing(normal: str, ids: int = CUBE_ID) -> Unlit:
    """A camera before one face that fills the picture; the cube is turned with its face's axes."""
    face = next(face for face in FACES if face.normal == normal)
    _, up, outwards = face.axes.T
    pose = look_at((CUBE_SIZE_M / 2 + DISTANCE_M) * outwards, np.zeros(3), up)
    focal = PIXELS * DISTANCE_M / CUBE_SIZE_M
    return Unlit(
        normal=torch.tensor(outwards).float().expand(PIXELS, PIXELS, 3),
        depth_m=torch.full((PIXELS, PIXELS), DISTANCE_M),
        ids=torch.full((PIXELS, PIXELS), ids),
        material=(torch.arange(PIXELS) % 2).expand(PIXELS, PIXELS),
        camera=intrinsics((focal, focal), (PIXELS / 2, PIXELS / 2)),
        T_world_camera=pose,
        T_world_cube=np.eye(4),
    )


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.glyph)
def test_each_face_shows_its_print_upright(face) -> None:
    drawn = relight(facing(face.normal), PLAIN).numpy().astype(int)
    expected = face_picture(face, PIXELS).astype(int)
    error = np.abs(drawn - expected).max(axis=2)
    assert (error > 60).mean() < 0.05  # outlines differ by a pixel of the coarser print
    turned = np.abs(drawn - np.rot90(expected)).max(axis=2)
    assert (turned > 60).mean() > 0.15


def test_the_hand_has_its_materials_colours() -> None:
    drawn = relight(facing("+z", HAND_ID), PLAIN)
    for material, row in enumerate(PLAIN.hand):
        expected = (255 * torch.tensor(row.colour)).to(torch.uint8)
        assert (drawn[:, material::2] == expected).all()


def test_nothing_stays_black_and_ambient_light_scales() -> None:
    assert relight(facing("+x", 0), PLAIN).sum() == 0
    full, half = (relight(facing("+x"), replace(PLAIN, ambient=a)).float() for a in (1.0, 0.5))
    assert (full / 2 - half).abs().max() <= 1.0


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_lamps_light_what_faces_them(side: float) -> None:
    lamp = Light(offset_m=(side * 1.0, 0.0, 0.0), diffuse=(0.5, 0.5, 0.5), shadow=False)
    lit = replace(PLAIN, lights=(lamp,), ambient=0.1)
    bright, dark = (relight(facing(name), lit).float().mean() for name in ("+x", "-x"))
    assert (bright > 2 * dark) if side > 0 else (dark > 2 * bright)


def test_normals_may_point_either_way() -> None:
    """Meshes are not always closed and consistent; what is seen is the side that is lit."""
    lamp = Light(offset_m=(1.0, 0.2, 0.0), diffuse=(0.5, 0.5, 0.5), shadow=False)
    lit = replace(PLAIN, lights=(lamp,), ambient=0.1, cube=Material(0.5, 0.3, (1.0, 1.0, 1.0)))
    scene = facing("+x")
    flipped = replace(scene, normal=-scene.normal)
    assert torch.equal(relight(scene, lit), relight(flipped, lit))
