"""The files that are shipped say nothing about the machine that made them."""

from pathlib import Path

import pytest
import torch

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PLACES = ("/", "~")
"""Beginnings of strings that name a folder of one machine."""


def texts(value: object) -> list[str]:
    """All strings in a file's plain values, keys included."""
    if isinstance(value, dict):
        return [text for item in value.items() for text in texts(list(item))]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_strings_are_found_wherever_they_are() -> None:
    assert texts({"a": [1, ("/home", {"b": None})]}) == ["a", "/home", "b"]


@pytest.mark.parametrize("path", sorted(ASSETS.rglob("*.pt")), ids=lambda path: path.name)
def test_no_file_of_tensors_names_a_place(path: Path) -> None:
    found = texts(torch.load(path, map_location="cpu", weights_only=True))
    assert found and not [text for text in found if text.startswith(PLACES)]
