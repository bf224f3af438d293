"""A long measurement in parts: each in a process of its own, with a time limit, free to fail.

What was measured is written after each part, and by the part itself as it goes on: a part that is
killed keeps what it had told. Whoever starts again goes on with the parts that are not done.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sernf_isaac.benchmarks.watched import Watched

Numbers = dict[str, Any]
"""Measurements by name: numbers, or text where there is nothing to count."""
Tell = Callable[[Numbers], None]
"""Gives what is known so far; a part may call it as often as it likes."""
DONE, FAILED, LATE, NO_TIME = "done", "failed", "out of time", "not begun"
LEAST_S = 5.0
"""A part is not begun with less time than this."""
LAST_WORDS = 1500
"""Characters of a failed part's output that are kept."""


@dataclass(frozen=True)
class Part:
    """One measurement; what it calls gets the settings and `tell`, and may return numbers too."""

    name: str
    call: str
    """`module:function`."""
    settings: Numbers
    """Its arguments: plain values."""
    limit_s: float
    """It is ended after this time."""
    expected: str
    """What it should show."""
    expects: dict[str, float] = field(default_factory=dict)
    """Numbers that are known beforehand, by the names of the measured ones."""
    takes_rest: bool = False
    """Gets the time that the others have left, and at least its limit; for the last one, with an
    argument `seconds`."""


def run_parts(
    parts: Sequence[Part],
    folder: Path,
    *,
    about: Mapping[str, object],
    budget_s: float,
    again: bool = False,
    show: Callable[[str], None] = print,
) -> Numbers:
    """Measure what is not measured yet, and return the report.

    Args:
        parts: In order.
        folder: Of the report (`report.json`) and of what each part prints (`PART.log`).
        about: What the report says of itself.
        budget_s: Time for all of them together.
        again: Measure all of them, whatever is there.
        show: Told of every part.

    Raises:
        ValueError: If the folder's report is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, until = folder / "report.json", time.monotonic() + budget_s
    report: Numbers = {"about": dict(about), "parts": {} if again else _known(path)}
    kept_s = sum(part.limit_s for part in parts if part.takes_rest)
    for part in parts:
        before = report["parts"].get(part.name, {})
        if before.get("state") == DONE and before.get("settings") == part.settings:
            show(f"{part.name:24s} {'kept':11s}")
            continue
        left_s = until - time.monotonic()
        limit_s = left_s if part.takes_rest else min(part.limit_s, left_s - kept_s)
        show(f"{part.name:24s} at most {limit_s:.0f} s")
        found = _measure(part, folder, limit_s) | {"commit": about.get("commit")}
        report["parts"][part.name] = found
        _write(path, report)
        said = f": {found['said'].splitlines()[-1]}" if found["said"] else ""
        show(f"{part.name:24s} {found['state']:11s} after {found['seconds']:.0f} s{said}")
    _write(path, report)
    return report


def _known(path: Path) -> Numbers:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text())["parts"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report: {error}; move it away, or use --again") from error


def _measure(part: Part, folder: Path, limit_s: float) -> Numbers:
    found = asdict(part) | {"state": NO_TIME, "seconds": 0.0, "said": "", "numbers": {}}
    if limit_s < LEAST_S:
        return found | {"said": "no time was left"}
    numbers, log = folder / f".{part.name}.json", folder / f"{part.name}.log"
    numbers.unlink(missing_ok=True)
    settings = part.settings | ({"seconds": limit_s} if part.takes_rest else {})
    command = [sys.executable, "-m", __name__, part.call, json.dumps(settings), str(numbers)]
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        try:
            with Watched(process.pid) as watched:
                late = not _ended(process, watched, started + limit_s)
        finally:
            _end(process)
    failed = process.returncode != 0
    found["state"] = LATE if late else FAILED if failed else DONE
    found["seconds"] = round(time.monotonic() - started, 1)
    found["said"] = log.read_text(errors="replace")[-LAST_WORDS:].strip() if failed else ""
    found["numbers"] = json.loads(numbers.read_text()) if numbers.is_file() else {}
    numbers.unlink(missing_ok=True)
    return found | watched.peaks()


def _ended(process: subprocess.Popen, watched: Watched, until: float) -> bool:
    """Whether it ended by itself."""
    while process.poll() is None:
        if time.monotonic() > until:
            return False
        watched.look()
        time.sleep(0.2)
    return True


def _end(process: subprocess.Popen) -> None:
    """The part and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _write(path: Path, content: object) -> None:
    """As a whole, strictly: what is no number is null."""
    plain = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
    staged = path.with_name(f".{path.name}.partial")
    staged.write_text(json.dumps(plain, indent=2, allow_nan=False) + "\n")
    os.replace(staged, path)


def main(call: str, settings: str, numbers: str) -> None:
    """The process of one part."""
    module, _, name = call.partition(":")
    known: Numbers = {}

    def tell(more: Numbers) -> None:
        known.update(more)
        _write(Path(numbers), known)

    function = getattr(importlib.import_module(module), name)
    tell(function(**json.loads(settings), tell=tell) or {})


if __name__ == "__main__":
    main(*sys.argv[1:])
