"""Hand, cube, estimated pose, planned fingertips and candidates in a browser, by viser.

Everything is in the frame of the hand's root, as MuJoCo has it; quaternions here are wxyz, which
both MuJoCo and viser use.
"""

from typing import TYPE_CHECKING

import mujoco
import numpy as np

from tasks.cube_spin.config import PLATFORM_HALF_SIZE_M
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.twin.scene import FACE_COLOURS, twin_model
from tasks.cube_spin.view.bars import bars
from tasks.orca.description import Hand

if TYPE_CHECKING:
    import trimesh
    import viser

HIDDEN_GROUP = 1
"""MuJoCo's group of the shapes that touch."""
PLAN_COLOUR, ESTIMATE_COLOUR = (30, 110, 230), (250, 200, 30)
NOWHERE = np.zeros((0, 2, 3), np.float32)


def open_server(port: int, label: str) -> "viser.ViserServer":
    """A page for browsers of this machine alone.

    Args:
        port: 0 takes a free one.
        label: Shown on top.

    Raises:
        ImportError: If the extra `viewer` is not installed.
    """
    import viser

    return viser.ViserServer(host="127.0.0.1", port=port, label=label, verbose=False)


class HandScene:
    """What is drawn; nothing is seen before it was shown.

    Args:
        server: Of viser.
        hand: Which hand.
        scores: What candidates are ranked by, as a word.
        held: The object; the paper's cube by default.
    """

    def __init__(
        self,
        server: "viser.ViserServer",
        hand: Hand,
        scores: str = "candidates",
        held: HeldObject | None = None,
    ) -> None:
        self._server, self._hand, self._scores_title = server, hand, scores
        self._held = held or HeldObject()
        self.model = twin_model(hand, self._held, visual=True)
        self.data, self._ahead = mujoco.MjData(self.model), mujoco.MjData(self.model)
        scene = server.scene
        scene.set_up_direction("+z")
        near = np.array(hand.grasp_point_m)
        server.initial_camera.position = near + np.array([0.25, 0.2, -0.12])
        server.initial_camera.look_at = near
        self._frames = {
            body: scene.add_frame(f"/hand/{self.model.body(body).name}", show_axes=False)
            for body in range(1, self.model.nbody)
            if self.model.body(body).name not in ("cube", "platform")
        }
        for geom in range(self.model.ngeom):
            self._add_geom(geom)
        self._tips = [self.model.body(tip.body).id for tip in hand.fingertips]
        self._cube = scene.add_mesh_trimesh("/cube", _coloured(self._held), visible=False)
        self._estimate = scene.add_box(
            "/estimate",
            color=ESTIMATE_COLOUR,
            dimensions=2.12 * np.array(self._held.half_extents_m()),
            opacity=0.35,
            visible=False,
        )
        self._platform = scene.add_box(
            "/platform",
            color=(90, 100, 115),
            dimensions=2.0 * np.array(PLATFORM_HALF_SIZE_M),
            visible=False,
        )
        self._plan = scene.add_line_segments("/plan", NOWHERE, PLAN_COLOUR, thickness=0.002)
        self._bars = server.gui.add_html(bars(np.zeros(0), scores))

    def show_hand(self, joint_pos: np.ndarray) -> None:
        """Joint angles (17,) [rad]."""
        self.data.qpos[: len(joint_pos)] = joint_pos
        mujoco.mj_kinematics(self.model, self.data)
        for body, frame in self._frames.items():
            frame.position, frame.wxyz = self.data.xpos[body], self.data.xquat[body]

    def show_cube(self, pose_wxyz: np.ndarray | None, size_m: float | None = None) -> None:
        """Where it truly is, (7,) [m], and its edge or diameter; None: nobody knows."""
        self._cube.scale = self._held.size_m if size_m is None else size_m
        _place(self._cube, pose_wxyz)

    def show_estimate(self, pose_wxyz: np.ndarray | None) -> None:
        """Where it was seen, (7,) [m]; None: nobody looked."""
        _place(self._estimate, pose_wxyz)

    def show_platform(self, height_m: float | None) -> None:
        """The middle of the platform; None: it has left."""
        centre = None if height_m is None else np.array([*self._hand.grasp_point_m[:2], height_m])
        _place(self._platform, None if centre is None else np.array([*centre, 1.0, 0.0, 0.0, 0.0]))

    def show_plan(self, planned: np.ndarray) -> None:
        """Where the fingertips will be, from joint angles (Q, 17) [rad], the next one first."""
        paths = np.array([self._fingertips(joints) for joints in planned], np.float32)
        if len(paths) < 2:
            self._plan.points = NOWHERE
            return
        pieces = np.stack([paths[:-1], paths[1:]], axis=2)  # (Q - 1, tips, 2, 3)
        self._plan.points = pieces.reshape(-1, 2, 3)

    def show_scores(self, scores: np.ndarray) -> None:
        """What the candidates of the newest decision were ranked by, (K,)."""
        self._bars.content = bars(scores, self._scores_title)

    def _fingertips(self, joint_pos: np.ndarray) -> np.ndarray:
        """(tips, 3) [m]."""
        self._ahead.qpos[: len(joint_pos)] = joint_pos
        mujoco.mj_kinematics(self.model, self._ahead)
        return np.array(
            [
                self._ahead.xpos[body] + self._ahead.xmat[body].reshape(3, 3) @ centre
                for body, centre in zip(self._tips, self._hand.fingertip_centres_m, strict=True)
            ]
        )

    def _add_geom(self, geom: int) -> None:
        """A picture's mesh, in the frame of its body."""
        model = self.model
        body, mesh = int(model.geom_bodyid[geom]), int(model.geom_dataid[geom])
        is_mesh = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH
        if body not in self._frames or not is_mesh or model.geom_group[geom] == HIDDEN_GROUP:
            return
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        face, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        material = model.geom_matid[geom]
        rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
        self._server.scene.add_mesh_simple(
            f"{self._frames[body].name}/{geom}",
            vertices=model.mesh_vert[first : first + count],
            faces=model.mesh_face[face : face + faces],
            color=(255.0 * rgba[:3]).astype(np.uint8),
            position=model.geom_pos[geom],
            wxyz=model.geom_quat[geom],
        )


def _place(handle: "viser.SceneNodeHandle", pose_wxyz: np.ndarray | None) -> None:
    handle.visible = pose_wxyz is not None
    if pose_wxyz is not None:
        handle.position, handle.wxyz = pose_wxyz[:3], pose_wxyz[3:]


def _coloured(held: HeldObject) -> "trimesh.Trimesh":
    """An object of edge or diameter 1 whose sides can be told apart."""
    import trimesh

    shape = trimesh.creation.box()
    if held.shape == "cylinder":
        shape = trimesh.creation.cylinder(radius=0.5, height=held.upright_m / held.size_m)
    elif held.shape == "sphere":
        shape = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    side = np.abs(shape.face_normals).argmax(axis=1)
    is_negative = np.take_along_axis(shape.face_normals, side[:, None], 1)[:, 0] < 0
    colours = np.array(FACE_COLOURS)[2 * side + is_negative]
    return trimesh.Trimesh(shape.vertices, shape.faces, face_colors=colours, process=False)
