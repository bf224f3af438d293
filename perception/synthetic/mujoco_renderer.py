"""Draws pictures with MuJoCo's OpenGL renderer: colour, depth and ids of one scene."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from perception.cube_art import ROWS
from perception.geometry import inverse, transform
from perception.marked import CUBE, MarkedObject
from perception.samples import BACKGROUND_ID, CUBE_ID, HAND_ID
from perception.synthetic.looks import Look, Material
from perception.synthetic.views import View

_XYZW_TO_WXYZ = [3, 0, 1, 2]
_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class SceneState:
    """What the world looks like, in the hand's root frame."""

    joint_pos: np.ndarray
    """(17,) [rad] in the model's order."""
    cube_pos: np.ndarray
    """(3,) [m]."""
    cube_quat: np.ndarray
    """(4,) xyzw."""


@dataclass(frozen=True)
class Rendering:
    """One drawn view, without a background."""

    image: np.ndarray
    """(H, W, 3) uint8."""
    depth_m: np.ndarray
    """(H, W) along the optical axis."""
    ids: np.ndarray
    """(H, W) uint8, as in `Sample`."""
    T_camera_cube: np.ndarray
    """(4, 4)."""


class Window(Protocol):
    """A place in memory to draw to, of any of MuJoCo's backends."""

    def make_current(self) -> None: ...
    def free(self) -> None: ...


def _drawing_context(
    model: mujoco.MjModel, size: tuple[int, int]
) -> tuple[Window, mujoco.MjrContext]:
    """An OpenGL context, by the backend chosen now, not when MuJoCo was imported."""
    try:
        from mujoco.rendering.classic import gl_context  # fails where the backend is missing

        window = gl_context.GLContext(*size)
        window.make_current()
        return window, mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    except (AttributeError, ImportError, RuntimeError, mujoco.FatalError) as error:
        raise RuntimeError(
            f"cannot draw with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')!r}: {error}. Unset it, "
            "or set egl (with a GPU) or osmesa (apt-get install libosmesa6)"
        ) from error


