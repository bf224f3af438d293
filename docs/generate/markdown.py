"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells must hold no line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(text) for text in line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """A text as a cell: bars would end it."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text in code font; nothing for nothing."""
    return f"`{text}`" if str(text) else ""
