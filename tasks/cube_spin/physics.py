"""Physical parameters of hand, cube and sensors: fixed, or drawn from a range.

The same table feeds the twin's per-environment models, Isaac Lab's events and `evaluate.py
--physics`; a lab enters what it measured on its own hand as a YAML file over it
(`physics_file.py`, which also holds each value to the bounds given here).
"""

import math
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from tasks.cube_spin.held_object import CUBE_MASS_KG, CUBE_SIZE_M, HeldObject
from tasks.orca.joints import FRICTION_LOSS

Range = tuple[float, float]
STEPS = "control steps of 50 ms"


def _parameter(
    nominal: float,
    unit: str,
    bounds: Range,
    kind: str = "uniform",
    *,
    startup: bool = False,
    ours: bool = False,
) -> Range:
    """A range (low, high) within bounds; what lies outside them was measured in another unit.

    What is ours, not the paper's, takes no random number while it is pinned, so that seeds give
    the worlds that they gave before the parameter existed. It comes in with the curriculum.
    """
    meta = {"kind": kind, "unit": unit, "bounds": bounds, "startup": startup, "ours": ours}
    return field(default=(nominal, nominal), metadata=meta)


def _gaussian(
    nominal: float, unit: str, bounds: Range, largest_std: float, *, ours: bool = False
) -> Range:
    """(mean, std), the mean within bounds; ours as in `_parameter`."""
    meta = {"kind": "gaussian", "unit": unit, "bounds": bounds, "largest_std": largest_std}
    meta |= {"ours": ours}
    return field(default=(nominal, 0.0), metadata=meta)


