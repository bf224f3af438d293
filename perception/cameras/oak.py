"""An OAK camera (OAK-D Lite in the paper) over USB; needs the optional package `depthai`.

Exposure and focus are locked: automatic ones change the image, and with the focus the focal
length, in the middle of a run. Only the auto-focus variant of the OAK-D Lite is sharp at 30 cm.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from perception.cameras.frames import Frame, to_continuous


@dataclass
class OakSettings:
    """How the camera is set, for good: a calibration holds for these alone."""

    size: tuple[int, int] = (1080, 1920)
    """Height and width; a crop of the full sensor scaled to this."""
    rate_hz: float = 30.0
    """Images per second; the OAK-D Lite's colour sensor gives at most 35."""
    exposure_us: int = 8000
    """Exposure time."""
    iso: int = 400
    """100 to 1600."""
    lens: int = 130
    """Focus, 0 (far) to 255 (near)."""
    white_balance_k: int = 4500
    """Colour temperature of the white balance."""
    device: str = ""
    """Serial number of the camera, where there are several; empty: the one that is connected."""

    def __post_init__(self) -> None:
        for name, value, low, high, unit in (
            ("size[0]", self.size[0], 2, 8000, "px"),
            ("size[1]", self.size[1], 2, 8000, "px"),
            ("rate_hz", self.rate_hz, 1, 120, "Hz"),
            ("exposure_us", self.exposure_us, 1, 1e6 / self.rate_hz if self.rate_hz else 0, "us"),
            ("iso", self.iso, 100, 1600, ""),
            ("lens", self.lens, 0, 255, ""),
            ("white_balance_k", self.white_balance_k, 1000, 12000, "K"),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} ({value}) must be {low:g} to {high:g} {unit}".rstrip())


class OakCamera:
    """The colour camera, distortion removed on the device; a `FrameSource`.

    Args:
        settings: Locked while it is open.
        clock: The clock that poses will be asked for by.

    Raises:
        ModuleNotFoundError: If `depthai` is not installed.
        ConnectionError: If the camera is not connected; names those that are.
    """

    def __init__(
        self,
        settings: OakSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = settings or OakSettings()
        self._dai = dai = _depthai()
        _check_connected(dai, settings.device)
        self._clock = clock
        if settings.device:
            self._pipeline = dai.Pipeline(dai.Device(dai.DeviceInfo(settings.device)))
        else:
            self._pipeline = dai.Pipeline()
        socket = dai.CameraBoardSocket.CAM_A
        camera = self._pipeline.create(dai.node.Camera).build(socket, sensorFps=settings.rate_hz)
        camera.initialControl.setManualExposure(settings.exposure_us, settings.iso)
        camera.initialControl.setManualFocus(settings.lens)
        camera.initialControl.setManualWhiteBalance(settings.white_balance_k)
        output = camera.requestOutput(
            settings.size[::-1],
            type=dai.ImgFrame.Type.BGR888i,
            resizeMode=dai.ImgResizeMode.CROP,
            fps=settings.rate_hz,
            enableUndistortion=True,
        )
        # One place in the queue: a slow reader gets the newest image, never an old one.
        self._queue = output.createOutputQueue(maxSize=1, blocking=False)
        self._pipeline.start()

    def read(self) -> Frame | None:
        """The newest image; None after the camera was closed or unplugged."""
        try:
            packet = self._queue.get()
        except self._dai.MessageQueue.QueueException:
            return None
        exposed = packet.getTimestamp(self._dai.CameraExposureOffset.MIDDLE)
        age_s = (self._dai.Clock.now() - exposed).total_seconds()
        time_s = self._clock() - age_s
        image = np.ascontiguousarray(packet.getCvFrame()[..., ::-1])
        matrix = np.array(packet.getTransformation().getIntrinsicMatrix(), dtype=float)
        return Frame(image, to_continuous(matrix), time_s)

    def close(self) -> None:
        """Stop the camera."""
        self._pipeline.stop()


def _check_connected(dai: ModuleType, device: str) -> None:
    found = dai.Device.getAllAvailableDevices()  # opening one that is not there takes 11 s
    if not found:
        raise ConnectionError(
            "no OAK camera found; check the USB cable and, on Linux, the udev rules of depthai"
        )
    names = [info.deviceId for info in found] if device else []
    if device and device not in names:
        raise ConnectionError(f"no OAK camera {device}; connected: {', '.join(names)}")


def _depthai() -> ModuleType:
    try:
        return importlib.import_module("depthai")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an OAK camera needs the package depthai, which the extra 'oak' of this project brings",
            name="depthai",
        ) from error
