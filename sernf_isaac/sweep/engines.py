"""Engines: who starts commands, and on which machines. What they do is written in files.

`local` starts processes here; `slurm` hands job arrays to a Slurm cluster, by submitit; `ray` hands
tasks to a Ray cluster, or to one that it starts here. Each of them does as many at a time as it is
told and says which have ended. None of them knows what a run is.
"""

import logging
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

PATIENCE_S = 10.0
"""How long an interrupted command may take to end by itself."""
POLL_S = 0.05
ARRAY = 1000
"""Commands in one job array: more than that, and Slurm's own limit refuses it."""
DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Ended:
    """What is known of a command that an engine has started."""

    code: int
    """Exit status; negative: the signal that killed it, or the process that watched over it."""
    words: str = ""
    """The last that was said."""


class Job(Protocol):
    """A command that an engine has taken."""

    def done(self) -> bool: ...
    def result(self) -> Any: ...  # noqa: ANN401  # an `Ended`; submitit and Ray type it loosely


class Engine(Protocol):
    """Takes commands."""

    poll_s: float
    """Between two looks at what has ended."""

    def submit(self, commands: Sequence[list[str]], running: int) -> list[Any]:
        """Take as many of the commands as there is room for beside those that run; their `Job`s."""
        ...

    def cancel(self, running: Sequence[Any]) -> None:
        """Interrupt these and wait for them; nothing is submitted after this."""
        ...

    def close(self) -> None:
        """Let go of everything; harmless when closed."""
        ...


def engine_named(
    name: str, settings: Sequence[str] = (), *, at_once: int, threads: int, logs: Path
) -> Engine:
    """The engine of a command line (`--on`, `--engine`).

    Args:
        name: One of `ENGINES`.
        settings: "key=value". Slurm: submitit's parameters, and `cluster=local` to try them without
            a cluster. Ray: `address`, and options of the tasks such as `num_gpus`.
        at_once: Commands at a time.
        threads: Processor cores that each of them needs.
        logs: Where an engine may write; a folder that all machines see.

    Raises:
        ModuleNotFoundError: If the engine's package is not installed.
        ValueError: If a setting cannot be used, or there is no such cluster.
    """
    if name not in ENGINES:
        raise ValueError(f"no engine '{name}'; there are {', '.join(ENGINES)}")
    if at_once < 1 or threads < 1:
        raise ValueError(f"processes ({at_once}) and threads ({threads}) must be at least 1")
    return ENGINES[name](dict(map(_setting, settings)), at_once, threads, logs)


def each_ended(
    engine: Engine, commands: Sequence[list[str]]
) -> Generator[tuple[int, Ended], None, None]:
    """Have commands executed; gives the number of each as it ends, and how.

    Closing the iterator, or an interrupt, ends what runs.
    """
    todo, running = list(enumerate(commands)), {}
    try:
        while todo or running:
            taken = engine.submit([command for _, command in todo], len(running)) if todo else []
            running |= {number: job for (number, _), job in zip(todo, taken, strict=False)}
            del todo[: len(taken)]
            for number in [number for number, job in running.items() if job.done()]:
                yield number, _result(running.pop(number))
            time.sleep(engine.poll_s)
    finally:
        if running:
            engine.cancel(list(running.values()))


def call(command: list[str], stop: Callable[[], bool] = lambda: False) -> Ended:
    """Execute a command in this process's machine; an interrupt reaches it first.

    Args:
        command: Program and arguments.
        stop: Asked now and then; when true, the command is ended.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C reaches the engine alone
        )
    except OSError as error:
        return Ended(127, f"machine {platform.node()} cannot start {command[0]}: {error.strerror}")
    try:
        while not stop():
            try:
                said = process.communicate(timeout=4 * POLL_S)[0].strip()
                return Ended(process.returncode, said.rpartition("\n")[2])
            except subprocess.TimeoutExpired:
                continue
        return Ended(-signal.SIGINT, "interrupted")
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """Interrupt a process and what it started, so that it may save; kill what does not listen."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _result(job: Job) -> Ended:
    try:
        return job.result()
    except Exception as error:  # of whatever kind the engine has for a process that died
        last = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return Ended(-signal.SIGKILL, f"its engine lost it: {last}")


def _setting(item: str) -> tuple[str, object]:
    key, equals, text = item.partition("=")
    if not key or not equals:
        raise ValueError(f"--engine {item}: write key=value")
    return key, yaml.safe_load(text)


