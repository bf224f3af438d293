# USD's own stubs call most results None: the type checker sees none of its names.
from typing import Any

def __getattr__(name: str) -> Any: ...
