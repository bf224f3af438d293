"""The person beside the hand: a keyboard, or in simulation somebody who always agrees."""

import atexit
import io
import sys
import threading
from collections.abc import Callable

KEYS = """keys: SPACE stop the motors   c clear a fault   ENTER yes, go on
      s success, end    f failure, end    e end without saying    q quit"""
_OUTCOMES = {"s": "success", "f": "failure", "e": "stopped"}


class Keyboard:
    """Single keys from the terminal; stop and clear act at once, from their own thread.

    Args:
        stop: Called on SPACE.
        clear: Called on c.

    Raises:
        RuntimeError: If standard input is no terminal.
    """

    def __init__(self, stop: Callable[[], None], clear: Callable[[], None]) -> None:
        if not sys.stdin.isatty():
            raise RuntimeError("a hand needs a person at a terminal; there is none here")
        self._actions = {" ": stop, "c": clear}
        self._answer = threading.Event()
        self._quit = threading.Event()
        self._outcome: str | None = None
        self._deaf = ""
        self._listen_to_keys()
        print(KEYS)

    def press(self, key: str) -> None:
        """What a key does."""
        if key in self._actions:
            self._actions[key]()
        elif key in ("\r", "\n"):
            self._answer.set()
        elif key in _OUTCOMES:
            self._outcome = _OUTCOMES[key]
        elif key == "q":
            self._outcome = "stopped"
            self._quit.set()

    def tell(self, message: str) -> None:
        """As in `Operator`."""
        print(message, flush=True)

    def ask(self, question: str) -> None:
        """As in `Operator`."""
        self._answer.clear()
        print(f"{question} [ENTER]", flush=True)

    def answered(self) -> bool:
        """As in `Operator`."""
        return self._answer.is_set()

    def ends_episode(self) -> str | None:
        """As in `Operator`."""
        outcome, self._outcome = self._outcome, None
        return outcome

    def quits(self) -> bool:
        """As in `Operator`."""
        if self._deaf:
            raise RuntimeError(f"the stop key does not work any more: {self._deaf}")
        return self._quit.is_set()

    def _listen_to_keys(self) -> None:
        import termios  # only where there are terminals
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        # Not the thread's affair: a daemon is dropped wherever it is, without its `finally`.
        atexit.register(termios.tcsetattr, descriptor, termios.TCSADRAIN, before)
        tty.setcbreak(descriptor)
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a strange key is no reason to stop listening
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Until nothing more can be heard, which ends the session: see `quits`."""
        try:
            while key := sys.stdin.read(1):
                self.press(key)
            self._deaf = "the terminal was closed"
        except Exception as error:  # this thread has nobody else to tell
            self._deaf = f"{type(error).__name__}: {error}"


class Unattended:
    """Nobody: for simulated hands only. Agrees to everything and clears every fault.

    Args:
        clear: Clears the hand's faults.
        tell: Where messages go.
    """

    def __init__(self, clear: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._clear, self._tell = clear, tell

    def tell(self, message: str) -> None:
        """As in `Operator`."""
        self._tell(message)

    def ask(self, question: str) -> None:
        """As in `Operator`; whatever was asked is done at once."""
        self._tell(question)
        self._clear()

    def answered(self) -> bool:
        """As in `Operator`."""
        return True

    def ends_episode(self) -> str | None:
        """As in `Operator`."""
        return None

    def quits(self) -> bool:
        """As in `Operator`."""
        return False
