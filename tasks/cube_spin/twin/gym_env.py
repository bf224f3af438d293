"""The twin as one plain Gymnasium environment, for other people's code."""

import gymnasium as gym
import numpy as np
import torch

from tasks.cube_spin.config import CONTROL_DT_S, TaskConfig, tuned_task
from tasks.cube_spin.physics import Physics
from tasks.cube_spin.twin.camera import Camera
from tasks.cube_spin.twin.environment import CubeSpinTwin

ACTION_BOUND = 5.0
"""Actions are joint offsets in units of 0.4 rad; beyond this every joint is at a limit."""


class CubeSpinEnv(gym.Env):
    """Teacher observations (D,) float32, actions (A,) float32, one episode of 32 s at 20 Hz.

    `info` carries the reward's parts by name.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT_S)}  # noqa: RUF012

    def __init__(
        self,
        task: TaskConfig | None = None,
        physics: Physics | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', not {render_mode!r}")
        self.render_mode = render_mode
        self._twin = CubeSpinTwin(1, task or tuned_task(), physics, threads=1, auto_reset=False)
        size = self._twin.get_observations()["teacher"].shape[1]
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        joints = (self._twin.num_actions,)
        self.action_space = gym.spaces.Box(-ACTION_BOUND, ACTION_BOUND, joints, np.float32)
        self._camera: Camera | None = None

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        """Start an episode; with a seed, everything drawn from here on is determined by it."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._twin.seed(seed)
        observations, _ = self._twin.reset()
        return observations["teacher"][0].numpy().copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One control step of 50 ms."""
        actions = torch.as_tensor(np.asarray(action, np.float32))[None]
        observations, reward, done, extras = self._twin.step(actions)
        terminated = bool(extras["terminated"][0])
        truncated = bool(done[0]) and not terminated
        info = {name: float(value) for name, value in extras["log"].items()}
        seen = observations["teacher"][0].numpy().copy()
        return seen, float(reward[0]), terminated, truncated, info

    def render(self) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 of hand and cube."""
        if self.render_mode is None:
            return None
        self._camera = self._camera or Camera(self._twin.hand, held=self._twin.held)
        return self._camera.picture(self._twin, env=0)

    def close(self) -> None:
        """Release the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
