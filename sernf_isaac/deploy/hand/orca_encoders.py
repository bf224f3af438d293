"""The joint encoders of an ORCA v2 hand through orca_core: measured, not steered by.

orca_core starts a thread with its encoders that writes to the motors 200 times a second, and trims
their targets by up to 15 degrees. That thread would keep the motors' own watchdog quiet while
nothing comes from here any more, and it moves the hand otherwise than a policy was trained for. So
the stream of encoders is opened as orca_core does it, on the link that orca_core finds, and the
thread is left out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sernf_isaac.deploy.protocols import Array


def measure_only(orca: Any) -> None:  # noqa: ANN401  # orca_core is not typed
    """Have a hand with encoders read them when it connects, without its thread that steers.

    Raises:
        RuntimeError: If this is no orca_core 0.12, whose hands attach their encoders in one place.
    """
    parts = ("_attach_encoders", "_create_encoder_client", "_encoder_client", "_loop")
    if missing := [name for name in parts if not hasattr(orca, name)]:
        raise RuntimeError(
            f"this orca_core opens encoders in another way (no {', '.join(missing)}); install the "
            "version that pyproject.toml names"
        )

    def attach(link: object) -> None:
        orca._encoder_client = orca._create_encoder_client(link)
        orca._encoder_client.connect()
        orca._encoder_client.start_stream()

    orca._attach_encoders = attach


@dataclass(frozen=True)
class EncoderLook:
    """What the encoders say now; all in the order of `JointEncoders.joints`."""

    degrees: Array
    """(J,) newest valid angles; nan before the first."""
    valid: Array
    """(J,) bool, whether they are new enough to go by."""
    fault: str
    """Which link or joint is lost, and since when; empty if none is."""


class JointEncoders:
    """The encoders of a connected hand.

    Args:
        orca: The hand, connected after `measure_only`.
        timeout_s: An encoder without a valid angle for this long is lost.

    Raises:
        RuntimeError: If the calibration has no anchor of any encoder.
    """

    def __init__(self, orca: Any, timeout_s: float) -> None:  # noqa: ANN401  # not typed
        from orca_core.hardware.sensing.constants import (
            JOINT_TO_ENCODER_SLOT,
            joint_encoder_polarity_for_side,
        )
        from orca_core.hardware.sensing.encoder_protocol import encoder_to_joint_angle

        self._orca, self._timeout_s, self._to_degrees = orca, timeout_s, encoder_to_joint_angle
        anchors = orca.calibration.joint_encoder_calibration_dict
        self.joints = measured_joints(orca)
        """Names of the joints that are measured, as orca_core calls them."""
        ranges = orca.effective_joint_roms_dict
        polarity = joint_encoder_polarity_for_side(orca.config.type)
        self.slots = np.array([JOINT_TO_ENCODER_SLOT[joint] for joint in self.joints])
        self.anchors = np.array([anchors[joint].enc_at_anchor_count for joint in self.joints])
        self.polarity = np.array([polarity[joint] for joint in self.joints])
        self.anchor_degrees = np.array([float(ranges[joint][1]) for joint in self.joints])
        self._degrees = np.full(len(self.joints), np.nan)
        self._valid_s = np.full(len(self.joints), np.nan)
        self._frame_s, self._frame = np.nan, None

    def look(self, now_s: float) -> EncoderLook:
        """The newest angles, and what is lost."""
        if np.isnan(self._frame_s):  # patience begins with the first look
            self._frame_s, self._valid_s[:] = now_s, now_s
        frame = self._orca._encoder_client.get_latest_unfiltered()
        if frame is not None and frame is not self._frame:
            self._take(frame, now_s)
        valid = (now_s - self._valid_s <= self._timeout_s) & np.isfinite(self._degrees)
        return EncoderLook(self._degrees.copy(), valid, self._fault(now_s))

    def _take(self, frame: Any, now_s: float) -> None:  # noqa: ANN401  # not typed
        good = frame.parity_ok[self.slots] & ~frame.angle_error[self.slots]
        counts = frame.raw_counts[self.slots]
        found = self._to_degrees(counts, self.anchors, self.polarity, self.anchor_degrees)
        self._degrees[good], self._valid_s[good] = found[good], now_s
        self._frame, self._frame_s = frame, now_s

    def _fault(self, now_s: float) -> str:
        if now_s - self._frame_s > self._timeout_s:
            health = self._orca.get_encoder_link_health()
            why = "" if health is None or not health.port_dead else f" ({health.port_error})"
            return (
                f"the link of the joint encoders was silent for over {self._timeout_s:g} s{why}; "
                "check its cable"
            )
        lost = np.flatnonzero(now_s - self._valid_s > self._timeout_s)
        if not len(lost):
            return ""
        names = ", ".join(self.joints[joint] for joint in lost)
        return (
            f"the encoder of {names} gave no valid angle for over "
            f"{self._timeout_s:g} s; check its magnet and cable, or leave it out of "
            "joint_encoder_joints in config.yaml"
        )


def measured_joints(orca: Any) -> tuple[str, ...]:  # noqa: ANN401  # not typed
    """Names of the joints with an encoder that the calibration has an anchor of.

    Raises:
        RuntimeError: If there is none; says what to do.
    """
    anchors = orca.calibration.joint_encoder_calibration_dict
    found = tuple(joint for joint in orca.encoder_backed_joints if joint in anchors)
    if not found:
        raise RuntimeError(
            "calibration.yaml has no anchor of any joint encoder; calibrate with orca_core while "
            "use_joint_feedback is true, or go by the motors: sensors.encoders=false"
        )
    return found
