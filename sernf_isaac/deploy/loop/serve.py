"""The loop itself, inside its process: one tick per period, in time, reported and logged."""

import gc
import os
import signal
import time
from pathlib import Path

from sernf_isaac.deploy.loop.messages import SharedMessages, to_command
from sernf_isaac.deploy.loop.server import LoopServer
from sernf_isaac.deploy.loop.states import State
from sernf_isaac.deploy.loop.tick_log import TickLog

PRIORITY = 20
"""Among real-time processes, where the system allows one."""


def serve(server: LoopServer, messages: SharedMessages, parent: int, log: Path | None) -> None:
    """Tick until the machine is off and nobody wants more of it.

    A process that is told to end hears no more commands: to the machine that is an actor that died.
    """
    told_to_end = over = False

    def end(*_: object) -> None:
        nonlocal told_to_end
        told_to_end = True

    signal.signal(signal.SIGTERM, end)
    ticks = TickLog(log, messages.state.record_size) if log else None
    _hurry()
    due_s, missed = time.monotonic(), 0
    while not over:
        pressed = messages.operator.read()
        keys = (0, 0) if pressed is None else (int(pressed["stops"]), int(pressed["clears"]))
        command = None if told_to_end else to_command(messages.command.read())
        now_s = time.monotonic()  # last: a command of the future is of another clock
        report = server.tick(now_s, command, keys, lateness_s=now_s - due_s, missed=missed)
        if ticks and ticks.ended and not report["error"][0]:
            report["error"] = ticks.ended.encode()[:200]
        messages.state.write(report)
        if ticks:
            ticks.add(report.tobytes())
        orphaned = os.getppid() != parent
        off = server.controller.state is State.OFF
        over = (told_to_end and (off or server.ends_at_once)) or (orphaned and off)
        due_s += server.period_s
        late_s = time.monotonic() - due_s
        if late_s > server.period_s:  # whole periods are gone: leave them out, do not rush after
            skipped = int(late_s / server.period_s)
            missed, due_s = missed + skipped, due_s + skipped * server.period_s
        time.sleep(max(due_s - time.monotonic(), 0.0))


def _hurry() -> None:
    """Real-time priority where the system allows it; no garbage collection in the loop."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except (OSError, AttributeError):
        try:
            os.nice(-10)
        except OSError:
            return
