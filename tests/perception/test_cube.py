"""The cube: corner order, faces, glyphs, files, and the version others check."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perception.cube import (
    CUBE_SIZE_M,
    EDGES,
    FACES,
    corner_faces,
    cube_corners,
)
from perception.cube_art import atlas, face_picture, obj_text, texture_coordinates
from perception.marked import CUBE, object_contract, object_of_contract
from perception.marked_files import write_object
from perception.print_page import NET
from tasks.cube_spin.held_object import CUBE_SIZE_M as TASK_CUBE_SIZE_M

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "cube"


def test_the_simulated_cube_has_the_same_size() -> None:
    assert CUBE_SIZE_M == TASK_CUBE_SIZE_M


def test_corner_bits_are_the_signs_of_the_coordinates() -> None:
    for index, corner in enumerate(cube_corners(2.0)):
        assert corner.tolist() == [2 * (index >> axis & 1) - 1 for axis in range(3)]


def test_edges_join_corners_one_edge_apart() -> None:
    corners = cube_corners(1.0)
    lengths = [np.linalg.norm(corners[a] - corners[b]) for a, b in EDGES]
    assert len(set(EDGES)) == 12 and lengths == [1.0] * 12


def test_faces_are_right_handed_seen_from_outside() -> None:
    for face in FACES:
        assert np.linalg.det(face.axes) == pytest.approx(1.0)
        corners = cube_corners()[list(face.corners)]
        lower_left, lower_right, upper_right, _ = corners
        np.testing.assert_allclose(
            lower_right - lower_left, CUBE_SIZE_M * face.axes[:, 0], atol=1e-12
        )
        np.testing.assert_allclose(
            upper_right - lower_right, CUBE_SIZE_M * face.axes[:, 1], atol=1e-12
        )
        np.testing.assert_allclose(corners @ face.axes[:, 2], CUBE_SIZE_M / 2)


def test_every_corner_belongs_to_three_faces() -> None:
    meets = corner_faces()
    assert (meets.sum(axis=1) == 3).all() and (meets.sum(axis=0) == 4).all()


def test_no_face_looks_like_another_one_or_like_itself_turned() -> None:
    """Also without colours, which light may wash out."""
    pictures = [face_picture(face, 64).mean(axis=2) for face in FACES]
    binary = [(p > p.mean()).astype(float) for p in pictures]
    views = [
        (i, np.rot90(picture, turns)) for i, picture in enumerate(binary) for turns in range(4)
    ]
    inner = slice(8, -8)  # without the border, which all have
    for (i, first), (j, second) in itertools.combinations(views, 2):
        a, b = first[inner, inner].ravel(), second[inner, inner].ravel()
        assert np.corrcoef(a, b)[0, 1] < 0.75, (FACES[i].glyph, FACES[j].glyph)


def test_shipped_files_are_what_the_code_draws(tmp_path: Path) -> None:
    for fresh in write_object(tmp_path, CUBE):
        shipped = ASSETS / fresh.name
        if fresh.suffix == ".png":  # compression may differ between machines, pixels must not
            pair = (np.asarray(Image.open(path)) for path in (fresh, shipped))
            np.testing.assert_array_equal(*pair)
        elif fresh.suffix != ".pdf":
            assert fresh.read_text() == shipped.read_text()
    assert (tmp_path / "cube.pdf").read_bytes()[:5] == b"%PDF-"


def test_obj_faces_show_their_own_tile() -> None:
    """Reads the OBJ as any program would: position and texture of each corner belong together."""
    rows = [line.split() for line in obj_text().splitlines()]
    vertices = np.array([row[1:] for row in rows if row[0] == "v"], dtype=float)
    coordinates = np.array([row[1:] for row in rows if row[0] == "vt"], dtype=float)
    quads = [[part.split("/") for part in row[1:]] for row in rows if row[0] == "f"]
    picture = atlas(64)
    for face, quad in zip(FACES, quads, strict=True):
        points = vertices[[int(part[0]) - 1 for part in quad]]
        places = coordinates[[int(part[1]) - 1 for part in quad]]
        np.testing.assert_allclose(
            np.cross(points[1] - points[0], points[2] - points[1]),
            CUBE_SIZE_M**2 * face.axes[:, 2],
            atol=1e-9,
        )
        middle = places.mean(axis=0)
        tile = face_picture(face, 64)
        for share in (0.1, 0.3, 0.7):  # along the diagonal from lower left to upper right
            u, v = places[0] + share * (places[2] - places[0])
            row, column = int((1.0 - v) * len(picture)), int(u * picture.shape[1])
            seen = tile[int((1.0 - share) * 64), int(share * 64)]
            np.testing.assert_allclose(picture[row, column].astype(int), seen, atol=60)
        assert (middle > 0.0).all() and (middle < 1.0).all()
    assert texture_coordinates().min() == 0.0 and texture_coordinates().max() == 1.0


def test_neighbours_on_the_net_are_neighbours_on_the_cube() -> None:
    """Folding works: faces side by side share the edge they touch at, the right way up."""
    by_name = {face.normal: face for face in FACES}
    touching = 0
    for (first, a), (second, b) in itertools.permutations(NET.items(), 2):
        left, right = by_name[first], by_name[second]
        if (b[0] - a[0], b[1] - a[1]) == (1, 0):
            assert (left.corners[1], left.corners[2]) == (right.corners[0], right.corners[3])
            touching += 1
        if (b[0] - a[0], b[1] - a[1]) == (0, 1):
            assert (left.corners[3], left.corners[2]) == (right.corners[0], right.corners[1])
            touching += 1
    assert touching == 5


def test_another_convention_is_refused_by_name() -> None:
    assert object_of_contract(object_contract(), "here") == CUBE
    with pytest.raises(ValueError, match=r"run/index.json .*corner_order is 'z-fastest', expected"):
        object_of_contract(object_contract() | {"corner_order": "z-fastest"}, "run/index.json")
    with pytest.raises(ValueError, match=r"cube_size_m is None, expected 0.045"):
        object_of_contract({k: v for k, v in object_contract().items() if k != "cube_size_m"}, "x")
