"""Generated parts of committed pages: what stands between two marks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Marked:
    """A part of a page, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

    page: Path
    name: str

    def written(self) -> str:
        """What stands there now.

        Raises:
            ValueError: If the page lacks a mark.
        """
        return self._parts()[1].strip() + "\n"

    def write(self, text: str) -> None:
        """Put a text there.

        Raises:
            ValueError: If the page lacks a mark.
        """
        before, _, after = self._parts()
        begin, end = self._marks()
        self.page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")

    def _parts(self) -> tuple[str, str, str]:
        begin, end = self._marks()
        before, has_begin, rest = self.page.read_text().partition(begin)
        inside, has_end, after = rest.partition(end)
        if not (has_begin and has_end):
            raise ValueError(f"{self.page} lacks the marks {begin} and {end}")
        return before, inside, after

    def _marks(self) -> tuple[str, str]:
        return f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
