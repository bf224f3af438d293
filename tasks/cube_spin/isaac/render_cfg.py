"""The cube-spin scene with a camera under the palm, for synthetic pictures."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import math

import isaaclab.sim as sim_utils
import numpy as np
from isaaclab.assets import RigidObjectCfg
from isaaclab.sensors import CameraCfg
from isaaclab.utils import configclass
from isaaclab_newton.renderers import NewtonWarpRendererCfg
from scipy.spatial.transform import Rotation

from tasks.cube_spin.isaac.cube_usd import cube_usd
from tasks.cube_spin.isaac.env_cfg import CubeSpinEnvCfg
from tasks.cube_spin.isaac.platform import platform_cfg
from tasks.cube_spin.isaac.scene_cfg import CubeSpinSceneCfg, object_cfg
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand
from tasks.orca.isaac import ROOT_HEIGHT_M
from tasks.orca.names import FIRST_HAND

IMAGE_SIZE = (320, 240)
DATA_TYPES = ["rgb", "albedo", "normals", "depth", "semantic_segmentation"]
VERTICAL_FIELD_OF_VIEW_DEG = 38.0
FOCAL_LENGTH_MM = 24.0


def below_camera_cfg(hand: Hand) -> CameraCfg:
    """A camera under the palm that looks up at the cube; `set_world_poses` moves it."""
    width, height = IMAGE_SIZE
    from_cube = np.array(hand.camera_from_grasp_m)
    backward = from_cube / np.linalg.norm(from_cube)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(backward, right), backward], axis=1)
    eye = np.array(hand.grasp_point_m) + from_cube + np.array([0.0, 0.0, ROOT_HEIGHT_M])
    half_angle = math.radians(VERTICAL_FIELD_OF_VIEW_DEG) / 2.0
    return CameraCfg(
        prim_path="{ENV_REGEX_NS}/Camera",
        offset=CameraCfg.OffsetCfg(
            pos=tuple(eye.tolist()),
            rot=tuple(Rotation.from_matrix(axes).as_quat().tolist()),
            convention="opengl",
        ),
        width=width,
        height=height,
        data_types=DATA_TYPES,
        colorize_semantic_segmentation=False,
        spawn=sim_utils.PinholeCameraCfg(
            focal_length=FOCAL_LENGTH_MM,
            horizontal_aperture=2.0 * FOCAL_LENGTH_MM * math.tan(half_angle) * width / height,
            clipping_range=(0.01, 5.0),
        ),
        renderer_cfg=NewtonWarpRendererCfg(),
    )


def marked_cube_cfg(hand: Hand) -> RigidObjectCfg:
    """The cube with its glyphs, in place of the plain one."""
    plain = object_cfg(hand)
    return plain.replace(
        spawn=sim_utils.UsdFileCfg(
            usd_path=str(cube_usd()),
            mass_props=[sim_utils.MassCfg(mass=0.05)],
            semantic_tags=[("class", "cube")],
        )
    )


@configclass
class CubeSpinRenderSceneCfg(CubeSpinSceneCfg):
    """With a camera; the platform is there but cannot be seen."""

    camera = below_camera_cfg(load_hand(FIRST_HAND))
    platform = platform_cfg(load_hand(FIRST_HAND), visible=False)


@configclass
class CubeSpinRenderEnvCfg(CubeSpinEnvCfg):
    """Few environments that look through their cameras."""

    scene: CubeSpinRenderSceneCfg = CubeSpinRenderSceneCfg()

    def __post_init__(self) -> None:
        self.scene.num_envs = 16
        self.randomization = "nominal"

    def validate_config(self) -> None:
        """As for training, but with the cube that cameras know.

        Raises:
            ValueError: For another object.
        """
        super().validate_config()
        if not (held := self.task.object).is_first:
            raise ValueError(
                f"Isaac Lab's cameras draw the cube of 45 mm alone, not the {held.label}"
            )
        self.scene.cube = marked_cube_cfg(load_hand(self.task.hand))
