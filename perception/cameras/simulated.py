"""A camera of a MuJoCo scene, so that everything after the lens can be rehearsed."""

from collections.abc import Callable

import mujoco
import numpy as np

from perception.cameras.frames import Array, Frame


class SimulatedCamera:
    """Renders a named camera of a simulation when asked; a `FrameSource` that never ends.

    Args:
        model: The scene; its owner steps the simulation.
        data: The scene's state, read at every image.
        camera: Name of the camera.
        size: Height and width of the images.
        clock: Time of the images, in seconds; by default the simulation's.

    Raises:
        ValueError: If the scene has no camera of that name.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        camera: str,
        size: tuple[int, int] = (240, 320),
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._id = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if self._id < 0:
            known = [model.camera(i).name for i in range(model.ncam)]
            raise ValueError(f"the scene has no camera '{camera}'; known: {known}")
        self._data = data
        self._clock = clock or (lambda: float(data.time))
        self._renderer = mujoco.Renderer(model, *size)
        self.intrinsics = camera_matrix(model, self._id, size)
        """K (3, 3) of the images."""

    def read(self) -> Frame:
        """What the camera sees now."""
        self._renderer.update_scene(self._data, camera=self._id)
        return Frame(self._renderer.render().copy(), self.intrinsics, self._clock())

    def close(self) -> None:
        """Give the drawing context back."""
        self._renderer.close()


def camera_matrix(model: mujoco.MjModel, camera_id: int, size: tuple[int, int]) -> Array:
    """K (3, 3) of a MuJoCo camera at an image size (height, width), continuous pixels."""
    height, width = size
    matrix = np.eye(3)
    matrix[:2, 2] = width / 2, height / 2
    sensor = model.cam_sensorsize[camera_id]
    if sensor[1] > 0:  # given by focal length and principal point, in metres on the sensor
        focal_x, focal_y, shift_x, shift_y = model.cam_intrinsic[camera_id]
        pixels_per_m = np.array([width, height]) / sensor
        matrix[0, 0], matrix[1, 1] = focal_x * pixels_per_m[0], focal_y * pixels_per_m[1]
        matrix[:2, 2] -= np.array([shift_x, shift_y]) * pixels_per_m
    else:  # given by the vertical field of view
        half_angle = np.radians(model.cam_fovy[camera_id]) / 2
        matrix[0, 0] = matrix[1, 1] = height / 2 / np.tan(half_angle)
    return matrix
