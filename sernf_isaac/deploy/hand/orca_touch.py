"""The fingertips of an ORCA v2 hand with touch: one force per finger, recorded and not steered by.

The board sends a resultant force per fingertip, in the fingertip's own axes: fz is the pressure
along its normal (0 to 25.5 N, where 25.5 means at least that), fx and fy are shear, in steps of
0.1 N. orca_core's comments give the stream about 50 frames per second. A fingertip that is not
there counts as 0.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sernf_isaac.deploy.hand.sensors import FINGERS, TOUCH_SIZE
from sernf_isaac.deploy.protocols import Array

ZERO_SAMPLES = 40
"""Frames over which the unloaded fingertips are averaged: about 0.8 s."""
FIRST_FRAME_S = 2.0
"""How long the first frame may take."""


class Fingertips:
    """The fingertips of a connected hand.

    Args:
        orca: The hand, of a class of orca_core with touch.
        timeout_s: Silence that is told.
        zero: Take what they feel now as nothing; nothing may touch them.
        sleep: Waits for the first frame.

    Raises:
        RuntimeError: If no fingertip answers.
    """

    def __init__(
        self,
        orca: Any,  # noqa: ANN401  # orca_core is not typed
        timeout_s: float,
        *,
        zero: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from orca_core.hardware.tactile_client import NoSensorsAvailableError

        self._orca, self._timeout_s = orca, timeout_s
        self._frame, self._frame_s = None, np.nan
        try:
            if zero:
                orca.start_tactile_stream(resultant=True, taxels=True)  # zeroing needs both
                orca.zero_tactile_sensors(num_samples=ZERO_SAMPLES)
            orca.start_tactile_stream(resultant=True, taxels=False)
        except NoSensorsAvailableError as error:
            raise RuntimeError(f"no fingertip answers: {error}; check the sensing cable") from error
        except TimeoutError as error:
            raise RuntimeError(f"the fingertips could not be zeroed: {error}") from error
        config = orca.get_tactile_configuration()
        self.missing = tuple(finger for finger in FINGERS if finger not in config.active_sensors)
        """Fingers without a fingertip that answers."""
        for _ in range(round(FIRST_FRAME_S / 0.01)):
            if orca.get_tactile_forces() is not None:
                return
            sleep(0.01)
        raise RuntimeError(f"the fingertips sent no frame within {FIRST_FRAME_S:g} s")

    def look(self, now_s: float) -> tuple[Array, float]:
        """Forces (15,) [N] as in `sensors.TOUCH`, and their age [s]."""
        frame = self._orca.get_tactile_forces()
        if frame is not None and frame is not self._frame:
            self._frame, self._frame_s = frame, now_s
        if np.isnan(self._frame_s):
            self._frame_s = now_s
        forces = np.zeros(TOUCH_SIZE) if self._frame is None else self._frame.array.reshape(-1)
        return np.nan_to_num(forces, nan=0.0), now_s - self._frame_s

    def warning(self, age_s: float) -> str:
        """What a person should know; empty if all is well."""
        if age_s > self._timeout_s:
            return f"the fingertips are silent for over {self._timeout_s:g} s"
        return f"no fingertip answers on {', '.join(self.missing)}" if self.missing else ""
