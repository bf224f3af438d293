"""The tables of physics parameters: value in every preset, and meaning."""

from dataclasses import fields

from docs.generate.markdown import code, table
from docs.generate.settings import field_docstrings

UNITS = {"_rad_s": "rad/s", "_m_s2": "m/s²", "_m_s": "m/s", "_rad": "rad", "_kg": "kg", "_m": "m"}
KINDS = {
    "uniform": "uniform",
    "log_uniform": "log-uniform",
    "gaussian": "Gaussian",
    "integer": "whole steps",
}


def tables() -> str:
    """One row per parameter of `Physics`: first the values in each preset, then the meaning."""
    from tasks.cube_spin.physics import PRESETS, Physics

    values = []
    for field in fields(Physics):
        kind = field.metadata.get("kind", "")
        of_presets = [_value(getattr(preset, field.name), kind) for preset in PRESETS.values()]
        drawn = KINDS.get(kind, "") + (", once" if field.metadata.get("startup") else "")
        values.append((code(field.name), _unit(field.name), *of_presets, drawn))
    head = ("parameter", "unit", *(code(name) for name in PRESETS), "drawn")
    texts = field_docstrings(Physics)
    meanings = [(code(field.name), texts[field.name]) for field in fields(Physics)]
    return f"{table(head, values)}\n{table(('parameter', 'meaning'), meanings)}"


def _unit(name: str) -> str:
    if name.endswith("_steps"):
        return "50 ms"
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


def _value(value: object, kind: str) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    low, high = value
    if kind == "gaussian":
        return f"{low:g}" if high == 0 else f"{low:g} ± {high:g}" if low else f"± {high:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