@dataclass(frozen=True)
class Physics:
    """Ranges (low, high) per parameter; equal ends pin it. Gaussian ones hold (mean, std): the
    offset of joint limits, gravity and the errors at reset.

    Parameters marked `startup` are drawn once per environment, all others at every reset.
    """

    link_friction: Range = _parameter(0.9, "", (0.01, 5.0), startup=True)
    """Sliding friction of the hand's surface (paper F.4d: 0.5 to 1.3)."""
    link_mass_scale: Range = _parameter(1.0, "", (0.1, 10.0), startup=True)
    """Factor on every link's mass (paper: 0.95 to 1.05)."""
    stiffness_scale: Range = _parameter(1.0, "", (0.05, 20.0), "log_uniform")
    """Factor on the servos' position gain (paper: 0.75 to 1.5)."""
    damping_scale: Range = _parameter(1.0, "", (0.01, 100.0), "log_uniform")
    """Factor on the servos' velocity gain (paper: 0.3 to 3)."""
    joint_limit_offset_rad: Range = _gaussian(0.0, "rad", (-0.5, 0.5), 0.2)
    """Shift of each joint limit; (mean, std). The paper says small."""
    cube_friction: Range = _parameter(0.9, "", (0.01, 5.0))
    """Sliding friction of the cube (paper: 0.5 to 1.3). Contacts use the mean of hand and cube."""
    cube_mass_kg: Range = _parameter(0.6 * CUBE_MASS_KG, "kg", (0.001, 1.0))
    """Mass of the cube (paper: nominal times 0.2 to 1)."""
    cube_size_m: Range = _parameter(CUBE_SIZE_M, "m", (0.01, 0.15))
    """Edge of the cube, diameter of a cylinder or sphere; presets draw around the object's."""
    cube_centre_offset_m: Range = _gaussian(0.0, "m", (-0.02, 0.02), 0.01, ours=True)
    """Centre of mass beside the cube's centre, per axis of the cube; (mean, std)."""
    motor_strength_scale: Range = _parameter(1.0, "", (0.05, 10.0), "log_uniform", ours=True)
    """Factor on the torque that the servos can give."""
    joint_friction_nm: Range = _parameter(
        FRICTION_LOSS, "Nm", (1e-5, 0.5), "log_uniform", ours=True
    )
    """Dry friction of each joint."""
    joint_play_rad: Range = _parameter(0.0, "rad", (0.0, 0.3), ours=True)
    """Play between servo and joint: the joint's target follows only after so much of a reversal."""
    gravity_m_s2: Range = _gaussian(-9.81, "m/s^2", (-30.0, 0.0), 3.0)
    """Vertical gravity; (mean, std) (paper: std 0.5)."""
    reset_position_m: Range = _gaussian(0.0, "m", (-0.05, 0.05), 0.05)
    """Initial cube position error per axis; (mean, std)."""
    reset_rotation_rad: Range = _gaussian(0.0, "rad", (-1.0, 1.0), 1.0)
    """Initial cube rotation error per axis; (mean, std)."""
    reset_velocity_m_s: Range = _gaussian(0.0, "m/s", (-1.0, 1.0), 1.0)
    """Initial cube velocity per axis; (mean, std)."""
    reset_joint_rad: Range = _gaussian(0.0, "rad", (-0.5, 0.5), 0.5)
    """Initial joint error; (mean, std)."""
    action_delay_steps: Range = _parameter(0.0, STEPS, (0.0, 8.0), "integer")
    """Control steps (50 ms) between an action and its first effect."""
    action_delay_jitter: Range = _parameter(0.0, "", (0.0, 1.0), ours=True)
    """Share of the control steps in which the action comes one step later still."""
    observation_delay_steps: Range = _parameter(0.0, STEPS, (0.0, 8.0), "integer")
    """Control steps between the cube's pose and its observation."""
    joint_noise_rad: Range = _parameter(0.0, "rad", (0.0, 0.3))
    """Standard deviation of joint angle readings."""
    joint_velocity_noise_rad_s: Range = _parameter(0.0, "rad/s", (0.0, 5.0))
    """Standard deviation of joint velocity readings."""
    cube_position_noise_m: Range = _parameter(0.0, "m", (0.0, 0.05))
    """Standard deviation of cube position readings."""
    cube_rotation_noise_rad: Range = _parameter(0.0, "rad", (0.0, 0.8))
    """Standard deviation of cube rotation readings, per axis."""
    joint_bias_rad: Range = _parameter(0.0, "rad", (0.0, 0.3))
    """Standard deviation of the joint reading offset that is drawn once per episode."""
    cube_position_bias_m: Range = _parameter(0.0, "m", (0.0, 0.05))
    """The same for the cube position."""
    cube_rotation_bias_rad: Range = _parameter(0.0, "rad", (0.0, 0.8))
    """The same for the cube rotation."""
    impratio: Range = _parameter(10.0, "", (0.1, 500.0), "log_uniform", ours=True)
    """How much harder friction is than the push apart; a low one lets a held cube creep."""
    contact_time_constant_s: Range = _parameter(0.02, "s", (0.001, 0.5), ours=True)
    """Softness of contacts: time in which one recovers from overlap (MuJoCo's first `solref`)."""
    contact_damping_ratio: Range = _parameter(1.0, "", (0.05, 10.0), ours=True)
    """Damping ratio of contacts; below 1 they bounce (MuJoCo's second `solref`)."""
    torsional_friction_m: Range = _parameter(0.005, "m", (1e-5, 0.1), "log_uniform", ours=True)
    """Friction against turning on the spot, in worlds with elliptic cones."""
    elliptic_cone: float = 0.0
    """Share of the worlds with elliptic instead of pyramidal friction cones (another contact
    solver), 0 to 1; a file may say true or false. In Isaac Lab 0 or 1."""
    hull_collisions: float = 0.0
    """Share of the worlds where the hand collides with the package's meshes instead of fitted
    primitives, 0 to 1; a file may say `collisions: hulls`. In Isaac Lab 0 or 1."""

    def sample(self, name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draws of one parameter, float32, of the given shape, on the generator's device."""
        low, high = getattr(self, name)
        kind, device = KINDS[name], generator.device
        pinned = high == 0.0 if kind == "gaussian" else low == high
        if pinned and name in OURS:
            return torch.full(shape, low, device=device)
        if kind == "gaussian":
            return low + high * torch.randn(shape, generator=generator, device=device)
        unit = torch.rand(shape, generator=generator, device=device)
        if kind == "integer":
            # Not floor(low + ...): that sum can round up to high + 1.
            return low + torch.floor((high - low + 1) * unit)
        if kind == "log_uniform":
            return torch.exp(math.log(low) + (math.log(high) - math.log(low)) * unit)
        return low + (high - low) * unit

    def for_object(self, held: HeldObject) -> "Physics":
        """These physics of the paper's cube for another object: size and mass in proportion."""
        if held.ratio == held.mass_ratio == 1.0:
            return self
        ratios = {"cube_size_m": held.ratio, "cube_centre_offset_m": held.ratio}
        ratios["cube_mass_kg"] = held.mass_ratio
        scaled = {
            name: tuple(ratio * end for end in getattr(self, name))
            for name, ratio in ratios.items()
        }
        return replace(self, **scaled)  # type: ignore[arg-type]  # two ends each

    def grown(self, share: float, paper: float = 1.0) -> "Physics":
        """These physics before all of it has come in.

        Ranges grow from the nominal value, or the end next to it, to their own; so do the shares of
        worlds and the longest latency. What is drawn once is whole from the beginning.

        Args:
            share: Of what the paper does not draw: latency, contact laws, shapes and servos.
            paper: Of what it draws.
        """
        grown: dict[str, Range | float] = {}
        if share < 1.0:
            shares = ("elliptic_cone", "hull_collisions")
            grown = {name: share * getattr(self, name) for name in shares}
            low, high = self.action_delay_steps
            grown["action_delay_steps"] = (low, low + int(share * (high - low)))
        for name, kind in KINDS.items():
            part = share if name in OURS else paper
            if part >= 1.0 or kind == STEPS or name in STARTUP_PARAMETERS:
                continue
            low, high = getattr(self, name)
            if kind == "gaussian":
                grown[name] = (low, part * high)
                continue
            first = min(max(getattr(NOMINAL, name)[0], low), high)
            grown[name] = (first + part * (low - first), first + part * (high - first))
        return replace(self, **grown)  # type: ignore[arg-type]  # the fields' own types

    def lacks_room_for(self, other: "Physics") -> list[str]:
        """Parameters of `other` that worlds built for these physics cannot take on."""
        lacking = []
        if other.action_delay_steps[1] > self.action_delay_steps[1]:
            lacking.append("action_delay_steps")
        for name in ("action_delay_jitter", "joint_play_rad", "cube_centre_offset_m"):
            if any(getattr(other, name)) and not any(getattr(self, name)):
                lacking.append(name)
        share = self.hull_collisions
        if share in (0.0, 1.0) and other.hull_collisions != share:
            lacking.append("hull_collisions")
        return lacking

    @property
    def sizes_differ(self) -> bool:
        """Whether cubes have different edges."""
        return self.cube_size_m[0] != self.cube_size_m[1]

    @property
    def has_sensor_model(self) -> bool:
        """Whether any observation differs from the truth."""
        return any(any(getattr(self, name)) for name in _SENSOR_PARAMETERS)


KINDS = {f.name: f.metadata["kind"] for f in fields(Physics) if "kind" in f.metadata}
OURS = tuple(f.name for f in fields(Physics) if f.metadata.get("ours"))
"""Parameters that the paper does not draw: contact laws, servos, the cube's centre of mass."""
STARTUP_PARAMETERS = tuple(f.name for f in fields(Physics) if f.metadata.get("startup"))
_SENSOR_PARAMETERS = tuple(
    name
    for name in KINDS
    if name.startswith("observation_") or "_noise_" in name or "_bias_" in name
)

NOMINAL = Physics()
"""Every parameter at its nominal value, perfect sensors."""

RANDOMIZED = Physics(
    link_friction=(0.5, 1.3),
    link_mass_scale=(0.95, 1.05),
    stiffness_scale=(0.75, 1.5),
    damping_scale=(0.3, 3.0),
    joint_limit_offset_rad=(0.0, 0.01),
    cube_friction=(0.5, 1.3),
    cube_mass_kg=(0.2 * CUBE_MASS_KG, CUBE_MASS_KG),
    gravity_m_s2=(-9.81, 0.5),
    reset_position_m=(0.0, 0.001),
    reset_rotation_rad=(0.0, 0.02),
    reset_velocity_m_s=(0.0, 0.01),
    reset_joint_rad=(0.0, 0.01),
)
"""The paper's domain randomisation (F.4d); where it says small, the number is ours."""

REALITY = Physics(
    link_friction=(0.8, 0.8),
    stiffness_scale=(1.2, 1.2),
    cube_friction=(0.8, 0.8),
    cube_mass_kg=(0.07, 0.07),
    cube_size_m=(0.046, 0.046),
    reset_position_m=(0.0, 0.001),
    reset_rotation_rad=(0.0, 0.02),
    reset_joint_rad=(0.0, 0.01),
    action_delay_steps=(1.0, 1.0),
    joint_noise_rad=(0.01, 0.01),
    joint_velocity_noise_rad_s=(0.1, 0.1),
    cube_position_noise_m=(0.002, 0.002),
    cube_rotation_noise_rad=(0.04, 0.04),
    elliptic_cone=1.0,
)
"""A stand-in for the real hand: its cube is larger than any in training, its friction hardly creeps
and each action is a step late, all at once."""

HARD = replace(
    REALITY,
    link_friction=(0.55, 0.55),
    cube_friction=(0.55, 0.55),
    cube_mass_kg=(0.085, 0.085),
    elliptic_cone=0.0,
    hull_collisions=1.0,
)
"""A slippery world of other shapes and a heavier cube: the shipped students spin the cube there and
soon drop it, as the paper's robot did before fine-tuning."""

MIXED = replace(RANDOMIZED, elliptic_cone=0.5)
"""Randomisation over two contact solvers. A policy that knows one of them lives by its creep: in
the other it stands still."""

WIDE = replace(
    RANDOMIZED,
    link_friction=(0.4, 1.3),
    stiffness_scale=(0.6, 1.6),
    damping_scale=(0.3, 3.0),
    cube_friction=(0.4, 1.3),
    cube_mass_kg=(0.02, 0.15),
    cube_size_m=(0.043, 0.048),
    cube_centre_offset_m=(0.0, 0.0015),
    motor_strength_scale=(0.6, 1.4),
    joint_friction_nm=(0.001, 0.03),
    joint_play_rad=(0.0, 0.04),
    action_delay_steps=(0.0, 3.0),
    action_delay_jitter=(0.0, 0.2),
    impratio=(1.0, 100.0),
    contact_time_constant_s=(0.017, 0.04),
    contact_damping_ratio=(0.7, 1.3),
    torsional_friction_m=(0.001, 0.01),
    elliptic_cone=0.5,
    hull_collisions=0.25,
)
"""Worlds as far apart as simulators and hands are: contact laws, shapes, servos, cubes, latency. A
policy that is to leave the simulator trains here."""


def _poorly_seen(physics: Physics) -> Physics:
    """With the strong sensor noise the student is distilled under (paper F.5)."""
    return replace(
        physics,
        joint_noise_rad=(0.02, 0.02),
        joint_velocity_noise_rad_s=(0.2, 0.2),
        cube_position_noise_m=(0.003, 0.003),
        cube_rotation_noise_rad=(0.05, 0.05),
        joint_bias_rad=(0.02, 0.02),
        cube_position_bias_m=(0.003, 0.003),
        cube_rotation_bias_rad=(0.05, 0.05),
    )


DISTILLATION = _poorly_seen(RANDOMIZED)
"""Randomisation plus the noise of the sensors."""
WIDE_DISTILLATION = _poorly_seen(WIDE)
"""The wide worlds plus the noise of the sensors: where students are distilled and polished."""

PRESETS = {
    "nominal": NOMINAL,
    "randomized": RANDOMIZED,
    "mixed": MIXED,
    "wide": WIDE,
    "reality": REALITY,
    "hard": HARD,
    "distillation": DISTILLATION,
    "wide_distillation": WIDE_DISTILLATION,
}
