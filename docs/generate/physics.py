"""The tables of physics parameters: value in every preset, and meaning."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from docs.generate.markdown import code, table
from docs.generate.settings import field_docstrings

KINDS = {
    "uniform": "uniform",
    "log_uniform": "log-uniform",
    "gaussian": "Gaussian",
    "integer": "whole steps",
}


def tables() -> str:
    """One row per parameter of `Physics`: first the values in each preset, then the meaning."""
    from tasks.cube_spin.physics import PRESETS, Physics

    values, meanings = [], []
    texts = field_docstrings(Physics)
    for field in fields(Physics):
        name, meta = code(field.name), field.metadata
        kind = meta.get("kind", "")
        of_presets = [_value(getattr(preset, field.name), kind) for preset in PRESETS.values()]
        drawn = KINDS.get(kind, "") + (", once" if meta.get("startup") else "")
        values.append((name, meta.get("unit", ""), *of_presets, drawn))
        meanings.append((name, _allowed(meta), texts[field.name]))
    head = ("parameter", "unit", *(code(name) for name in PRESETS), "drawn")
    return f"{table(head, values)}\n{table(('parameter', 'a file may say', 'meaning'), meanings)}"


def _allowed(meta: Mapping[str, Any]) -> str:
    """What a physics file may give: the range of the value, or of a Gaussian's two numbers."""
    if "bounds" not in meta:
        return ""
    allowed = "{:g} to {:g}".format(*meta["bounds"])
    std = meta.get("largest_std")
    return f"mean {allowed}, std up to {std:g}" if std is not None else allowed


def _value(value: object, kind: str) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    low, high = value
    if kind == "gaussian":
        return f"{low:g}" if high == 0 else f"{low:g} ± {high:g}" if low else f"± {high:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
