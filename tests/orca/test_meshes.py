"""A user's own copy of the official meshes, made up here: boxes as large as the hulls."""

import struct
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from sernf_isaac.flags import HAND_DESCRIPTION, ScriptParser
from tasks.orca.hand import hand_mjcf, hand_spec, source_hash
from tasks.orca.hands import load_hand

RIGHT, LEFT = "orca_v2_right", "orca_v2_left"


def write_stl(path: Path, corners_mm: np.ndarray) -> None:
    """The convex hull of points (K, 3) as a binary STL file."""
    faces = corners_mm[ConvexHull(corners_mm).simplices].astype("<f4")
    with path.open("wb") as file:
        file.write(b"\0" * 80 + struct.pack("<I", len(faces)))
        for face in faces:
            file.write(np.zeros(3, "<f4").tobytes() + face.tobytes() + b"\0\0")


@pytest.fixture
def description(tmp_path: Path) -> Path:
    folder = tmp_path / "v2/models/assets/mjcf/right"
    folder.mkdir(parents=True)
    for body in load_hand(RIGHT).bodies:
        for mesh in body.meshes:
            assert body.hull_bounds_m is not None
            low, high = np.array(body.hull_bounds_m) * 1e3
            grid = np.stack(np.meshgrid(*np.stack([low, high], axis=1), indexing="ij"), axis=-1)
            write_stl(folder / f"{mesh}.stl", grid.reshape(-1, 3))
    return tmp_path


def extent(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """(2, 3) least and largest corner of a mesh geom in its body's frame [m]."""
    mesh, rotation = model.geom_dataid[geom], np.zeros(9)
    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    points = model.mesh_vert[first : first + count] @ rotation.reshape(3, 3).T
    points = points + model.geom_pos[geom]
    return np.stack([points.min(axis=0), points.max(axis=0)])


@pytest.mark.parametrize(("name", "mirror"), [(RIGHT, 1.0), (LEFT, -1.0)])
def test_meshes_are_seen_and_felt_where_the_description_puts_them(
    description: Path, monkeypatch: pytest.MonkeyPatch, name: str, mirror: float
) -> None:
    plain = load_hand(name)
    monkeypatch.setenv(HAND_DESCRIPTION, str(description))
    hand = load_hand(name)
    model = hand_spec(hand, collisions="hulls").compile()
    meshes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    count = sum(len(body.meshes) for body in hand.bodies)
    solid = [geom for geom in meshes if model.geom_contype[geom]]
    assert len(solid) == count and len(meshes) == 2 * count
    by_name = {body.name: body for body in hand.bodies}
    for geom in solid:
        bounds = by_name[model.body(model.geom_bodyid[geom]).name].hull_bounds_m
        np.testing.assert_allclose(extent(model, geom), bounds, atol=1e-5)
    without = hand_spec(plain, collisions="hulls").compile()
    np.testing.assert_allclose(model.body_mass, without.body_mass)
    np.testing.assert_allclose(model.body_inertia, without.body_inertia)
    assert source_hash(hand) != source_hash(plain)
    assert hand.mesh_mirror == mirror


def test_the_cached_mjcf_of_a_hand_with_meshes_loads(
    description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERNF_CACHE_DIR", str(description / "cache"))
    monkeypatch.setenv(HAND_DESCRIPTION, str(description))
    model = mujoco.MjModel.from_xml_path(str(hand_mjcf(load_hand(LEFT))))
    assert model.nmesh >= 17


def test_the_first_hand_has_its_meshes_anyway(
    description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_hand("orca_v1_right")
    monkeypatch.setenv(HAND_DESCRIPTION, str(description))
    assert load_hand("orca_v1_right") == before


def test_a_folder_without_meshes_is_refused_by_name(
    description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (description / "v2/models/assets/mjcf/right/P-AP.stl").unlink()
    monkeypatch.setenv(HAND_DESCRIPTION, str(description))
    with pytest.raises(FileNotFoundError, match=r"no right/P-AP\.stl; .*commit 9fa90c1"):
        load_hand(RIGHT)
    monkeypatch.setenv(HAND_DESCRIPTION, str(description / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"no right/R-Carpals\.stl"):
        load_hand(LEFT)


def test_the_flag_reaches_processes_that_are_started(
    description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HAND_DESCRIPTION, "")
    parser = ScriptParser("a script")
    parser.add_argument("--description")
    assert parser.parse(["--description", str(description)]).description == description
    ask = f"import os; print(os.environ['{HAND_DESCRIPTION}'])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(description.resolve())
