"""Progress bars over amounts that are no counts: minutes of data."""

from typing import TextIO

from tqdm import tqdm


class MinutesBar(tqdm):
    """A bar over minutes; more than there should be fills it and is not shown as more than all.

    Args:
        minutes: When it is full; None: nobody knows.
        desc: What takes place.
        leave: Whether the bar stays when it is closed.
        file: Where to draw; by default stderr.
    """

    def __init__(
        self,
        minutes: float | None,
        desc: str | None = None,
        *,
        leave: bool = True,
        file: TextIO | None = None,
    ) -> None:
        shown = "{desc}: {n:.1f} min [{elapsed}]"
        if minutes is not None:
            shown = "{l_bar}{bar}| {n:.1f} of {total:.1f} min [{elapsed}<{remaining}]"
        super().__init__(total=minutes, desc=desc, leave=leave, file=file, bar_format=shown)

    def reach(self, minutes: float) -> None:
        """Show that so many minutes are done in all."""
        self.update((minutes if self.total is None else min(minutes, self.total)) - self.n)

    def add(self, minutes: float) -> None:
        """Show that so many more minutes are done."""
        self.reach(self.n + minutes)
