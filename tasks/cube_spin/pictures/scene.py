"""The scene for synthetic pictures: hand with decimated meshes, marked cube, camera and lights.

Nothing collides here and nothing is simulated; states come from the twin. Decimated meshes are
derived from the hand package and therefore live in the user's cache, never in this project.
"""

from pathlib import Path
from typing import Protocol

import fast_simplification
import mujoco
import numpy as np

from tasks.assets import CUBE_FOLDER
from tasks.cube_spin.held_object import HeldObject
from tasks.orca.cache import cached_folder, content_hash
from tasks.orca.collision import COLLISION_GROUP
from tasks.orca.description import Hand
from tasks.orca.hand import hand_spec, source_hash

CAMERA, CUBE = "eye", "cube"
NUM_LIGHTS, NUM_HAND_MATERIALS = 4, 4
HAND_TEXTURE_PX, CUBE_TILE_PX = 64, 128
MAX_FACES = 600
"""Triangles kept of a mesh; drawing time is proportional to them on a CPU."""
TOWER_FACES = 1000
WELD_M = 0.001
COARSE = "_coarse"


class Surface(Protocol):
    """A closed mesh of V vertices and F triangles with texture coordinates."""

    @property
    def vertices(self) -> np.ndarray: ...  # (V, 3) [m]
    @property
    def normals(self) -> np.ndarray: ...  # (V, 3)
    @property
    def uv(self) -> np.ndarray: ...  # (V, 2), v up
    @property
    def triangles(self) -> np.ndarray: ...  # (F, 3)


def picture_model(
    hand: Hand, held: HeldObject | None = None, surface: Surface | None = None
) -> mujoco.MjModel:
    """The compiled scene; the first call takes a while, later ones read the cache.

    Args:
        hand: Which hand.
        held: The object; the paper's cube by default.
        surface: Of an object that is no cube.
    """
    held = held or HeldObject()
    cube = [CUBE_FOLDER / "cube.obj", CUBE_FOLDER / "cube.png"]
    source = source_hash(hand, "pictures" if held.is_first else f"pictures of {held.label}")
    drawn = [] if surface is None else [surface.vertices.tobytes(), surface.uv.tobytes()]
    key = content_hash([source, Path(__file__), *cube, *drawn])

    def build(folder: Path) -> None:
        model = picture_spec(hand, held, surface).compile()
        mujoco.mj_saveModel(model, str(folder / "scene.mjb"), None)

    folder = cached_folder("orca-pictures", key, build)
    return mujoco.MjModel.from_binary_path(str(folder / "scene.mjb"))


def picture_spec(
    hand: Hand, held: HeldObject | None = None, surface: Surface | None = None
) -> mujoco.MjSpec:
    """Hand, object, one camera with free intrinsics, lights; materials `hand_0`.. and `cube`.

    Joints come first in qpos, in the hand's order, then the cube's free joint.
    """
    spec = hand_spec(hand, visual=True)
    for geom in list(spec.geoms):
        if geom.group == COLLISION_GROUP:
            spec.delete(geom)
    for pair in list(spec.excludes):
        spec.delete(pair)
    full = spec.compile()
    names = tuple(full.joint(i).name for i in range(full.njnt))
    if names != hand.joint_names:
        raise ValueError(
            f"the compiled model orders its joints {names}, expected {hand.joint_names}"
        )
    for geom in spec.geoms:
        if geom.type != mujoco.mjtGeom.mjGEOM_MESH:
            continue
        geom.meshname = _add_coarse_mesh(spec, geom.meshname, *_triangles(full, geom.meshname))
    for mesh in list(spec.meshes):
        if not mesh.name.endswith(COARSE):
            spec.delete(mesh)
    set_stage(spec, held, surface)
    return spec


def set_stage(
    spec: mujoco.MjSpec, held: HeldObject | None = None, surface: Surface | None = None
) -> None:
    """Add the marked object, materials for all geoms that are there already, lights and a camera.

    Args:
        spec: Is changed.
        held: The object, a body "cube" whatever it is; the paper's cube by default.
        surface: Of an object that is no cube.

    Raises:
        ValueError: If it is no cube and has no surface.
    """
    _add_materials(spec)
    _add_object(spec, held or HeldObject(), surface)
    _add_stage(spec)


