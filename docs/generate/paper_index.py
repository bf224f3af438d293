"""The index from the paper's parts to the code, read from citations in docstrings and comments.

A citation is "paper Eq. 7", "Alg. 2", "Table IV", "IV-B", "App. G.3b", "F.4a" or "(G)" in a
docstring or a comment. Its place is the innermost function, class, field or constant around it.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docs.generate.asking import ROOT
from docs.generate.markdown import table
from docs.generate.paper_parts import PARTS

FOLDERS = ("sernf_isaac", "tasks", "perception", "scripts")

_APPENDIX = r"[A-I](?:\.\d[a-e]?)?"
_CITATIONS = (
    (r"\b[Ee]q(?:uation|s)?\.? ?\(?(\d)\)?", "Eq. {}"),
    (r"\bAlg(?:orithm)?s?\.? (\d)", "Alg. {}"),
    (r"\bAlg(?:orithm)?s\.? \d(?: and |, )(\d)", "Alg. {}"),
    (r"\bTables? (IV|I{1,3})\b", "Table {}"),
    (r"\bTables I{1,3} and (IV|I{1,3})\b", "Table {}"),
    (r"\bFigs?\.? (\d+)", "Fig. {}"),
    (r"\bFigs\.? \d+ (?:to|and) (\d+)", "Fig. {}"),
    (r"\b(IV-[A-E]|V-[AB])\b", "{}"),
    (rf"(?:[Pp]aper:?|App(?:endix)?\.?|Appendix) (?:App(?:endix)?\.? )?({_APPENDIX})\b", "{}"),
    (r"\(([C-G]\.\d[a-e]?)\)", "{}"),
    (r"\b([C-G]\.\d[a-e]?)\b", "{}"),
    (r"\((G)\)", "{}"),
    (rf"App\. {_APPENDIX}(?:, {_APPENDIX})*(?:,| and) ({_APPENDIX})\b", "{}"),
)


@dataclass(frozen=True)
class Place:
    """A named place in the code."""

    file: str
    """Relative to the repository."""
    name: str
    """Dotted name in the file; empty for the module itself."""

    def __str__(self) -> str:
        return f"{self.file}:{self.name}" if self.name else self.file


@cache
def citations(root: Path = ROOT) -> dict[str, list[Place]]:
    """Places per part of the paper, in the order of files and lines.

    Raises:
        ValueError: If the code cites a part that the paper does not have.
    """
    found: dict[str, list[Place]] = {part: [] for part in PARTS}
    for path in sorted(p for folder in FOLDERS for p in (root / folder).rglob("*.py")):
        file, source = path.relative_to(root).as_posix(), path.read_text()
        if not parts_in(source):
            continue
        body = ast.parse(source).body
        for line, text in sorted(_texts(source)):
            for part in parts_in(text):
                if part not in found:
                    raise ValueError(f"{file}:{line} cites {part}, which the paper does not have")
                place = Place(file, _name_at(body, line))
                if place not in found[part]:
                    found[part].append(place)
    return found


def parts_in(text: str) -> list[str]:
    """The parts of the paper that a text cites, each once."""
    flat = " ".join(text.split())
    found = [form.format(m[1]) for exp, form in _CITATIONS for m in re.finditer(exp, flat)]
    return list(dict.fromkeys(found))


def index() -> str:
    """The index as a table, without parts that the code does not cite.

    A class stands for its members.
    """
    rows = []
    for part, places in citations().items():
        if places:
            places = [
                p for p in places if Place(p.file, p.name.rpartition(".")[0] or "-") not in places
            ]
            name = f"App. {part}" if re.fullmatch(_APPENDIX, part) else part
            rows.append((name, PARTS[part], ", ".join(f"`{place}`" for place in places)))
    return table(("paper", "subject", "code"), rows)


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings and comments with the line they begin in; comments in a row count as one."""
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value
    previous, start, block = -1, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != previous + 1:
            yield start, block
            start, block = token.start[0], ""
        previous, block = token.start[0], f"{block} {token.string.lstrip('# ')}"
    yield start, block


def _name_at(body: list[ast.stmt], line: int, prefix: str = "") -> str:
    """Dotted name of the innermost definition, field or constant around a line."""
    is_function = prefix.rstrip(".").rpartition(".")[2].lstrip("_")[:1].islower()
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first <= line <= _last_line(node):
                return _name_at(node.body, line, f"{prefix}{node.name}.")
        elif (target := _target(node)) and not is_function:  # else a local variable
            is_described = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if node.lineno <= line <= _last_line(below if below and is_described else node):
                return f"{prefix}{target}"
    return prefix.rstrip(".")


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _target(node: ast.stmt) -> str | None:
    """The name that a statement assigns to, if it assigns to one."""
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    target = node.target if isinstance(node, ast.AnnAssign) else target
    return target.id if isinstance(target, ast.Name) else None
