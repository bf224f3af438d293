"""A camera that is believed about its pictures, but not about its lens."""

from dataclasses import replace

import numpy as np

from perception.cameras.frames import Array, Frame, FrameSource


class CalibratedCamera:
    """A `FrameSource` whose frames carry the intrinsics and distortion that a calibration found.

    Args:
        camera: Gives the pictures.
        intrinsics: K (3, 3), continuous pixels.
        distortion: OpenCV's coefficients.
        size: Height and width of the pictures it was calibrated with.
    """

    def __init__(
        self,
        camera: FrameSource,
        intrinsics: Array,
        distortion: tuple[float, ...],
        size: tuple[int, int],
    ) -> None:
        self._camera, self._size = camera, size
        self._intrinsics, self._distortion = np.array(intrinsics, dtype=float), distortion

    def read(self) -> Frame | None:
        """The camera's next frame.

        Raises:
            ValueError: If it is of another size than those of the calibration.
        """
        if (frame := self._camera.read()) is None:
            return None
        if frame.image.shape[:2] != self._size:
            raise ValueError(
                f"the camera gives pictures of {frame.image.shape[:2]}, it was calibrated with "
                f"{self._size}; calibrate it as it is used"
            )
        return replace(frame, intrinsics=self._intrinsics, distortion=self._distortion)

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()
