"""An arm and the hand it carries as one machine, so that both go through the same runner.

Joint vectors are (7 + A,): the tool's pose, then the hand's joints. Each part keeps its own loop,
guard and watchdog; here they are only asked together. What one of them reports as a reason not to
go on is the machine's, and the runner then lets both hold.
"""

from dataclasses import fields

import numpy as np

from sernf_isaac.deploy.arm.driver import POSE_SIZE, Array
from sernf_isaac.deploy.loop.messages import HandLink, HandState
from sernf_isaac.deploy.loop.states import FAULTS, Reason, Request, State
from sernf_isaac.deploy.protocols import PoseReading

READINESS = (State.OFF, State.RELAX, State.HOLD, State.RAMP, State.READY, State.FOLLOW)
"""The machine is as far as the part that is least far."""
PARTS = ("arm", "hand")


class CarriedHand:
    """The actor's end of both; used like the link to a hand alone.

    Args:
        arm: Link with seven "joints", such as an `ArmProcess`.
        hand: Link to the hand.
    """

    def __init__(self, arm: HandLink, hand: HandLink) -> None:
        self.arm, self.hand = arm, hand
        self._ahead = 0  # of the hand's numbers of requests are those of the arm

    def state(self) -> HandState:
        """The newest reports as one."""
        arm, hand = self.arm.state(), self.hand.state()
        seen = min(arm.command_sequence - self._ahead, hand.command_sequence)
        return merged(arm, hand, seen)

    def send(self, request: Request, target: Array | None = None) -> int:
        """Ask both for something, once; also a sign of life. Returns the request's number.

        Raises:
            ValueError: If the target has no room for a pose.
        """
        if target is not None and np.shape(target)[0] <= POSE_SIZE:
            raise ValueError(f"a target must be a pose and joints, not of shape {np.shape(target)}")
        pose, joints = (None, None) if target is None else (target[:POSE_SIZE], target[POSE_SIZE:])
        # The machine that puts an object into the hand is the hand's.
        asked = Request.NOTHING if request is Request.PLACE else request
        number = self.hand.send(request, joints)
        self._ahead = self.arm.send(asked, pose) - number
        return number

    def alive(self) -> None:
        """Only a sign of life."""
        self.arm.alive()
        self.hand.alive()

    def stop(self) -> None:
        """The stop key: the arm stays where it is, the hand loses its torque."""
        self.arm.stop()
        self.hand.stop()

    def clear(self) -> None:
        """A person looked; the part that was in order goes on holding what it holds."""
        for part in (self.arm, self.hand):
            if part.state().reason not in (Reason.NONE, Reason.ASKED):
                part.clear()

    def check(self) -> None:
        """Nothing if both report in time.

        Raises:
            RuntimeError: If a process died or hangs.
        """
        self.arm.check()
        self.hand.check()


class ToolPose:
    """The tool itself as what is watched: for tasks whose object nobody measures.

    Args:
        arm: Link with seven "joints".
    """

    def __init__(self, arm: HandLink) -> None:
        self._arm = arm

    def latest(self) -> PoseReading:
        """Where the tool is."""
        state = self._arm.state()
        return PoseReading(state.time_s, state.joint_pos[:3], state.joint_pos[3:])

    def reset(self) -> None:
        """Nothing to forget."""


def merged(arm: HandState, hand: HandState, command_sequence: int) -> HandState:
    """Two reports as that of one machine."""
    first = min((arm, hand), key=lambda part: READINESS.index(part.state))
    blamed = max((arm, hand), key=lambda part: (part.reason in FAULTS, part is first))
    errors = [f"{n}: {p.error}" for n, p in zip(PARTS, (arm, hand), strict=True) if p.error]
    both = {
        name: np.concatenate([getattr(arm, name), getattr(hand, name)])
        for name in ("joint_pos", "joint_vel", "sent", "goal")
    }
    sums = {name: getattr(arm, name) + getattr(hand, name) for name in ("rejected", "limited")}
    plain = {f.name: getattr(hand, f.name) for f in fields(HandState)}
    return HandState(
        **plain
        | both
        | sums
        | {
            "sequence": min(arm.sequence, hand.sequence),
            "time_s": min(arm.time_s, hand.time_s),
            "state": first.state,
            "reason": blamed.reason,
            "since_s": first.since_s,
            "command_sequence": command_sequence,
            "command_age_s": max(arm.command_age_s, hand.command_age_s),
            "missed": arm.missed + hand.missed,
            "lateness_s": max(arm.lateness_s, hand.lateness_s),
            "error": "; ".join(errors),
        }
    )
