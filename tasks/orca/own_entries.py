"""Entries of a YAML file by type; what is missing, unknown or of another type is named."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from math import isfinite


class Entries:
    """A mapping of a file.

    Args:
        content: What the file holds there.
        where: How messages name the place.

    Raises:
        ValueError: If it is no mapping.
    """

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, Mapping):
            raise ValueError(f"{where} must hold entries `name: value`, not {content!r}")
        self.where, self._content = where, {str(key): value for key, value in content.items()}

    def checked(
        self, needed: Mapping[str, str] | Collection[str], may: Collection[str]
    ) -> "Entries":
        """The same.

        Raises:
            ValueError: If an entry is missing or unknown.
        """
        for key in self._content:
            if key not in needed and key not in may:
                near = get_close_matches(key, [*needed, *may], 1)
                meant = f"; did you mean {near[0]}?" if near else ""
                known = ", ".join(dict.fromkeys((*needed, *may)))
                raise ValueError(f"{self.where}: unknown entry {key!r}{meant}; known are {known}")
        for key in needed:
            if key not in self._content:
                what = f" ({needed[key]})" if isinstance(needed, Mapping) else ""
                raise ValueError(f"{self.where}: entry {key!r} is missing{what}")
        return self

    def place(self, key: str) -> str:
        """How messages name an entry."""
        return f"{self.where}: {key}"

    def text(self, key: str, default: str | None = None) -> str:
        """An entry that is text."""
        value = self._content.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "text", value)
        return value

    def texts(self, key: str) -> list[str]:
        """An entry that is a list of names; empty if it is not there."""
        value = self._content.get(key) or []
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self._wrong(key, "a list of names", value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """An entry that is a finite number."""
        value = self._content.get(key, default)
        if not _is_number(value):
            raise self._wrong(key, "a number", value)
        return float(value)  # type: ignore[arg-type]  # just looked at

    angle = number

    def flag(self, key: str, default: bool) -> bool:
        """An entry that is true or false."""
        value = self._content.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def vector(self, key: str, default: tuple | None = None) -> tuple[float, float, float]:
        """An entry that is three numbers."""
        x, y, z = self._numbers(key, 3, default)
        return x, y, z

    def pair(self, key: str) -> tuple[float, float] | None:
        """An entry that is two numbers; None if it is not there."""
        if key not in self._content:
            return None
        low, high = self._numbers(key, 2)
        return low, high

    def group(self, key: str) -> "Entries":
        """An entry that holds entries; empty if it is not there."""
        return Entries(self._content.get(key) or {}, self.place(key))

    def groups(self, key: str) -> Iterator[tuple[str, "Entries"]]:
        """An entry that holds named groups."""
        group = self.group(key)
        for name, content in group._content.items():
            yield name, Entries(content, group.place(name))

    def joints(self) -> Iterator[tuple[str, "Entries"]]:
        """The rows of `joints`; a number alone is where a search for grasps begins."""
        group = self.group("joints")
        for name, content in group._content.items():
            row = {"search_from": content} if _is_number(content) else content
            yield name, Entries(row, group.place(name))

    def _numbers(self, key: str, count: int, default: tuple | None = None) -> list[float]:
        value = self._content.get(key, default)
        right = isinstance(value, list | tuple) and len(value) == count
        if not right or not all(_is_number(number) for number in value):  # type: ignore[union-attr]
            raise self._wrong(key, f"{count} numbers", value)
        return [float(number) for number in value]  # type: ignore[union-attr]  # just looked at

    def _wrong(self, key: str, expected: str, value: object) -> ValueError:
        return ValueError(f"{self.place(key)} must be {expected}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
