"""Measurements that end in every possible way, for a process of their own."""

import os
import time
from collections.abc import Callable

Tell = Callable[[dict], None]


def good(number: int, *, tell: Tell) -> dict:
    """Tells some and returns some."""
    tell({"told": number})
    print("as it should be")
    return {"returned_ms": 2.0 * number, "text": "not in a table", "nothing": float("nan")}


def bad(*, tell: Tell) -> None:
    """Fails after the first number."""
    tell({"before": 1.0})
    raise RuntimeError("the GPU fell off the bus")


def crash(*, tell: Tell) -> None:
    """Dies without a word."""
    tell({"before": 2.0})
    os.abort()


def slow(seconds: float = 60.0, *, tell: Tell) -> None:
    """Tells, and never comes to an end."""
    tell({"seconds_given": seconds})
    time.sleep(600.0)
