"""Physics by name, or from the YAML file of a lab that measured its own hand.

base: randomized                        # a preset to start from; nominal by default
cube_mass_kg: 0.061                     # a number pins a parameter
cube_friction: [0.6, 0.9]               # two are a range, [low, high] ...
collisions: hulls                       # in words, as is elliptic_cone: true
gravity_m_s2: [-9.81, 0.1]              # ... or [mean, std] of a Gaussian parameter
joint_limit_offset_rad: {mean: -0.02, std: 0.01}        # the same, in words
"""

import math
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path

from sernf_isaac.yaml_file import read_yaml
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import KINDS, NOMINAL, PRESETS, Physics, Range

COLLISIONS = ("primitives", "hulls")
GAUSSIAN = tuple(name for name, kind in KINDS.items() if kind == "gaussian")
"""Parameters whose two numbers are a mean and a standard deviation, not a range."""
_META = {f.name: f.metadata for f in fields(Physics)}


def load_physics(name_or_file: str, held: HeldObject | None = None) -> Physics:
    """A preset by name, or a YAML file of `parameter: value` or `parameter: [low, high]`.

    Two numbers of a parameter in `GAUSSIAN` are its mean and standard deviation. A preset's sizes
    and masses are scaled to the object; what a file says was measured on it and stays.

    Raises:
        ValueError: For an unknown preset or parameter, a malformed value, one that no hand or cube
            can have, or a key that is given twice; names file, key, unit and bounds.
    """
    held = held or HeldObject()
    if name_or_file in PRESETS:
        return PRESETS[name_or_file].for_object(held)
    path = Path(name_or_file)
    if not path.is_file():
        raise ValueError(
            f"--physics '{name_or_file}' is neither a file nor one of {sorted(PRESETS)}"
        )
    content = read_yaml(path) or {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected 'parameter: value' lines, got {type(content).__name__}")
    if "collisions" in content:
        _name_collisions(path, content)
    base = content.pop("base", "nominal")
    if base not in PRESETS:
        raise ValueError(f"{path}: base '{base}' is not one of {sorted(PRESETS)}")
    begin = PRESETS[base].for_object(held)
    return replace(begin, **{key: _checked(path, key, content[key]) for key in content})


def _name_collisions(path: Path, content: dict) -> None:
    """Write the word for one kind of collision shape as the share of worlds that have hulls."""
    word = content.pop("collisions")
    if word not in COLLISIONS:
        raise ValueError(f"{path}: collisions must be one of {COLLISIONS}, not {word!r}")
    if "hull_collisions" in content:
        raise ValueError(f"{path}: give collisions or hull_collisions, not both")
    content["hull_collisions"] = float(word == "hulls")


def _checked(path: Path, key: object, value: object) -> Range | float:
    """One entry of a physics file as the field's type."""
    known = [f.name for f in fields(Physics)]
    if key not in known:
        close = get_close_matches(str(key), known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"
        raise ValueError(f"{path}: unknown parameter '{key}'{hint}")
    name = str(key)
    if name not in KINDS:
        return _share(path, name, value)
    low, high = _pair(path, name, value)
    if wrong := _wrong(name, low, high, in_words=isinstance(value, dict)):
        raise ValueError(f"{path}: {name} = {value!r} {wrong}")
    return low, high


def _pair(path: Path, name: str, value: object) -> Range:
    """The two numbers of a parameter: of a single one, both ends or the mean."""
    is_gaussian = name in GAUSSIAN
    pair = value
    if _is_number(value):
        pair = [value, 0.0 if is_gaussian else value]
    elif is_gaussian and isinstance(value, dict) and set(value) == {"mean", "std"}:
        pair = [value["mean"], value["std"]]
    if not isinstance(pair, list) or len(pair) != 2:
        what = "[mean, std]" if is_gaussian else "[low, high]"
        raise ValueError(f"{path}: {name} must be a number or {what}, not {value!r}")
    if not all(_is_number(end) and math.isfinite(end) for end in pair):
        raise ValueError(f"{path}: {name} = {value!r} is not a pair of finite numbers")
    return float(pair[0]), float(pair[1])


def _share(path: Path, key: str, value: object) -> float:
    """One entry that is a share, true or false."""
    if isinstance(value, bool | int | float) and 0.0 <= value <= 1.0:
        return float(value)
    raise ValueError(f"{path}: {key} must be true, false or a share of 0 to 1, not {value!r}")


def _wrong(name: str, low: float, high: float, *, in_words: bool) -> str | None:
    """What is wrong with two numbers, if anything."""
    if name in GAUSSIAN:
        return _wrong_gaussian(name, low, high, in_words=in_words)
    if low > high:
        return "must be [low, high]"
    if getattr(NOMINAL, name)[0] > 0.0 and low <= 0.0:
        return "must be positive"
    if low < 0.0:
        return "must not be negative"
    if KINDS[name] == "integer" and not (low.is_integer() and high.is_integer()):
        return f"must be whole {_META[name]['unit']}"
    smallest, largest = _META[name]["bounds"]
    if low < smallest or high > largest:
        return f"must be within {smallest:g} to {largest:g}{_unit(name)}; check the unit"
    return None


def _wrong_gaussian(name: str, mean: float, std: float, *, in_words: bool) -> str | None:
    (smallest, largest), largest_std = _META[name]["bounds"], _META[name]["largest_std"]
    if std < 0.0:
        return "must be [mean, std] with std >= 0: this parameter is Gaussian, it takes no range"
    if name == "gravity_m_s2" and mean > 0.0:
        return f"points up: the z axis does, so write {-mean:g}{_unit(name)}"
    if not in_words and getattr(NOMINAL, name)[0] == 0.0 and mean < 0.0 < std:
        return (
            "looks like a range, but this parameter is Gaussian and takes [mean, std]; write "
            f"{{mean: {mean:g}, std: {std:g}}} if that is meant"
        )
    if not smallest <= mean <= largest:
        return f"must have a mean of {smallest:g} to {largest:g}{_unit(name)}; check the unit"
    if std > largest_std:
        return (
            f"must be [mean, std] with a std of at most {largest_std:g}{_unit(name)}; this "
            "parameter is Gaussian, it takes no range"
        )
    return None


def _unit(name: str) -> str:
    unit = _META[name]["unit"]
    return f" {unit}" if unit else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
