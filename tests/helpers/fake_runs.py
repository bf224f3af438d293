"""A script that stands for the long ones, and sweeps of it on any engine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sernf_isaac.sweep.engines import engine_named
from sernf_isaac.sweep.sweep import Job, Outcome, Plan, sweep

ROOT = Path(__file__).resolve().parents[2]
FAKE = """
import argparse, json, os, signal, sys, time
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("--seed", "--json", "--out", "--log", "--bad", "--die", "--pause"):
    parser.add_argument(name, default="")
args, settings = parser.parse_known_args()
values = dict(item.split("=") for item in settings)
me = f"{values['a.x']} {args.seed}"
def note(what):
    with open(args.log, "a") as log:
        log.write(f"{what} {me} {time.time()}\\n")
note("start")
time.sleep(float(args.pause or 0))
print("trying", me)
if args.bad and Path(args.bad).exists() and args.seed == "1":
    sys.exit("error: no luck with " + me)
if args.die and not Path(args.die).exists():
    Path(args.die).touch()
    os.kill(os.getpid(), signal.SIGKILL)
result = {"stage": {"score": 10 * float(values["a.x"]) + int(args.seed)}, "list": [1, {"y": 2.5}]}
Path(args.json or args.out + "/own.json").write_text(json.dumps(result))
note("end")
"""
SWEEPER = """
import signal
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells' background jobs ignore it
from fake_runs import run
from sernf_isaac.sweep.sweep import Plan, jobs_of
if __name__ == "__main__":
    jobs = jobs_of({{"a.x": {values}}}, [0])
    run(Plan(Path({script!r}), {options!r}), jobs, Path({root!r}), {on!r}, at_once={at_once})
"""
SETTINGS = {"local": [], "slurm": ["cluster=local"], "ray": []}


def run(
    plan: Plan,
    jobs: list[Job],
    root: Path,
    on: str = "local",
    *,
    at_once: int = 1,
    report: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """A sweep on one machine, by the engine's own means."""
    engine = engine_named(on, SETTINGS[on], at_once=at_once, threads=1, logs=root)
    return sweep(plan, jobs, root, engine, report=report)


def make_script(folder: Path) -> Path:
    """The script; what it does goes to `folder`/log if it is told so by --log."""
    script = folder / "fake.py"
    script.write_text(FAKE)
    return script


def notes(folder: Path, what: str) -> list[tuple[str, float]]:
    """Which runs did that, and when."""
    lines = [line.split() for line in (folder / "log").read_text().splitlines()]
    return [(f"{x} {seed}", float(at)) for kind, x, seed, at in lines if kind == what]


def start_sweeper(
    plan: Plan, root: Path, on: str = "local", values: tuple[int, ...] = (1,), at_once: int = 1
) -> subprocess.Popen:
    """A driver of its own, with one seed."""
    texts = {"script": str(plan.script), "options": plan.options, "root": str(root), "on": on}
    code = SWEEPER.format(**texts, values=list(values), at_once=at_once)
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})


def processes_of(*words: str) -> list[int]:
    """Processes whose command lines have all the words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and all(word in line for word in words):
            found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], limit_s: float = 200.0) -> None:
    """Until it holds."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
