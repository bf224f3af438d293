"""What a policy is asked for that it was not trained for."""

from tasks.cube_spin.config import CommandConfig, TaskConfig
from tasks.cube_spin.physics import RANDOMIZED, Physics

CUBE = ("cube_size_m", "cube_mass_kg", "cube_friction")


def outside_training(
    task: TaskConfig, physics: Physics, spin_rad_s: float | None = None
) -> list[str]:
    """Warnings, one per thing that a policy has not met in training.

    Args:
        task: What the policy was trained on.
        physics: What it is to act in; compared with the preset that trainings use.
        spin_rad_s: What it is to be told; None draws commands as the evaluation does.
    """
    found, known = [], RANDOMIZED.for_object(task.object)
    if spin_rad_s is not None and not _is_trained(task.command, spin_rad_s):
        found.append(
            f"a spin of {spin_rad_s:g} rad/s is outside this policy's training "
            f"({_trained_spins(task.command)})"
        )
    for name in CUBE:
        (low, high), (least, most) = getattr(physics, name), getattr(known, name)
        if low < least - 1e-9 or high > most + 1e-9:
            met = f"{least:g}" if least == most else f"{least:g} to {most:g}"
            asked = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            found.append(f"{name} = {asked} is outside the training's ({met})")
    return found


def _is_trained(command: CommandConfig, spin_rad_s: float) -> bool:
    slowest, fastest = command.speed_rad_s
    direction = command.both_directions or (spin_rad_s < 0.0) == command.clockwise
    return direction and slowest <= abs(spin_rad_s) <= fastest


def _trained_spins(command: CommandConfig) -> str:
    slowest, fastest = command.speed_rad_s
    if command.both_directions:
        return f"{slowest:g} to {fastest:g} rad/s either way"
    sign = -1.0 if command.clockwise else 1.0
    ends = sorted((sign * slowest, sign * fastest))
    return f"{ends[0]:g} to {ends[1]:g} rad/s"
