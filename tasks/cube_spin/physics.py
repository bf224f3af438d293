"""Physical parameters of hand, cube and sensors: fixed, or drawn from a range.

The same table feeds the twin's per-environment models, Isaac Lab's events and `evaluate.py
--physics`; a lab enters what it measured on its own hand as a YAML file over it.
"""

import math
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path

import torch
import yaml
from torch import Tensor

from tasks.cube_spin.config import CUBE_MASS_KG, CUBE_SIZE_M

Range = tuple[float, float]


def _parameter(nominal: float, kind: str = "uniform", **meta: object) -> Range:
    spread = 0.0 if kind == "gaussian" else nominal
    return field(default=(nominal, spread), metadata={"kind": kind, **meta})


@dataclass(frozen=True)
class Physics:
    """Ranges (low, high) per parameter; equal ends pin it. Gaussian ones hold (mean, std).

    Parameters marked `startup` are drawn once per environment, all others at every reset.
    """

    link_friction: Range = _parameter(0.9, startup=True)
    """Sliding friction of the hand's surface (paper F.4d: 0.5 to 1.3)."""
    link_mass_scale: Range = _parameter(1.0, startup=True)
    """Factor on every link's mass (paper: 0.95 to 1.05)."""
    stiffness_scale: Range = _parameter(1.0, "log_uniform")
    """Factor on the servos' position gain (paper: 0.75 to 1.5)."""
    damping_scale: Range = _parameter(1.0, "log_uniform")
    """Factor on the servos' velocity gain (paper: 0.3 to 3)."""
    joint_limit_offset_rad: Range = _parameter(0.0, "gaussian")
    """Shift of each joint limit; (mean, std). The paper says small."""
    cube_friction: Range = _parameter(0.9)
    """Sliding friction of the cube (paper: 0.5 to 1.3). Contacts use the mean of hand and cube."""
    cube_mass_kg: Range = _parameter(0.6 * CUBE_MASS_KG)
    """Mass of the cube (paper: nominal times 0.2 to 1)."""
    cube_size_m: Range = _parameter(CUBE_SIZE_M)
    """Edge of the cube."""
    gravity_m_s2: Range = _parameter(-9.81, "gaussian")
    """Vertical gravity; (mean, std) (paper: std 0.5)."""
    reset_position_m: Range = _parameter(0.0, "gaussian")
    """Initial cube position error per axis; (mean, std)."""
    reset_rotation_rad: Range = _parameter(0.0, "gaussian")
    """Initial cube rotation error per axis; (mean, std)."""
    reset_velocity_m_s: Range = _parameter(0.0, "gaussian")
    """Initial cube velocity per axis; (mean, std)."""
    reset_joint_rad: Range = _parameter(0.0, "gaussian")
    """Initial joint error; (mean, std)."""
    action_delay_steps: Range = _parameter(0.0, "integer")
    """Control steps (50 ms) between an action and its first effect."""
    observation_delay_steps: Range = _parameter(0.0, "integer")
    """Control steps between the cube's pose and its observation."""
    joint_noise_rad: Range = _parameter(0.0)
    """Standard deviation of joint angle readings."""
    joint_velocity_noise_rad_s: Range = _parameter(0.0)
    """Standard deviation of joint velocity readings."""
    cube_position_noise_m: Range = _parameter(0.0)
    """Standard deviation of cube position readings."""
    cube_rotation_noise_rad: Range = _parameter(0.0)
    """Standard deviation of cube rotation readings, per axis."""
    joint_bias_rad: Range = _parameter(0.0)
    """Standard deviation of the joint reading offset that is drawn once per episode."""
    cube_position_bias_m: Range = _parameter(0.0)
    """The same for the cube position."""
    cube_rotation_bias_rad: Range = _parameter(0.0)
    """The same for the cube rotation."""
    elliptic_cone: float = 0.0
    """Twin only: share of the worlds with elliptic instead of pyramidal friction cones (another
    contact solver), 0 to 1; a file may say true or false."""
    collisions: str = "primitives"
    """Twin only: "primitives" or "hulls" (the package's meshes)."""

    def sample(self, name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draws of one parameter, float32, of the given shape, on the generator's device."""
        low, high = getattr(self, name)
        kind, device = _KINDS[name], generator.device
        if kind == "gaussian":
            return low + high * torch.randn(shape, generator=generator, device=device)
        unit = torch.rand(shape, generator=generator, device=device)
        if kind == "integer":
            # Not floor(low + ...): that sum can round up to high + 1.
            return low + torch.floor((high - low + 1) * unit)
        if kind == "log_uniform":
            return torch.exp(math.log(low) + (math.log(high) - math.log(low)) * unit)
        return low + (high - low) * unit

    @property
    def has_sensor_model(self) -> bool:
        """Whether any observation differs from the truth."""
        return any(any(getattr(self, name)) for name in _SENSOR_PARAMETERS)


_KINDS = {f.name: f.metadata["kind"] for f in fields(Physics) if "kind" in f.metadata}
STARTUP_PARAMETERS = tuple(f.name for f in fields(Physics) if f.metadata.get("startup"))
_SENSOR_PARAMETERS = tuple(
    name
    for name in _KINDS
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
    collisions="hulls",
)
"""A slippery world of other shapes and a heavier cube: the shipped students spin the cube there and
soon drop it, as the paper's robot did before fine-tuning."""

MIXED = replace(RANDOMIZED, elliptic_cone=0.5)
"""Randomisation over two contact solvers. A policy that knows one of them lives by its creep: in
the other it stands still."""

DISTILLATION = replace(
    RANDOMIZED,
    joint_noise_rad=(0.02, 0.02),
    joint_velocity_noise_rad_s=(0.2, 0.2),
    cube_position_noise_m=(0.003, 0.003),
    cube_rotation_noise_rad=(0.05, 0.05),
    joint_bias_rad=(0.02, 0.02),
    cube_position_bias_m=(0.003, 0.003),
    cube_rotation_bias_rad=(0.05, 0.05),
)
"""Randomisation plus the strong sensor noise the student is distilled under (paper F.5)."""

PRESETS = {
    "nominal": NOMINAL,
    "randomized": RANDOMIZED,
    "mixed": MIXED,
    "reality": REALITY,
    "hard": HARD,
    "distillation": DISTILLATION,
}


def load_physics(name_or_file: str) -> Physics:
    """A preset by name, or a YAML file of `parameter: value` or `parameter: [low, high]`.

    A file may start from a preset with `base: randomized`; otherwise it starts from nominal.

    Raises:
        ValueError: For an unknown preset, parameter or malformed value; names what was meant.
    """
    if name_or_file in PRESETS:
        return PRESETS[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        raise ValueError(
            f"--physics '{name_or_file}' is neither a file nor one of {sorted(PRESETS)}"
        )
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected 'parameter: value' lines, got {type(content).__name__}")
    base = content.pop("base", "nominal")
    if base not in PRESETS:
        raise ValueError(f"{path}: base '{base}' is not one of {sorted(PRESETS)}")
    return replace(PRESETS[base], **{key: _checked(path, key, content[key]) for key in content})


def _checked(path: Path, key: object, value: object) -> Range | float | str:
    """One entry of a physics file as the field's type."""
    known = [f.name for f in fields(Physics)]
    if key not in known:
        close = get_close_matches(str(key), known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"
        raise ValueError(f"{path}: unknown parameter '{key}'{hint}")
    if key == "elliptic_cone":
        return _share(path, key, value)
    if key == "collisions" and value in ("primitives", "hulls"):
        return value
    pinned = (0.0 if _KINDS.get(str(key)) == "gaussian" else value) if _is_number(value) else None
    pair = [value, pinned] if _is_number(value) else value
    if key not in _KINDS or not isinstance(pair, list) or len(pair) != 2:
        raise ValueError(f"{path}: {key} must be a number or [low, high], not {value!r}")
    if not all(_is_number(end) and math.isfinite(end) for end in pair):
        raise ValueError(f"{path}: {key} = {value!r} is not a pair of finite numbers")
    found = (float(pair[0]), float(pair[1]))
    if wrong := _impossible(str(key), *found):
        raise ValueError(f"{path}: {key} = {value!r} {wrong}")
    return found


def _share(path: Path, key: object, value: object) -> float:
    """One entry that is a share, true or false."""
    if isinstance(value, bool | int | float) and 0.0 <= value <= 1.0:
        return float(value)
    raise ValueError(f"{path}: {key} must be true, false or a share of 0 to 1, not {value!r}")


def _impossible(name: str, low: float, high: float) -> str | None:
    """What is wrong with a range, if anything."""
    if _KINDS[name] == "gaussian":
        return "must be [mean, std] with std >= 0" if high < 0.0 else None
    if low > high:
        return "must be [low, high]"
    if getattr(NOMINAL, name)[0] > 0.0 and low <= 0.0:
        return "must be positive"
    if low < 0.0:
        return "must not be negative"
    if _KINDS[name] == "integer" and not (low.is_integer() and high.is_integer()):
        return "must be whole control steps"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
