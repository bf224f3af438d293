"""The cube-spin scene with a camera under the palm, for synthetic pictures."""

import isaaclab.sim as sim_utils
from isaaclab.sensors import CameraCfg
from isaaclab.utils import configclass
from isaaclab_newton.renderers import NewtonWarpRendererCfg

from tasks.cube_spin.env_cfg import CubeSpinEnvCfg
from tasks.cube_spin.platform import platform_cfg
from tasks.cube_spin.scene_cfg import CubeSpinSceneCfg

IMAGE_SIZE = (320, 240)
DATA_TYPES = ["rgb", "albedo", "normals", "depth", "instance_segmentation"]


@configclass
class CubeSpinRenderSceneCfg(CubeSpinSceneCfg):
    """With a camera, aimed by `set_world_poses`; the platform is there but cannot be seen."""

    camera = CameraCfg(
        prim_path="{ENV_REGEX_NS}/Camera",
        width=IMAGE_SIZE[0],
        height=IMAGE_SIZE[1],
        data_types=DATA_TYPES,
        colorize_instance_segmentation=False,
        spawn=sim_utils.PinholeCameraCfg(clipping_range=(0.01, 5.0)),
        renderer_cfg=NewtonWarpRendererCfg(),
    )
    platform = platform_cfg(visible=False)


@configclass
class CubeSpinRenderEnvCfg(CubeSpinEnvCfg):
    """Few environments that look through their cameras."""

    scene: CubeSpinRenderSceneCfg = CubeSpinRenderSceneCfg()

    def __post_init__(self) -> None:
        self.scene.num_envs = 16