def _triangles(model: mujoco.MjModel, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) [m] and triangles (F, 3) of a compiled mesh, in the frame of its file."""
    mesh = model.mesh(name).id
    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.mesh_quat[mesh])
    centred = model.mesh_vert[first : first + count].astype(float)
    vertices = centred @ rotation.reshape(3, 3).T + model.mesh_pos[mesh]
    first, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
    return vertices, model.mesh_face[first : first + count]


def _add_coarse_mesh(
    spec: mujoco.MjSpec, name: str, vertices: np.ndarray, faces: np.ndarray
) -> str:
    """Add a decimated copy of a mesh, unless it is there already; returns the copy's name."""
    coarse = f"{name}{COARSE}"
    if spec.mesh(coarse) is not None:
        return coarse
    wanted = TOWER_FACES if "tower" in name else MAX_FACES
    if len(faces) > wanted:
        vertices, faces = _welded(vertices, faces)
        simplified = fast_simplification.simplify(
            vertices.astype(np.float64), faces.astype(np.int32), target_count=wanted, agg=9
        )
        vertices, faces = simplified[:2]
    mesh = spec.add_mesh(name=coarse, scale=np.ones(3))  # the package's default is millimetres
    mesh.uservert = np.asarray(vertices, dtype=np.float32).ravel()
    mesh.userface = np.asarray(faces, dtype=np.int32).ravel()
    return coarse


def _welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices closer than `WELD_M` become one: a mesh of loose parts cannot be decimated."""
    _, first, group = np.unique(
        np.round(vertices / WELD_M), axis=0, return_index=True, return_inverse=True
    )
    faces = group.ravel()[faces]
    kept = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return vertices[first], faces[kept]


def _add_materials(spec: mujoco.MjSpec) -> None:
    """Hand materials with a texture each, mapped by direction: the meshes have no coordinates."""
    for number in range(NUM_HAND_MATERIALS):
        name = f"hand_{number}"
        texture = spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_CUBE,
            width=HAND_TEXTURE_PX,
            height=6 * HAND_TEXTURE_PX,
            nchannel=3,
        )
        texture.data = bytes([200]) * (6 * HAND_TEXTURE_PX**2 * 3)
        material = spec.add_material(name=name)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    for number, geom in enumerate(spec.geoms):
        geom.material = f"hand_{number % NUM_HAND_MATERIALS}"


def _add_object(spec: mujoco.MjSpec, held: HeldObject, surface: Surface | None) -> None:
    body = spec.worldbody.add_body(name=CUBE)
    body.add_freejoint(name=CUBE)
    if held.shape == "cube":
        scale = np.full(3, held.ratio)
        spec.add_mesh(name=CUBE, file=str(CUBE_FOLDER / "cube.obj"), scale=scale)
    elif surface is None:
        raise ValueError(f"pictures of a {held.shape} need its surface")
    else:
        _add_surface(spec, surface)
    texture = spec.add_texture(
        name=CUBE,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=3 * CUBE_TILE_PX,
        height=2 * CUBE_TILE_PX,
        nchannel=3,
    )
    texture.data = bytes([128]) * (6 * CUBE_TILE_PX**2 * 3)  # painted by the renderer
    material = spec.add_material(name=CUBE)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = CUBE
    body.add_geom(
        name=CUBE,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=CUBE,
        material=CUBE,
        mass=0.05,
        contype=0,
        conaffinity=0,
    )


def _add_surface(spec: mujoco.MjSpec, surface: Surface) -> None:
    mesh = spec.add_mesh(name=CUBE, scale=np.ones(3))
    mesh.uservert = surface.vertices.astype(np.float32).ravel()
    mesh.usernormal = surface.normals.astype(np.float32).ravel()
    mesh.usertexcoord = (surface.uv * (1.0, -1.0) + (0.0, 1.0)).astype(np.float32).ravel()
    places = surface.triangles.astype(np.int32).ravel()
    mesh.userface = mesh.userfacenormal = mesh.userfacetexcoord = places


def _add_stage(spec: mujoco.MjSpec) -> None:
    """A camera that can be given any K, and lights; the renderer sets all of them per picture."""
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1920, 1080
    spec.visual.quality.offsamples = 0  # software rendering pays dearly for smoothed edges
    spec.visual.quality.shadowsize = 1024
    spec.stat.extent, spec.stat.center = 0.5, [0.04, 0.15, 0.0]
    spec.visual.map.znear = 0.02
    spec.visual.map.zfar = 20.0
    camera = spec.worldbody.add_camera(name=CAMERA, pos=[0.04, 0.18, -0.35], quat=[0, 1, 0, 0])
    camera.resolution = [320, 240]
    camera.sensor_size = [1.0, 0.75]
    camera.focal_pixel = [270, 270]
    for _ in range(NUM_LIGHTS):
        spec.worldbody.add_light(pos=[0, 0, -0.5], dir=[0, 0, 1], active=False)