class _Local:
    """Processes on this machine."""

    poll_s = POLL_S

    def __init__(self, settings: dict[str, Any], at_once: int, _: int, __: Path) -> None:
        if settings:
            raise ValueError(f"--on local has no settings, but got {', '.join(settings)}")
        self._at_once, self._stop = at_once, threading.Event()
        self._pool = ThreadPoolExecutor(at_once)

    def submit(self, commands: Sequence[list[str]], running: int) -> list[Any]:
        room = commands[: self._at_once - running]
        return [self._pool.submit(call, command, self._stop.is_set) for command in room]

    def cancel(self, running: Sequence[Any]) -> None:
        del running  # the threads hear it
        self._stop.set()
        self._pool.shutdown()

    def close(self) -> None:
        self._pool.shutdown()


class Requeued:
    """`call` for submitit, which starts it again where Slurm has stopped it (time, preemption)."""

    def __call__(self, command: list[str]) -> Ended:
        return call(command)

    def checkpoint(self, command: list[str]) -> Any:  # noqa: ANN401
        """What submitit is to start when the time is over."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, command)


class _Slurm:
    """Job arrays on a Slurm cluster; with `cluster=local`, the same calls as processes here."""

    GENERIC = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node")
    """Submitit's names for every cluster; all other settings are sbatch's."""

    def __init__(self, settings: dict[str, Any], at_once: int, threads: int, logs: Path) -> None:
        import submitit

        cluster = settings.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder=logs / "slurm", cluster=cluster)
            given = {"timeout_min": DAY_MIN, "cpus_per_task": threads, "name": "sernf"} | settings
            given.setdefault("array_parallelism", at_once)
            names = {key: key if key in self.GENERIC else f"slurm_{key}" for key in given}
            self._executor.update_parameters(**{names[key]: given[key] for key in given})
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise ValueError(
                f"--on slurm: {error}; to try it here: --engine cluster=local"
            ) from error
        self._at_once = ARRAY if cluster == "slurm" else at_once
        self._in_turns = cluster == "slurm"
        self.poll_s = 2.0 if cluster == "slurm" else 2 * POLL_S

    def submit(self, commands: Sequence[list[str]], running: int) -> list[Any]:
        if self._in_turns and running:  # one array after the other
            return []
        room = list(commands[: self._at_once - running])
        return self._executor.map_array(Requeued(), room) if room else []

    def cancel(self, running: Sequence[Any]) -> None:
        for job in running:
            job.cancel()
        end = time.monotonic() + 2 * PATIENCE_S
        while any(not job.done() for job in running) and time.monotonic() < end:
            time.sleep(self.poll_s)

    def close(self) -> None:
        """Nothing is held here."""


@dataclass
class _RayJob:
    """A task, with the names that other engines have for it."""

    task: Any
    future: Any = field(init=False)

    def __post_init__(self) -> None:
        self.future = self.task.future()

    def done(self) -> bool:
        return self.future.done()

    def result(self) -> Ended:
        return self.future.result()


class _Ray:
    """Tasks on a Ray cluster, or on a Ray that is started here."""

    poll_s = 2 * POLL_S

    def __init__(self, settings: dict[str, Any], at_once: int, threads: int, _: Path) -> None:
        import ray

        self._ray, self._at_once = ray, at_once
        address = settings.pop("address", None)
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not address and "RAY_ADDRESS" not in os.environ:
            options["include_dashboard"] = False
        try:
            ray.init(address, **options)
            self._call = ray.remote(call).options(**{"num_cpus": threads, **settings})
        except (ConnectionError, ValueError, TypeError) as error:
            raise ValueError(f"--on ray: {error}") from error

    def submit(self, commands: Sequence[list[str]], running: int) -> list[Any]:
        room = commands[: self._at_once - running]
        return [_RayJob(self._call.remote(command)) for command in room]

    def cancel(self, running: Sequence[Any]) -> None:
        tasks = [job.task for job in running]
        for task in tasks:
            self._ray.cancel(task)
        self._ray.wait(tasks, num_returns=len(tasks), timeout=2 * PATIENCE_S)

    def close(self) -> None:
        self._ray.shutdown()


ENGINES: dict[str, Callable[[dict[str, Any], int, int, Path], Engine]] = {
    "local": _Local,
    "slurm": _Slurm,
    "ray": _Ray,
}
"""By the name that `--on` takes."""
