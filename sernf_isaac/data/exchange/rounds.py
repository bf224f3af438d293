"""Exchange again and again, whatever the network does."""

import time
from collections.abc import Callable

from sernf_isaac.data.exchange.exchange import Exchange


def keep_in_step(
    exchange: Exchange,
    every_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> None:
    """Round after round, also through times without connection, until somebody interrupts.

    Raises:
        ValueError: If there is another run.
    """
    said = ""
    while True:
        try:
            moved = exchange.round()
            text = str(moved) if moved.sent or moved.fetched else ""
            if said.startswith("waiting") and not text:
                text = "connected again"
        except OSError as error:
            text = f"waiting for a connection: {error}"
        if text and text != said:
            say(text)
        said = text or said
        sleep(every_s)
