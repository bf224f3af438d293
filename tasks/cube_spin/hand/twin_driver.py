"""One hand of the twin behind the interface of a hand's driver: the stand-in for the real one.

Runs in the hand's own process, in real time or on a test's clock, and imports no torch. Its physics
come as a finished MuJoCo model, so that they can be anything the student never saw.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from sernf_isaac.deploy.hand.sensors import MEASURED, MOTOR_POS
from sernf_isaac.deploy.protocols import Array, HandReading
from tasks.cube_spin.config import PLATFORM_GONE_M
from tasks.cube_spin.hand.twin_encoders import EncoderErrors, TwinEncoders

_XYZW = [1, 2, 3, 0]


@dataclass(frozen=True)
class TwinHandSettings:
    """A simulated hand as plain values, to be sent to another process."""

    model: bytes
    """A compiled MuJoCo model of hand, cube and platform."""
    start_qpos: Array
    """(M, nq) states an episode may start from: the cube in the hand, on the platform."""
    origin_m: tuple[float, float, float]
    """Where the cube should stay, relative to the hand's root."""
    platform_m: float
    """Height of the platform's centre while it supports the cube."""
    seed: int = 0
    delay_ticks: int = 0
    """Ticks between a command and its first effect."""
    joint_noise_rad: float = 0.0
    joint_velocity_noise_rad_s: float = 0.0
    joint_bias_rad: float = 0.0
    """Standard deviation of the offset of the joint sensors, drawn once."""
    backlash_rad: float = 0.0
    """Play between servo and joint."""
    support_s: float = 6.0
    """The platform leaves this long after the cube was placed."""
    rate_hz: float = 40.0
    """Ticks per second; each advances the physics by one period."""
    encoders: EncoderErrors | None = None
    """Of its joint encoders; None: it has none, as the ORCA v1."""


class TwinHand:
    """A hand that only exists in MuJoCo; a driver as in `sernf_isaac.deploy.protocols`.

    Raises:
        ValueError: If the rate is no multiple of the physics step.
    """

    def __init__(self, settings: TwinHandSettings) -> None:
        self._settings = settings
        self._rng = np.random.default_rng(settings.seed)
        self._model = mujoco.MjModel.from_binary_path("hand.mjb", {"hand.mjb": settings.model})
        steps = 1.0 / (settings.rate_hz * self._model.opt.timestep)
        self._steps = round(steps)
        if self._steps < 1 or abs(steps - self._steps) > 1e-6:
            raise ValueError(f"{settings.rate_hz} Hz is no multiple of the physics step")
        self._gains = self._model.actuator_gainprm.copy(), self._model.actuator_biasprm.copy()
        self._forces = self._model.actuator_forcerange.copy()
        self.num_joints = self._model.nu
        self._bias = settings.joint_bias_rad * self._rng.standard_normal(self.num_joints)
        self._encoders = None
        if settings.encoders is not None:
            self._encoders = TwinEncoders(settings.encoders, 1.0 / settings.rate_hz, settings.seed)
        self._data = mujoco.MjData(self._model)
        self._left_ticks = 0
        self.place()

    def connect(self) -> None:
        """Nothing to open; the hand lies there without torque."""
        self.set_strength(0.0)

    def read(self) -> HandReading:
        """Noisy joints, by encoders where it has them, and the cube's true pose."""
        settings, joints = self._settings, slice(0, self.num_joints)
        noise = self._rng.standard_normal((2, self.num_joints))
        position = self._data.qpos[joints] + self._bias + settings.joint_noise_rad * noise[0]
        velocity = self._data.qvel[joints] + settings.joint_velocity_noise_rad_s * noise[1]
        pose = self._data.qpos[self.num_joints :]
        cube = np.concatenate([pose[:3], pose[3:7][_XYZW]])
        finite = bool(np.isfinite(self._data.qpos).all() and np.isfinite(self._data.qvel).all())
        if self._encoders is None:
            return HandReading(position, velocity, fresh=finite, cube=cube)
        sensors = {MOTOR_POS: position, MEASURED: np.ones(self.num_joints)}
        measured = self._encoders.read(self._data.qpos[joints])
        return HandReading(measured, velocity, fresh=finite, cube=cube, sensors=sensors)

    def command(self, joint_target: Array) -> None:
        """Pass the targets on, `delay_ticks` late, and let one period go by.

        Raises:
            RuntimeError: If the simulation diverged.
        """
        self._sent = np.concatenate([joint_target[None], self._sent[:-1]])
        late, play = self._sent[-1], self._settings.backlash_rad / 2
        self._data.ctrl[:] = np.clip(self._data.ctrl, late - play, late + play)
        self._advance()

    def set_strength(self, share: float) -> None:
        """Scale the servos' forces; without any, physics goes on only when commands come."""
        gain, bias = self._gains
        on = float(share > 0.0)
        self._model.actuator_gainprm[:], self._model.actuator_biasprm[:] = on * gain, on * bias
        self._model.actuator_forcerange[:] = share * self._forces

    def place(self) -> bool:
        """Start again from one of the states, cube on the platform."""
        start = self._settings.start_qpos[self._rng.integers(len(self._settings.start_qpos))]
        mujoco.mj_resetData(self._model, self._data)
        if self._encoders is not None:
            self._encoders.reset()
        self._data.qpos[:] = start
        self._data.ctrl[:] = start[: self.num_joints]
        self._sent = np.repeat(start[None, : self.num_joints], self._settings.delay_ticks + 1, 0)
        self._left_ticks = round(self._settings.support_s * self._settings.rate_hz)
        self._data.mocap_pos[0] = (*self._settings.origin_m[:2], self._settings.platform_m)
        mujoco.mj_forward(self._model, self._data)
        return True

    def check(self) -> None:
        """Simulated motors have no faults of their own."""

    def rearm(self) -> None:
        """Nor anything to rearm; but a diverged simulation starts again."""
        if not np.isfinite(self._data.qpos).all():
            self.place()

    def close(self) -> None:
        """Nothing to close."""

    @property
    def supported(self) -> bool:
        """Whether the platform holds the cube during the next period."""
        return self._left_ticks > 0

    def _advance(self) -> None:
        if not self.supported:
            self._data.mocap_pos[0, 2] = PLATFORM_GONE_M
        self._left_ticks -= 1
        for _ in range(self._steps):
            mujoco.mj_step(self._model, self._data)
        if not np.isfinite(self._data.qpos).all():
            raise RuntimeError("the simulated hand diverged")
