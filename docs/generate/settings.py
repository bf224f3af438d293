"""Settings dataclasses as tables: every dotted key with its default and its docstring."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise


@dataclass(frozen=True)
class Setting:
    """One `group.key=value` setting."""

    key: str
    default: object
    text: str
    """The field's docstring on one line; empty if it has none."""


def settings_of(config: object, prefix: str = "") -> Iterator[Setting]:
    """All settings of a (nested) dataclass, in the order of its fields."""
    texts = field_docstrings(type(config))
    for field in fields(config):  # type: ignore[arg-type]  # any dataclass
        key, value = f"{prefix}{field.name}", getattr(config, field.name)
        if is_dataclass(value):
            yield from settings_of(value, f"{key}.")
        else:
            yield Setting(key, value, texts.get(field.name, ""))


@cache
def field_docstrings(kind: type) -> dict[str, str]:
    """Docstrings that stand below the fields of a class and of its bases, each on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not is_dataclass(base):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        found |= _docstrings_below_fields(tree.body[0])
    return found


def _docstrings_below_fields(node: ast.AST) -> dict[str, str]:
    body = node.body if isinstance(node, ast.ClassDef) else []
    found = {}
    for field, below in pairwise(body):
        name = field.target if isinstance(field, ast.AnnAssign) else None
        text = below.value if isinstance(below, ast.Expr) else None
        if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
            found[name.id] = " ".join(str(text.value).split())
    return found
