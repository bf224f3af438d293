"""The object in the hand: a cube, an upright cylinder or a sphere, and its size and mass."""

import math
from dataclasses import dataclass

CUBE_SIZE_M = 0.045
"""Edge of the cube (paper F.4)."""
CUBE_MASS_KG = 0.08
"""Mass that the randomisation scales; the paper gives the scale only."""
SHAPES = ("cube", "cylinder", "sphere")
SIZES_M = (0.03, 0.07)
HEIGHTS_M = (0.03, 0.09)
MASSES_KG = (0.005, 0.5)


@dataclass(unsafe_hash=True)  # settings are written before they are used, never after
class HeldObject:
    """What the hand holds."""

    shape: str = "cube"
    """"cube", "cylinder" (upright) or "sphere"."""
    size_m: float = CUBE_SIZE_M
    """Edge of a cube, diameter of the others."""
    height_m: float | None = None
    """Of a cylinder; null: as its diameter."""
    mass_kg: float = CUBE_MASS_KG
    """Mass that the randomisation scales: its presets draw 0.2 to 1 of it, or more."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"object.shape ({self.shape!r}) must be one of {', '.join(SHAPES)}")
        _within("object.size_m", self.size_m, SIZES_M, "m")
        if self.height_m is not None:
            if self.shape != "cylinder":
                raise ValueError(f"object.height_m is for a cylinder, not for a {self.shape}")
            _within("object.height_m", self.height_m, HEIGHTS_M, "m")
        _within("object.mass_kg", self.mass_kg, MASSES_KG, "kg")

    @property
    def ratio(self) -> float:
        """Its size over that of the paper's cube."""
        return self.size_m / CUBE_SIZE_M

    @property
    def mass_ratio(self) -> float:
        """Its mass over that of the paper's cube."""
        return self.mass_kg / CUBE_MASS_KG

    @property
    def upright_m(self) -> float:
        """Its height where it stands."""
        return self.size_m if self.height_m is None else self.height_m

    @property
    def label(self) -> str:
        """Shape and size in words, as in files: "cube 45 mm", "cylinder 50 x 60 mm"."""
        sizes = f"{1000 * self.size_m:g}"
        if self.shape == "cylinder":
            sizes += f" x {1000 * self.upright_m:g}"
        return f"{self.shape} {sizes} mm"

    @property
    def is_first(self) -> bool:
        """Whether it is the paper's cube, for which files need not say so; its mass may differ."""
        return self.label == HeldObject().label

    def half_sizes_m(self, size_m: float | None = None) -> tuple[float, float, float]:
        """As MuJoCo wants them: half edges; radius and half height; radius."""
        half = (self.size_m if size_m is None else size_m) / 2
        if self.shape == "cube":
            return half, half, half
        if self.shape == "cylinder":
            return half, half * self.upright_m / self.size_m, 0.0
        return half, 0.0, 0.0

    def half_extents_m(self, size_m: float | None = None) -> tuple[float, float, float]:
        """Of the box around it, in its own frame."""
        across, along, _ = self.half_sizes_m(size_m)
        return across, across, along if self.shape == "cylinder" else across

    def reach_m(self, size_m: float | None = None) -> float:
        """Distance from its centre to its farthest point."""
        across, along, _ = self.half_sizes_m(size_m)
        if self.shape == "cube":
            return math.sqrt(3.0) * across
        return math.hypot(across, along)

    def inertia(self, mass_kg: float, size_m: float) -> tuple[float, float, float]:
        """Moments [kg m^2] about its axes, uniform and solid."""
        if self.shape == "cube":
            about = mass_kg * size_m**2 / 6.0
            return about, about, about
        radius, half_height, _ = self.half_sizes_m(size_m)
        if self.shape == "sphere":
            about = 0.4 * mass_kg * radius**2
            return about, about, about
        across = mass_kg * (3.0 * radius**2 + 4.0 * half_height**2) / 12.0
        return across, across, mass_kg * radius**2 / 2.0

    def search_command(self, hand: str) -> str:
        """What makes start grasps for it."""
        command = f"python scripts/search_grasps.py --hand {hand} --object {self.shape}"
        command += f" --size_mm {1000 * self.size_m:g}"
        return f"{command} --height_mm {1000 * self.height_m:g}" if self.height_m else command


def object_of_flags(
    shape: str | None, size_mm: float | None, height_mm: float | None
) -> HeldObject | None:
    """The object of `--object --size_mm --height_mm`; None if none of them was given."""
    if shape is None and size_mm is None and height_mm is None:
        return None
    size_m = CUBE_SIZE_M if size_mm is None else round(size_mm / 1000.0, 9)
    height_m = None if height_mm is None else round(height_mm / 1000.0, 9)
    return HeldObject(shape or SHAPES[0], size_m, height_m)


def object_named(label: str) -> HeldObject:
    """The object of a label, with the usual mass.

    Raises:
        ValueError: If it is no label.
    """
    shape, _, sizes = label.removesuffix(" mm").partition(" ")
    try:
        size_m, *height_m = (float(part) / 1000.0 for part in sizes.split(" x "))
    except ValueError as error:
        raise ValueError(f"{label!r} is no object, such as {HeldObject().label!r}") from error
    return HeldObject(shape, size_m, *height_m)


def refuse_other_object(meant: str, held: HeldObject, policy: object, remedy: str) -> None:
    """Nothing if a policy is for an object.

    Args:
        meant: Label of the policy's own; empty in files that are older than objects had names.
        held: The object that is there.
        policy: What to call the policy in the message, as its file.
        remedy: What to do, in the end of the message.

    Raises:
        ValueError: If it is for another one; names both.
    """
    if (meant := meant or HeldObject().label) != held.label:
        raise ValueError(f"{policy} is for the object {meant}, not for {held.label}; {remedy}")


def _within(name: str, value: float, bounds: tuple[float, float], unit: str) -> None:
    low, high = bounds
    if not low - 1e-9 <= value <= high + 1e-9:
        raise ValueError(f"{name} ({value:g} {unit}) must be within {low:g} to {high:g} {unit}")