class MujocoRenderer:
    """One graphics context; use one per process, and close it.

    Args:
        model: A scene with a camera "eye", a free body "cube" after the hand's joints, lights,
            materials "hand_0".. with cube-map textures and "cube" with the atlas.
        size: Width and height of the pictures.
        marked: What the body "cube" is.

    The caller has set `MUJOCO_GL` where there is no display.

    Raises:
        RuntimeError: If nothing can be drawn here; says what to set or install.
        ValueError: If the pictures are larger than the scene allows.
    """

    name, batch, any_intrinsics, draws_rooms = "twin", 1, True, False

    def __init__(
        self, model: mujoco.MjModel, size: tuple[int, int], marked: MarkedObject = CUBE
    ) -> None:
        self._model, self._data, self.size = model, mujoco.MjData(model), size
        self.marked = marked
        most = model.vis.global_.offwidth, model.vis.global_.offheight
        if min(size) < 1 or size[0] > most[0] or size[1] > most[1]:
            raise ValueError(
                f"pictures of {size[0]} x {size[1]} px; this scene draws 1 x 1 to "
                f"{most[0]} x {most[1]}"
            )
        self._window, self._context = _drawing_context(model, size)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 16)
        self._rect = mujoco.MjrRect(0, 0, *size)
        self._watch = mujoco.MjvCamera()
        self._watch.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._watch.fixedcamid = model.camera("eye").id
        self._cube = model.body("cube").id
        self._cube_qpos = int(model.joint("cube").qposadr[0])
        self._camera = model.camera("eye").id
        names = [model.material(i).name for i in range(model.nmat)]
        self._hand_materials = [name for name in names if name.startswith("hand_")]
        self.materials = len(self._hand_materials)
        hand, cube = model.texture("hand_0").id, model.texture("cube").id
        self.textures_px = int(model.tex_width[hand]), int(model.tex_height[cube]) // ROWS
        self._id_of_geom = np.where(model.geom_bodyid == self._cube, CUBE_ID, HAND_ID)

    def render(
        self, states: Sequence[SceneState], views: Sequence[View], looks: Sequence[Look]
    ) -> list[Rendering]:
        """Draw one picture per entry; raises as `render_one` does."""
        return [self.render_one(*entry) for entry in zip(states, views, looks, strict=True)]

    def render_one(self, state: SceneState, view: View, look: Look) -> Rendering:
        """Draw one picture.

        Raises:
            ValueError: If the view has another size than this renderer, or the state another number
                of joints than the scene.
        """
        if view.size != self.size:
            raise ValueError(f"a view of {view.size} pixels; this renderer draws {self.size}")
        self._place(state)
        self._aim(view)
        self._dress(look, np.array(state.cube_pos))
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            *(self._model, self._data, mujoco.MjvOption(), None),
            *(self._watch, everything, self._scene),
        )
        image = self._draw_colour()
        ids, depth = self._draw_ids_and_depth()
        camera_from_world = inverse(view.T_world_camera)
        pose = camera_from_world @ transform(state.cube_pos, state.cube_quat)
        return Rendering(image, depth, ids, pose)

    def close(self) -> None:
        """Free the graphics context."""
        self._context.free()
        self._window.free()

    def _place(self, state: SceneState) -> None:
        if len(state.joint_pos) != self._cube_qpos:
            raise ValueError(
                f"a state of {len(state.joint_pos)} joints; the scene has {self._cube_qpos}"
            )
        start = self._cube_qpos
        self._data.qpos[:start] = state.joint_pos
        self._data.qpos[start : start + 3] = state.cube_pos
        self._data.qpos[start + 3 : start + 7] = np.asarray(state.cube_quat)[_XYZW_TO_WXYZ]

    def _aim(self, view: View) -> None:
        """Pose and intrinsics; MuJoCo wants lengths on a sensor, whose pixel size is arbitrary."""
        model, (width, height) = self._model, self.size
        axes = view.T_world_camera[:3, :3] @ _OPENGL_FROM_OPENCV
        mujoco.mju_mat2Quat(model.cam_quat[self._camera], axes.ravel())
        model.cam_pos[self._camera] = view.T_world_camera[:3, 3]
        model.cam_resolution[self._camera] = self.size
        pixel = 1.0 / width
        model.cam_sensorsize[self._camera] = (1.0, height * pixel)
        (fx, _, cx), (_, fy, cy) = view.camera[0], view.camera[1]
        shift = (width / 2 - cx, height / 2 - cy)
        model.cam_intrinsic[self._camera] = np.array([fx, fy, *shift]) * pixel

    def _dress(self, look: Look, workspace: np.ndarray) -> None:
        model = self._model
        model.vis.headlight.ambient[:] = look.ambient
        model.vis.headlight.diffuse[:] = 0.0
        model.vis.headlight.specular[:] = 0.0
        model.light_active[:] = 0
        for number, light in enumerate(look.lights):
            offset = np.array(light.offset_m)
            model.light_active[number] = 1
            model.light_pos[number] = workspace + offset
            model.light_dir[number] = -offset / np.linalg.norm(offset)
            model.light_diffuse[number] = light.diffuse
            model.light_specular[number] = light.diffuse
            model.light_castshadow[number] = light.shadow
            model.light_cutoff[number] = 60.0
        for name, material, texture in zip(
            self._hand_materials, look.hand, look.hand_textures, strict=True
        ):
            self._paint(name, material, np.tile(texture, (6, 1, 1)))
        self._paint("cube", look.cube, look.cube_atlas)
        mujoco.mj_kinematics(model, self._data)
        mujoco.mj_camlight(model, self._data)

    def _paint(self, name: str, material: Material, texture: np.ndarray) -> None:
        model = self._model
        row, place = model.material(name).id, model.texture(name).id
        model.mat_rgba[row, :3] = material.colour
        model.mat_specular[row], model.mat_shininess[row] = material.specular, material.shininess
        first = model.tex_adr[place]
        model.tex_data[first : first + texture.size] = texture.ravel()
        mujoco.mjr_uploadTexture(model, self._context, place)

    def _draw_colour(self) -> np.ndarray:
        image = np.empty((self.size[1], self.size[0], 3), dtype=np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(image, None, self._rect, self._context)
        return image[::-1]  # OpenGL's first row is the lowest

    def _draw_ids_and_depth(self) -> tuple[np.ndarray, np.ndarray]:
        """A second, unlit drawing without smoothed edges; its colours are numbers."""
        width, height = self.size
        flags = self._scene.flags
        kept = flags.copy()
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        colours = np.empty((height, width, 3), dtype=np.uint8)
        raw = np.empty((height, width), dtype=np.float32)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(colours, raw, self._rect, self._context)
        flags[:] = kept
        numbers = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16])  # 0 is nothing
        of_number = np.full(self._scene.ngeom + 1, BACKGROUND_ID, dtype=np.uint8)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0:
                of_number[geom.segid + 1] = self._id_of_geom[geom.objid]
        clip = self._model.vis.map
        ratio = clip.znear / clip.zfar
        near = clip.znear * self._model.stat.extent
        depth = near / (ratio + (1.0 - ratio) * (1.0 - raw))
        return of_number[numbers][::-1], depth[::-1]
