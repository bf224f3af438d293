"""Rebuild the tables of the Markdown pages from the result files in docs/results.

    python docs/generate/tables.py             # write every table
    python docs/generate/tables.py --check     # exit with 1 if a table differs from its file
    python docs/generate/tables.py add teacher --from runs/teacher.json --row "2.0 rad/s" \\
      --at by_speed/2 --machine "a laptop" --command "python scripts/evaluate.py ..."

A page shows docs/results/NAME.json between the lines `<!-- table: NAME -->` and `<!-- end -->`.
`add` takes one row from the JSON file of a script; the columns' `key` says which numbers.
"""

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not this folder, whose file names hide installed packages

from docs.generate.results import (  # noqa: E402
    TEXT,
    Cell,
    Column,
    load,
    markdown,
    read_object,
    save,
)

RESULTS = Path("docs/results")
PAGES = ("README.md", "assets/README.md", "docs/**/*.md")
MARK = re.compile(r"^<!-- table: (\S+) -->$", re.MULTILINE)
BLOCK = re.compile(r"^(<!-- table: (\S+) -->\n)(.*?)^(<!-- end -->)$", re.DOTALL | re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """All pages that may show a table."""
    return sorted({path for pattern in PAGES for path in root.glob(pattern)})


def rebuilt(page: Path, root: Path) -> str:
    """The page's text with every table made anew.

    Raises:
        ValueError: If a marker names no result file or has no end, or a file breaks the format.
    """
    text = page.read_text()
    whole = BLOCK.findall(text)
    if len(whole) != len(MARK.findall(text)) or any(MARK.search(inside) for *_, inside, _ in whole):
        raise ValueError(f"{page}: a table's marker is not followed by <!-- end -->")

    def table(match: re.Match) -> str:
        path = root / RESULTS / f"{match[2]}.json"
        if not path.exists():
            raise ValueError(f"{page} names the table {match[2]!r}, but there is no {path}")
        return f"{match[1]}\n{markdown(load(path))}\n\n{match[4]}"

    return BLOCK.sub(table, text)


def unused(root: Path) -> list[Path]:
    """Result files that no page shows."""
    shown = {name for page in pages(root) for name in MARK.findall(page.read_text())}
    return [path for path in sorted((root / RESULTS).glob("*.json")) if path.stem not in shown]


def outdated(root: Path) -> list[Path]:
    """Pages of which a table differs from its file."""
    return [page for page in pages(root) if page.read_text() != rebuilt(page, root)]


def write(root: Path) -> list[Path]:
    """Rebuild all tables; return the pages that changed."""
    changed = outdated(root)
    for page in changed:
        page.write_text(rebuilt(page, root))
    return changed


def add(root: Path, args: argparse.Namespace) -> Path:
    """Append a row from a script's JSON file to a result file, or replace the row of that name.

    Raises:
        ValueError: If the JSON file lacks a number, the seed or the number of episodes.
    """
    path = root / RESULTS / f"{args.name}.json"
    if not path.exists():
        raise ValueError(f"there is no {path}: write it first, see {RESULTS / 'index.md'}")
    result, values, whole = load(path), read_object(path), read_object(args.source)
    numbers = _inside(whole, args.at, args.source)
    row = [args.row, *(_cell(numbers, column, args.source) for column in result.columns[1:])]
    run = {
        "rows": [args.row],
        "commands": args.command,
        "commit": args.commit or _head(root),
        "machine": args.machine,
        "date": datetime.date.fromtimestamp(args.source.stat().st_mtime).isoformat(),
        "seeds": [_needed(whole, "seed", args.source)],
        "episodes": args.episodes or _needed(whole | numbers, "episodes", args.source),
    }
    _replace(values, row, run)
    save(path, values)
    return path


def _replace(values: dict, row: list[Cell], run: dict) -> None:
    """Put a row in its old place or at the end, and let its run alone claim it."""
    everyone = [old[0] for old in values["rows"]]
    places = [i for i, label in enumerate(everyone) if label == row[0]]
    if places:
        values["rows"][places[0]] = row
    else:
        values["rows"].append(row)
    for old in values["runs"]:
        old["rows"] = [label for label in old.get("rows", everyone) if label != row[0]]
    values["runs"] = [old for old in values["runs"] if old["rows"]] + [run]


def _cell(numbers: dict, column: Column, source: Path) -> Cell:
    if column.key is None or column.format == TEXT:
        return None
    value = _needed(numbers, column.key, source)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{source}: {column.key!r} is no number but {value!r}")
    value = value * column.scale
    ends = numbers.get(f"{column.key}_ci95")
    return value if ends is None else {"value": value, "ci95": [e * column.scale for e in ends]}


def _inside(values: dict, at: str, source: Path) -> dict:
    for key in filter(None, at.split("/")):
        values = _needed(values, key, source)
        if not isinstance(values, dict):
            raise ValueError(f"{source}: {key!r} holds no numbers but {values!r}")
    return values


def _needed(values: dict, key: str, source: Path) -> Cell:
    if key not in values:
        raise ValueError(f"{source} has no {key!r}; it has {', '.join(values)}")
    return values[key]


def _head(root: Path) -> str:
    """The commit that is checked out."""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if outdated")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    row = parser.add_subparsers(dest="task").add_parser("add", help="add a row to a result file")
    row.add_argument("name", help="of the result file")
    row.add_argument("--from", dest="source", type=Path, required=True, help="a script's JSON file")
    row.add_argument("--row", required=True, help="the row's first cell")
    row.add_argument("--at", default="", help="where in the JSON file, such as by_speed/1.5")
    row.add_argument("--command", action="append", required=True, help="what made it; repeatable")
    row.add_argument("--machine", required=True, help="in words, such as 'a laptop with ...'")
    row.add_argument("--episodes", type=int, default=None, help="where the JSON file lacks them")
    row.add_argument("--commit", default=None, help="that was checked out then; default: HEAD")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    if args.task == "add":
        print(f"wrote {add(args.root, args)}")
    for path in unused(args.root):
        print(f"{path} is shown by no page; write <!-- table: {path.stem} --> into one")
    if not args.check:
        print("".join(f"wrote {page}\n" for page in write(args.root)), end="")
        return 0
    wrong = outdated(args.root)
    print("".join(f"{page}: run python docs/generate/tables.py\n" for page in wrong), end="")
    return 1 if wrong or unused(args.root) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
