"""What orca_core's mocks lack: encoders that follow the motors, and fingertips that send anything.

For dry runs and tests. Frames go through the mock's serial link and orca_core's own parsers.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sernf_isaac.deploy.hand.orca_encoders import JointEncoders
from sernf_isaac.deploy.hand.sensors import FINGERS

PERIOD_S = 0.005
"""Between two frames while something waits for them."""
PATIENCE_S = 1.0
"""How long the link's thread may take for a frame."""


class MockSenses:
    """Feeds the link of a connected mock; call `feed` before each look.

    Args:
        orca: The mock.
        encoders: Its encoders, if they are used.
        touch: Whether its fingertips are.
    """

    def __init__(self, orca: Any, encoders: JointEncoders | None, *, touch: bool) -> None:  # noqa: ANN401  # not typed
        self._orca, self._encoders, self._touch = orca, encoders, touch
        self.forces: dict[Any, list[float]] = {finger: [0.0, 0.0, 0.0] for finger in FINGERS}
        """What the fingertips feel [N]."""
        self.slipped_degrees: dict[str, float] = {}
        """How far joints are from where their motors say, by orca_core's name."""
        self.flagged: set[str] = set()
        """Joints whose encoders say that their angle is wrong."""
        self.silent = False
        """Whether the link sends nothing."""
        if encoders is not None:  # the mock's own frames say zero for ever
            orca._encoder_pump.stop()
            orca._encoder_pump = None

    def feed(self) -> None:
        """One frame of each sensor, parsed when this returns."""
        if self.silent:
            return
        if self._encoders is not None:
            client = self._orca._encoder_client
            before = client.get_stats().frames_ok
            self._orca._encoder_link.feed_bytes(self._encoder_frame(self._encoders))
            _wait(lambda: client.get_stats().frames_ok > before)
        if self._touch:
            stats = self._orca.get_tactile_stats
            before = stats().frames_ok
            self._feed_touch(taxels=False)
            _wait(lambda: stats().frames_ok > before)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Fingertips that send by themselves, for calls that wait for frames."""
        over = threading.Event()

        def send() -> None:
            while not over.wait(PERIOD_S):
                for taxels in (True, False):  # the one that is not asked for is dropped
                    self._feed_touch(taxels=taxels)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _feed_touch(self, *, taxels: bool) -> None:
        from orca_core.hardware.sensing import tactile_mock
        from orca_core.hardware.sensing.constants import DEFAULT_TAXEL_COUNTS

        link = self._orca.tactile_mock_link
        fingers = self._orca.get_tactile_configuration().active_sensors
        if not taxels:
            tactile_mock.feed_resultant_frame(link, self.forces, fingers)
            return
        still: dict[Any, list[list[float]]] = {
            finger: [[0.0] * 3] * DEFAULT_TAXEL_COUNTS[finger] for finger in FINGERS
        }
        tactile_mock.feed_combined_frame(link, self.forces, still, fingers)

    def _encoder_frame(self, encoders: JointEncoders) -> bytes:
        """A frame of the board: every encoder is where its motor says, but for the slips."""
        from orca_core.hardware.sensing import constants as wire
        from orca_core.hardware.sensing.framing import calculate_checksum

        angles = self._orca.get_joint_position().as_dict()
        slips = np.array([self.slipped_degrees.get(joint, 0.0) for joint in encoders.joints])
        degrees = np.array([angles[joint] for joint in encoders.joints]) + slips
        turned = encoders.polarity * (degrees - encoders.anchor_degrees) / wire.ENCODER_LSB_DEG
        counts = (encoders.anchors + np.rint(turned).astype(int)) % wire.ENCODER_COUNTS_PER_REV
        words = np.zeros(wire.AUTO_ENC_NUM_JOINTS, np.uint16)
        for joint, slot, count in zip(encoders.joints, encoders.slots, counts, strict=True):
            word = int(count) | (wire.AUTO_ENC_ANGLE_ERROR_BIT if joint in self.flagged else 0)
            words[slot] = word | (word.bit_count() % 2) * wire.AUTO_ENC_PARITY_BIT
        payload = b"\0" + words.astype("<u2").tobytes()
        head = wire.PROTOCOL_HEADER_AUTO_ENC + bytes([wire.PROTOCOL_RESERVED])
        body = head + len(payload).to_bytes(2, "little") + payload
        return body + bytes([calculate_checksum(body)])


def _wait(arrived: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not arrived() and time.monotonic() < until:
        time.sleep(1e-4)
