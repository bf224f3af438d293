"""Cameras below a real hand, as they were calibrated; and what they see, as a recording."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from perception.calibration.file import load_rig
from perception.cameras.calibrated import CalibratedCamera
from perception.cameras.frames import FrameSource
from perception.cameras.oak import OakCamera
from perception.cameras.recording import FrameRecorder


def real_cameras(
    calibrations: Sequence[str], now: Callable[[], float]
) -> list[tuple[FrameSource, np.ndarray]]:
    """Cameras and their places at the hand (4, 4).

    Raises:
        ValueError: If a calibration does not say where its camera is or how it was set, or two are
            of one camera.
    """
    rigs = [load_rig(Path(path)) for path in calibrations]
    places, settings = [], []
    for path, rig in zip(calibrations, rigs, strict=True):
        if rig.T_hand_camera is None:
            raise ValueError(f"{path} lacks the camera's place: calibrate --fixture")
        if rig.oak is None:
            raise ValueError(
                f"{path} does not say how the OAK was set: take its pictures with "
                "calibrate_camera.py --capture"
            )
        if len(rigs) > 1 and (not rig.oak.device or rig.oak.device in [s.device for s in settings]):
            raise ValueError(
                f"{path} does not name a camera of its own: with two, calibrate each with "
                "device=SERIAL_NUMBER"
            )
        places.append(rig.T_hand_camera)
        settings.append(rig.oak)
    return [
        (
            CalibratedCamera(OakCamera(oak, clock=now), rig.intrinsics, rig.distortion, rig.size),
            place,
        )
        for rig, place, oak in zip(rigs, places, settings, strict=True)
    ]


def record_real(calibration: Path, out: Path, seconds: float) -> int:
    """Film with a real camera; returns the number of frames.

    Times are the computer's clock, so that two cameras may be filmed by two processes.

    Raises:
        ConnectionError: If the camera is not connected, or gives no more pictures.
        FileExistsError: If the folder holds a recording or other pictures already.
        ValueError: If the calibration does not say how the camera was set.
    """
    recorder = FrameRecorder(out)
    ((camera, _),) = real_cameras([str(calibration)], time.monotonic)
    frames, until_s = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < until_s:
            if (frame := camera.read()) is None:
                raise ConnectionError("the camera gives no more frames; look at its cable")
            recorder.write(frame)
            frames += 1
    finally:
        camera.close()
        if frames:
            recorder.close()
    return frames
