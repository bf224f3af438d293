"""Result files: one JSON file per table, with where its numbers come from.

docs/results/index.md describes the format. `load` refuses a file that breaks it and names the file
and the key; `markdown` renders a file as a table with its provenance below.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIELDS = ("title", "columns", "rows", "runs", "notes")
COLUMN_FIELDS = {"name", "unit", "format", "interval", "key", "scale"}
PROVENANCE = ("commands", "commit", "machine", "date", "seeds", "episodes")
KINDS = {"commands": list, "machine": str, "seeds": (list, str), "episodes": int}
RUN_FIELDS = {"rows", "missing", *PROVENANCE}
TEXT = "text"
Cell = Any
"""What JSON holds: text, a number, an object or null; `load` checks which."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    unit: str | None
    """None for text and for numbers without a unit."""
    format: str
    """`text`, or Python's format specification of the numbers, such as `.2f`."""
    interval: str
    """Format of the numbers in brackets and after ±; the column's own by default."""
    key: str | None = None
    """Name of the number in a script's JSON file, for `tables.py add`."""
    scale: float = 1.0
    """What the script's number is multiplied with, for example 100 for per cent."""

    @property
    def head(self) -> str:
        """The column's heading."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Result:
    """One result file."""

    path: Path
    title: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    runs: list[dict]
    """What made which rows; the keys are `PROVENANCE`, `rows` and `missing`."""
    notes: list[str]

    def cell(self, row: str, column: str) -> tuple[Cell, Column]:
        """The first cell with these labels, and its column.

        Raises:
            ValueError: If the table has no such row or column.
        """
        heads = [c.name for c in self.columns]
        labels = [r[0] for r in self.rows]
        for known, label, kind in ((labels, row, "row"), (heads, column, "column")):
            if label not in known:
                raise ValueError(f"{self.path} has no {kind} {label!r}; it has {known}")
        place = heads.index(column)
        return self.rows[labels.index(row)][place], self.columns[place]


def load(path: Path) -> Result:
    """Read and check a result file.

    Raises:
        ValueError: Naming the file and the key, if the file breaks the format.
    """
    values = read_object(path)
    _same_keys(str(path), values, set(FIELDS), set(FIELDS))
    for key, kind in (("title", str), *((key, list) for key in FIELDS[1:])):
        if not isinstance(values[key], kind):
            raise ValueError(f"{path}: {key} must be a {kind.__name__}")
    columns = tuple(_column(f"{path}: columns[{i}]", c) for i, c in enumerate(values["columns"]))
    if not columns or columns[0].format != TEXT:
        raise ValueError(f"{path}: columns[0] must be the text that names a row")
    for index, row in enumerate(values["rows"]):
        _check_row(f"{path}: rows[{index}]", row, columns)
    labels = {row[0] for row in values["rows"]}
    for index, run in enumerate(values["runs"]):
        _check_run(f"{path}: runs[{index}]", run, labels)
    _check_cover(path, values["rows"], values["runs"])
    return Result(path, values["title"], columns, values["rows"], values["runs"], values["notes"])


def read_object(path: Path) -> dict:
    """A JSON file that holds an object.

    Raises:
        ValueError: If it does not.
    """
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no JSON object but a {type(values).__name__}")
    return values


def save(path: Path, values: dict) -> None:
    """Write a result file, one row, column and run per line."""
    parts = [f' "title": {_json(values["title"])}']
    for key in FIELDS[1:]:
        lines = ",\n".join(f"  {_json(item)}" for item in values[key])
        parts.append(f' "{key}": [\n{lines}\n ]' if lines else f' "{key}": []')
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    os.replace(partial, path)


def markdown(result: Result) -> str:
    """The table and its provenance, as a page shows them.

    Raises:
        ValueError: If a cell takes its number from a table, row or column that does not exist.
    """
    lines = [f"**{result.title}**", ""]
    lines.append("| " + " | ".join(column.head for column in result.columns) + " |")
    lines.append(
        "|" + "|".join("---" if c.format == TEXT else "---:" for c in result.columns) + "|"
    )
    for row in result.rows:
        cells = (_shown(c, column, result.path.parent) for c, column in _pairs(row, result))
        lines.append("| " + " | ".join(cells) + " |")
    if result.runs or result.notes:
        lines += ["", *(f"* {note}" for note in result.notes), *_origins(result.runs)]
    if result.runs:
        lines[-1] += f" Numbers: `docs/results/{result.path.name}`."
        if commands := _commands(result.runs):
            lines += ["", "```bash", *commands, "```"]
    return "\n".join(lines)


def _pairs(row: list[Cell], result: Result) -> zip:
    return zip(row, result.columns, strict=True)


def _shown(cell: Cell, column: Column, folder: Path) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    if isinstance(cell, dict) and "from" in cell:
        name, row, source = cell["from"]
        path = folder / f"{name}.json"
        if not path.exists():
            raise ValueError(f"a cell takes its number from {path}, which does not exist")
        cell, origin = load(path).cell(row, source)
        if column.format != TEXT:  # a borrowed number is shown short
            cell, origin = cell["value"] if isinstance(cell, dict) else cell, column
        return _shown(cell, origin, folder)
    if not isinstance(cell, dict):
        return format(cell, column.format)
    value = format(cell["value"], column.format)
    if "std" in cell:
        return f"{value} ± {cell['std']:{column.interval}}"
    low, high = cell["ci95"]
    return f"{value} [{low:{column.interval}}, {high:{column.interval}}]"


def _origins(runs: list[dict]) -> list[str]:
    """Where the numbers come from: one line for all rows that were measured alike."""
    alike: dict[str, list[str]] = {}
    for run in runs:
        alike.setdefault(_origin(run), []).extend(run.get("rows", ()))
    if len(alike) == 1:
        return [f"* {origin}" for origin in alike]
    return [f"* *{'; '.join(rows)}*: {origin}" for origin, rows in alike.items()]


def _origin(run: dict) -> str:
    """For example `Commit 1a2b3c4, a laptop, 2026-11-21. Seeds: 0, 1. Episodes per row: 256.`"""
    reasons = run.get("missing", {})
    commit = f"Commit `{run['commit']}`" if run["commit"] else f"Commit: {reasons['commit']}"
    parts = [", ".join(filter(None, (commit, run["machine"], run["date"])))]
    if run["commands"] is None:
        parts.append(f"Command: {reasons['commands']}")
    if seeds := run["seeds"]:
        parts.append(f"Seeds: {seeds if isinstance(seeds, str) else ', '.join(map(str, seeds))}")
    if run["episodes"] is not None:
        parts.append(f"Episodes per row: {run['episodes']}")
    return ". ".join(parts) + "."


def _commands(runs: list[dict]) -> list[str]:
    commands = [command for run in runs for command in run["commands"] or []]
    return list(dict.fromkeys(commands))


def _column(where: str, values: object) -> Column:
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be an object with name, unit and format")
    _same_keys(where, values, {"name", "unit", "format"}, COLUMN_FIELDS)
    for key in ("format", "interval"):
        spec = values.get(key, TEXT)
        try:
            _ = spec if spec == TEXT else format(1.0, spec)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}.{key}: {spec!r} formats no number: {error}") from error
    return Column(**{"interval": values["format"], **values})


def _check_row(where: str, row: object, columns: tuple[Column, ...]) -> None:
    if not isinstance(row, list) or len(row) != len(columns):
        raise ValueError(f"{where} must be a list of {len(columns)} cells, one per column")
    if not isinstance(row[0], str) or not row[0]:
        raise ValueError(f"{where}[0] must name the row")
    for index, (cell, column) in enumerate(zip(row, columns, strict=True)):
        fits = cell is None or (isinstance(cell, str) if column.format == TEXT else _number(cell))
        if not fits and not _reference(cell):
            kind = "text" if column.format == TEXT else "a number with or without ci95 or std"
            raise ValueError(f"{where}[{index}] ({column.name}): {cell!r} is not {kind}")


def _number(cell: object) -> bool:
    """A number, or one with its standard deviation or the two ends of its 95 % interval."""
    if isinstance(cell, dict):
        if set(cell) == {"value", "std"}:
            return _number(cell["value"]) and _number(cell["std"])
        ends = cell.get("ci95")
        pair = isinstance(ends, list) and len(ends) == 2 and all(map(_number, ends))
        return set(cell) == {"value", "ci95"} and pair and _number(cell["value"])
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _reference(cell: object) -> bool:
    if not isinstance(cell, dict) or set(cell) != {"from"}:
        return False
    parts = cell["from"]
    return isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) for p in parts)


def _check_run(where: str, run: object, labels: set[str]) -> None:
    if not isinstance(run, dict):
        raise ValueError(f"{where} must be an object with {', '.join(PROVENANCE)}")
    _same_keys(where, run, set(PROVENANCE), RUN_FIELDS)
    for key in PROVENANCE:
        if run[key] is None and not run.get("missing", {}).get(key):
            raise ValueError(f"{where}.{key} is null without a reason in {where}.missing.{key}")
    for key, pattern in (("commit", r"[0-9a-f]{7,40}"), ("date", r"\d{4}-\d\d-\d\d")):
        if run[key] is not None and not re.fullmatch(pattern, str(run[key])):
            raise ValueError(f"{where}.{key}: {run[key]!r} is no {key}")
    for key, kind in KINDS.items():
        if run[key] is not None and not (run[key] and isinstance(run[key], kind)):
            names = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(name.__name__ for name in names)
            raise ValueError(f"{where}.{key}: {run[key]!r} is empty or no {wanted}")
    if unknown := set(run.get("rows", ())) - labels:
        raise ValueError(f"{where}.rows names rows that the table lacks: {sorted(unknown)}")


def _check_cover(path: Path, rows: list, runs: list[dict]) -> None:
    """Every row is made by a run, or takes all its numbers from other tables."""
    everything = any("rows" not in run for run in runs)
    named = {label for run in runs for label in run.get("rows", ())}
    for index, row in enumerate(rows):
        borrowed = any(map(_reference, row)) and not any(map(_number, row))
        if not everything and row[0] not in named and not borrowed:
            raise ValueError(f"{path}: rows[{index}] ({row[0]}) is made by none of the runs")


def _same_keys(where: str, values: dict, needed: set[str], known: set[str]) -> None:
    if missing := needed - set(values):
        raise ValueError(f"{where} lacks {', '.join(sorted(missing))}")
    if unknown := set(values) - known:
        raise ValueError(f"{where} has unknown keys: {', '.join(sorted(unknown))}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
