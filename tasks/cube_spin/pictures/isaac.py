"""Pictures from Isaac Lab's cameras, one per environment, kit-less with the Newton Warp renderer.

The renderer has one set of lights for all environments, so what is taken here is unlit: surface
colour, normals, depth and whether a pixel shows hand or cube. Light is applied per picture later.
"""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

from dataclasses import dataclass

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.sensors import Camera
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin.isaac.environment import IsaacCubeSpin, isaac_configs, open_isaac_env
from tasks.cube_spin.isaac.mdp.events import write_state
from tasks.cube_spin.pictures.states import States
from tasks.orca.description import Hand

RENDER_TASK = "Sernf-Orca-CubeSpin-Render"
KINDS = ("nothing", "hand", "cube")
NOWHERE_M = 10.0
"""Depth of pixels that show nothing."""


@dataclass(frozen=True)
class UnlitPictures:
    """N pictures of H x W pixels, on the simulation's device."""

    albedo: Tensor  # (N, H, W, 3) float, 0 to 1
    normal: Tensor  # (N, H, W, 3) unit, axes of the hand's root frame
    depth_m: Tensor  # (N, H, W) along the optical axis
    kind: Tensor  # (N, H, W) long: index into KINDS


class IsaacCameras:
    """An Isaac Lab simulation that only shows states; close it before another one is made.

    Args:
        hand: Which hand.
        num_envs: N, pictures taken at once.
        size: Width and height of a picture in pixels.
        device: "cpu" or "cuda:N".
    """

    def __init__(
        self, hand: Hand, num_envs: int, size: tuple[int, int], device: str = "cpu"
    ) -> None:
        cfg, _ = isaac_configs(RENDER_TASK, num_envs=num_envs, device=device)
        cfg.task.hand = hand.key
        cfg.scene.camera.width, cfg.scene.camera.height = size
        self._env: IsaacCubeSpin = open_isaac_env(cfg)
        lab = self._env.unwrapped
        assert isinstance(lab, ManagerBasedRLEnv), "what the task is registered with"
        self._lab = lab
        self._camera: Camera = self._lab.scene["camera"]
        self.num_envs, self.size, self.device = num_envs, size, torch.device(device)

    def shoot(self, states: States, focal_px: float, T_hand_camera: Tensor) -> UnlitPictures:
        """Pictures of up to N states.

        Args:
            states: At most N.
            focal_px: Of all cameras; their principal point is the middle.
            T_hand_camera: Poses (N, 4, 4) of the cameras (OpenCV axes) in the hand's root frame.

        Raises:
            ValueError: If there are more states than environments.
        """
        count = len(states)
        if count > self.num_envs:
            raise ValueError(f"{count} states for {self.num_envs} environments")
        envs = torch.arange(count, device=self.device)
        values = (states.joint_pos, states.cube_pos, states.cube_quat)
        joint_pos, cube_pos, cube_quat = (
            torch.from_numpy(value).float().to(self.device) for value in values
        )
        write_state(
            self._lab,
            envs,
            joint_pos=joint_pos,
            cube_pos=cube_pos,
            cube_quat=cube_quat,
            cube_vel=torch.zeros_like(cube_pos),
        )
        self._aim(focal_px, T_hand_camera[:count], envs)
        self._lab.sim.forward()
        self._camera.update(dt=0.0, force_recompute=True)
        return self._read(count)

    def close(self) -> None:
        """End the simulation."""
        self._env.close()

    def _aim(self, focal_px: float, poses: Tensor, envs: Tensor) -> None:
        width, height = self.size
        matrix = torch.tensor(
            [[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]]
        )
        self._camera.set_intrinsic_matrices(matrix.expand(self.num_envs, 3, 3).to(self.device))
        root = self._lab.scene["robot"].data.root_pos_w.torch[envs]
        quat = Rotation.from_matrix(poses[:, :3, :3].cpu().numpy()).as_quat()
        self._camera.set_world_poses(
            positions=poses[:, :3, 3].float().to(self.device) + root,
            orientations=torch.from_numpy(quat).float().to(self.device),
            env_ids=envs.tolist(),
            convention="ros",
        )

    def _read(self, count: int) -> UnlitPictures:
        data = self._camera.data
        assert data.output is not None and data.info is not None, "the camera has taken a picture"
        output = {name: value.torch[:count] for name, value in data.output.items()}
        depth = output["depth"][..., 0]
        labels = data.info["semantic_segmentation"]["idToLabels"]
        kinds = torch.zeros(max(labels) + 1, dtype=torch.long, device=self.device)
        for number, label in labels.items():
            if (name := label.get("class")) in KINDS:
                kinds[number] = KINDS.index(name)
        return UnlitPictures(
            albedo=output["albedo"][..., :3].float() / 255.0,
            normal=output["normals"][..., :3],
            depth_m=torch.where(depth > 0.0, depth, NOWHERE_M),
            kind=kinds[output["semantic_segmentation"][..., 0].long()],
        )
