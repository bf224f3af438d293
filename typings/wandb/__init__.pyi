"""What is used of Weights & Biases, which is an optional package."""

from typing import Any

class Error(Exception): ...

def init(
    *,
    project: str,
    dir: str,
    name: str,
    id: str,
    resume: str,
    config: dict[str, Any] | None,
) -> Any: ...
