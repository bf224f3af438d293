"""Draws pictures with a path tracer (Mitsuba 3, CPU): light as it is, a hundred times slower.

It is made to test eyes that have learned from the fast renderer: gloss, soft shadows, light that
comes from everywhere, depth of field. Geometry and labels are the fast renderer's.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from perception.cube import FACES
from perception.cube_art import texture_coordinates
from perception.geometry import transform
from perception.marked import CUBE, MarkedObject
from perception.marked_mesh import marked_mesh
from perception.samples import BACKGROUND_ID
from perception.synthetic.develop import develop, exposure_times, rolling_shutter
from perception.synthetic.looks import Look, Material
from perception.synthetic.mujoco_renderer import MujocoRenderer, Rendering, SceneState
from perception.synthetic.room import Lamp, Room, Surface
from perception.synthetic.views import View
from perception.tone import to_linear

if TYPE_CHECKING:
    import mitsuba as mi

MAX_BOUNCES = 5
SLICES = 6
"""Drawings of a moving cube, over all rows' exposures."""
_FLIPPED = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Mitsuba's cameras have x to the left and y up."""


class PathRenderer:
    """A `Renderer`; one per process, and close it.

    Args:
        model: A scene as `MujocoRenderer` wants it, of meshes only.
        size: Width and height of the pictures.
        samples: Paths per pixel.
        marked: What the body "cube" is.

    Raises:
        ImportError: If Mitsuba is not installed.
        RuntimeError: If MuJoCo cannot draw here, which gives depth and masks.
    """

    name, batch, any_intrinsics, draws_rooms = "path", 1, False, True

    def __init__(
        self,
        model: mujoco.MjModel,
        size: tuple[int, int],
        samples: int,
        marked: MarkedObject = CUBE,
    ) -> None:
        self._mi, self.marked = path_tracer(), marked
        self._labels = MujocoRenderer(model, size, marked)
        self.materials, self.textures_px = self._labels.materials, self._labels.textures_px
        self.size, self._samples = size, samples
        self._model, self._data = model, mujoco.MjData(model)
        self._cube = model.body("cube").id
        self._hand_geoms = np.flatnonzero(model.geom_bodyid != self._cube)

    def render(
        self, states: Sequence[SceneState], views: Sequence[View], looks: Sequence[Look]
    ) -> list[Rendering]:
        """One picture per entry; raises as `MujocoRenderer.render_one` does."""
        return [self.render_one(*entry) for entry in zip(states, views, looks, strict=True)]

    def render_one(self, state: SceneState, view: View, look: Look) -> Rendering:
        """Draw one picture, surroundings included.

        Raises:
            ValueError: As `MujocoRenderer.render_one`, or if the look has no room.
        """
        if look.room is None:
            raise ValueError("the path tracer needs a look with a room (`room.draw_room`)")
        room, labels = look.room, self._labels.render_one(state, view, look)
        light = self._light(state, view, look, room)
        seen = labels.ids != BACKGROUND_ID
        rng = np.random.default_rng(room.noise_seed)
        return replace(labels, image=develop(light, seen, room.sensor, rng))

    def close(self) -> None:
        """Free the graphics context."""
        self._labels.close()

    def _light(self, state: SceneState, view: View, look: Look, room: Room) -> np.ndarray:
        """(H, W, 3) linear light behind the lens."""
        cube = transform(np.asarray(state.cube_pos), np.asarray(state.cube_quat))
        still = self._still_parts(state, view, look, room, cube)
        cube[:3, :3] *= room.print_scale
        surface = self._print(look, room)
        if room.motion is None:
            return self._drawn(still, cube, surface, self._samples, room.noise_seed)
        motion, slices = room.motion, []
        for number, time in enumerate(exposure_times(motion, SLICES)):
            moved = cube.copy()
            moved[:3, 3] += time * motion.velocity_m_s
            moved[:3, :3] = (
                Rotation.from_rotvec(time * motion.spin_rad_s).as_matrix() @ cube[:3, :3]
            )
            samples = max(self._samples // 2, 1)  # a row is the mean of two or three slices
            slices.append(self._drawn(still, moved, surface, samples, room.noise_seed + number))
        return rolling_shutter(np.stack(slices), motion)

    def _drawn(
        self, still: dict, cube: np.ndarray, surface: dict, samples: int, seed: int
    ) -> np.ndarray:
        parts = still | {"cube": self._cube_mesh(cube, surface)}
        scene = self._mi.load_dict(parts, parallel=False)  # else lamps come in any order
        return np.array(self._mi.render(scene, spp=samples, seed=seed))  # type: ignore[arg-type]  # a scene

    def _still_parts(
        self, state: SceneState, view: View, look: Look, room: Room, cube: np.ndarray
    ) -> dict:
        """Everything but the cube, as Mitsuba's dictionary."""
        parts: dict = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": MAX_BOUNCES},
            "sensor": self._camera(view, room, cube),
            "surroundings": self._surroundings(room),
        }
        for number, lamp in enumerate(room.lamps):
            parts[f"lamp_{number}"] = self._lamp(lamp, cube[:3, 3])
        joints = len(state.joint_pos)
        self._data.qpos[:joints] = state.joint_pos
        mujoco.mj_kinematics(self._model, self._data)
        surfaces = [
            self._mi.load_dict(_bsdf(surface, _colour(material, texture)))
            for surface, material, texture in zip(
                room.hand, look.hand, look.hand_textures, strict=True
            )
        ]
        for geom in self._hand_geoms.tolist():
            name = self._model.material(self._model.geom_matid[geom]).name
            parts[f"hand_{geom}"] = self._geom_mesh(geom, surfaces[int(name.split("_")[1])])
        return parts

    def _camera(self, view: View, room: Room, cube: np.ndarray) -> dict:
        distance = float(np.linalg.norm(view.T_world_camera[:3, 3] - cube[:3, 3]))
        width, height = self.size
        return {
            "type": "thinlens",
            "aperture_radius": room.lens.aperture_m,
            "focus_distance": distance * room.lens.focus,
            "fov": float(2.0 * np.degrees(np.arctan(width / 2.0 / view.camera[0, 0]))),
            "fov_axis": "x",
            "near_clip": 0.01,
            "to_world": self._mi.ScalarTransform4f(view.T_world_camera @ _FLIPPED),
            "film": {
                "type": "hdrfilm",
                "width": width,
                "height": height,
                "pixel_format": "rgb",
                "rfilter": {"type": "box"},  # else threads would add in any order
            },
            "sampler": {"type": "independent"},
        }

    def _surroundings(self, room: Room) -> dict:
        """A picture all around, as a source of light; its poles are where the fingers point to."""
        light = to_linear(room.surroundings.astype(np.float32) / 255.0)
        grey = light.mean(axis=2, keepdims=True)
        light = grey + room.colourful * (light - grey)
        light = light / max(float(light.mean()), 1e-3) * room.ambient / np.pi
        return {"type": "envmap", "bitmap": self._mi.Bitmap(np.ascontiguousarray(light))}

    def _lamp(self, lamp: Lamp, target: np.ndarray) -> dict:
        place, distance = target + np.array(lamp.offset_m), np.linalg.norm(lamp.offset_m)
        up = [0.0, 0.0, 1.0] if abs(lamp.offset_m[2]) < 0.9 * distance else [0.0, 1.0, 0.0]
        radiance = np.array(lamp.power) * (distance / lamp.edge_m) ** 2
        to_world = self._mi.ScalarTransform4f().look_at(
            origin=place.tolist(), target=target.tolist(), up=up
        )
        return {
            "type": "rectangle",
            "to_world": to_world.scale(lamp.edge_m / 2.0),
            "emitter": {"type": "area", "radiance": _rgb(radiance)},
        }

    def _print(self, look: Look, room: Room) -> dict:
        """The cube's paper with what the look has printed on it, bleached."""
        printed = look.cube_atlas.astype(np.float32)
        printed = printed + room.bleached * (235.0 - printed)
        picture = np.clip(np.round(printed), 0, 255).astype(np.uint8)
        texture = {"type": "bitmap", "bitmap": self._mi.Bitmap(picture), "wrap_mode": "clamp"}
        return _bsdf(room.cube, texture)

    def _cube_mesh(self, pose: np.ndarray, surface: dict) -> "mi.Mesh":
        """The object at a pose (4, 4): a corner per face, since each has its own print."""
        if self.marked.shape != "cube":
            mesh = marked_mesh(self.marked)
            places = mesh.vertices @ pose[:3, :3].T + pose[:3, 3]
            uv = mesh.uv * (1.0, -1.0) + (0.0, 1.0)
            return self._mesh("cube", places, mesh.triangles, self._mi.load_dict(surface), uv)
        corners = self.marked.keypoints() @ pose[:3, :3].T + pose[:3, 3]
        places = np.concatenate([corners[list(face.corners)] for face in FACES])  # (24, 3)
        first = 4 * np.arange(len(FACES))[:, None, None]
        triangles = (first + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
        uv = texture_coordinates().reshape(-1, 2) * (1.0, -1.0) + (0.0, 1.0)  # v counts downwards
        return self._mesh("cube", places, triangles, self._mi.load_dict(surface), uv)

    def _geom_mesh(self, geom: int, surface: "mi.BSDF") -> "mi.Mesh":
        model, data = self._model, self._data
        mesh = model.geom_dataid[geom]
        if mesh < 0:
            raise ValueError(f"geom {geom} of the scene is no mesh; the path tracer draws meshes")
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        rotation = data.geom_xmat[geom].reshape(3, 3)
        places = model.mesh_vert[first : first + count] @ rotation.T + data.geom_xpos[geom]
        first, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        return self._mesh(f"hand_{geom}", places, model.mesh_face[first : first + count], surface)

    def _mesh(
        self,
        name: str,
        places: np.ndarray,
        triangles: np.ndarray,
        surface: "mi.BSDF",
        uv: np.ndarray | None = None,
    ) -> "mi.Mesh":
        about = self._mi.Properties()
        about["bsdf"] = surface
        mesh = self._mi.Mesh(
            name, len(places), len(triangles), has_vertex_texcoords=uv is not None, props=about
        )
        entries = self._mi.traverse(mesh)
        entries["vertex_positions"] = places.ravel().astype(np.float32)
        entries["faces"] = triangles.ravel().astype(np.uint32)
        if uv is not None:
            entries["vertex_texcoords"] = uv.ravel().astype(np.float32)
        entries.update()
        return mesh


def path_tracer() -> ModuleType:
    """The path tracer, on one core and without its progress messages.

    A process per core draws more pictures than threads would.

    Raises:
        ImportError: If it is not installed.
    """
    import drjit
    import mitsuba as tracer

    drjit.set_thread_count(1)
    tracer.set_variant("scalar_rgb")
    tracer.set_log_level(tracer.LogLevel.Error)
    return tracer


def _colour(material: Material, texture: np.ndarray) -> dict:
    """A part's colour: the mean of its pattern, since its meshes have no coordinates."""
    return _rgb(
        np.clip(np.array(material.colour) * to_linear(texture / 255.0).mean(axis=(0, 1)), 0, 0.95)
    )


def _rgb(colour: np.ndarray) -> dict:
    return {"type": "rgb", "value": np.asarray(colour, dtype=float).tolist()}


def _bsdf(surface: Surface, colour: dict) -> dict:
    """Mitsuba's description of a surface seen from both sides."""
    if surface.metal:
        inner = {"type": "roughconductor", "alpha": surface.roughness, "material": "Al"}
    elif surface.coat:
        inner = {"type": "roughplastic", "alpha": surface.roughness, "diffuse_reflectance": colour}
    else:
        inner = {
            "type": "principled",
            "roughness": surface.roughness,
            "specular": 0.3,
            "base_color": colour,
        }
    return {"type": "twosided", "bsdf": inner}
