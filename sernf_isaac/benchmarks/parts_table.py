"""The tables of a measurement in parts: for the terminal, and as a result file of the documents."""

from collections.abc import Iterator

from sernf_isaac.benchmarks.parts import DONE, Numbers

COLUMNS = [
    {"name": "part", "unit": None, "format": "text"},
    {"name": "quantity", "unit": None, "format": "text"},
    {"name": "measured", "unit": None, "format": ",.4g"},
    {"name": "expected", "unit": None, "format": ",.4g"},
]
Row = tuple[str, str, float, float | None]


def rows_of(report: Numbers) -> Iterator[Row]:
    """Part, quantity, what was measured and what was expected, if that is known."""
    for name, part in report["parts"].items():
        numbers = part["numbers"] | {
            key: part[key] for key in ("peak_memory_gib", "peak_gpu_gib") if part.get(key)
        }
        for quantity, value in numbers.items():
            if quantity.endswith("_floor_ms") or not isinstance(value, int | float):
                continue
            expected = part["expects"].get(quantity)
            if expected is None and quantity.endswith("_ms"):
                expected = numbers.get(_floor_of(quantity))
            yield name, quantity, value, expected


def text_table(report: Numbers) -> str:
    """A line for each number, below what each part was to show."""
    lines, last = [], None
    for name, quantity, value, expected in rows_of(report):
        if name != last:
            part, last = report["parts"][name], name
            lines.append(f"\n{name}: {part['state']} after {part['seconds']:.0f} s")
            lines.append(f"  expected: {part['expected']}")
        beside = "" if expected is None else f"   expected {expected:,.4g}"
        lines.append(f"  {quantity:38s} {value:12,.4g}{beside}")
    missing = [f"{n} ({p['state']})" for n, p in report["parts"].items() if p["state"] != DONE]
    lines.append(f"\nnot measured: {', '.join(missing) or 'nothing, all parts are done'}")
    return "\n".join(lines).lstrip("\n")


def result_table(report: Numbers) -> dict:
    """A result file for `docs/results`: `docs/generate/tables.py` shows it."""
    about, parts = report["about"], report["parts"]
    rows = [
        [name, quantity, value, expected] for name, quantity, value, expected in rows_of(report)
    ]
    notes = [
        "*Expected* of a time is a floor: the arithmetic at the data sheet's peak, or reading all "
        "weights once."
    ]
    notes += [f"{n} is not done: {p['state']}." for n, p in parts.items() if p["state"] != DONE]
    none = "a measurement of time has none"
    missing: dict[str, str] = {"seeds": none, "episodes": none}
    run = {name: about[name] for name in ("commands", "commit", "machine", "date")}
    commit, _, changed = str(about["commit"]).partition("+")
    if changed:
        notes.append("Files differed from the commit.")
    if commit == "unknown":
        commit, missing["commit"] = None, "not noted"
    run |= {"commit": commit, "seeds": None, "episodes": None, "missing": missing}
    return {
        "title": f"One run of gpu_report.py on {about['machine']}",
        "columns": COLUMNS,
        "rows": rows,
        "runs": [run] if rows else [],
        "notes": notes,
    }


def _floor_of(quantity: str) -> str:
    """Of a time's name: what is measured of one decision has one floor."""
    stem = quantity.removesuffix("_ms")
    for kind in ("_p50", "_p99", "_first"):
        stem = stem.removesuffix(kind)
    return f"{stem}_floor_ms"
