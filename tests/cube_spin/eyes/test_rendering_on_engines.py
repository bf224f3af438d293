"""Pictures by several processes: one is killed, others go on; each shard is committed once."""

import os
import signal
import time
from collections import Counter
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from fake_runs import SETTINGS, processes_of, wait_for

from perception.shards import read_index, verify
from perception.synthetic.generate import CLAIMS, generate, missing, plan_shards
from sernf_isaac.data.store.lock import claimed
from sernf_isaac.sweep.engines import engine_named
from tasks.cube_spin.eyes.rendering import WORKERS, render_on

ROOT = Path(__file__).resolve().parents[3]
PICTURES = {"train": 10, "heldout": 3}
SCRIPT = """
import sys, time
if "fail" in sys.argv:
    sys.exit("error: nothing can be drawn here")
sys.path[:0] = {paths!r}
from pathlib import Path
from fake_samples import fake_sample
from perception.synthetic.generate import generate, plan_shards
from sernf_isaac.data.store.lock import claimed
folder = Path(sys.argv[1])
class Painter:
    def shard(self, split, shard, count):
        for number in range(count):
            time.sleep(0.2)
            sample = fake_sample(1000 * shard + number + (500 if split == "heldout" else 0))
            sample.key = f"{{split}}-{{shard:06d}}-{{number:05d}}"
            yield sample
        with open(folder / "made", "a") as file:
            file.write(f"{{split}} {{shard}}\\n")
    def close(self):
        pass
generate(folder, plan_shards(folder, {pictures}, 2), Painter, {{"seed": 1}}, claim=claimed)
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    paths = [str(ROOT), str(ROOT / "tests" / "perception")]
    path = tmp_path / "paint.py"
    path.write_text(SCRIPT.format(paths=paths, pictures=PICTURES))
    return str(path)


def data_in(folder: Path) -> SimpleNamespace:
    folder.mkdir()
    return SimpleNamespace(folder=folder, plans=plan_shards(folder, PICTURES, 2))


@pytest.mark.parametrize(
    "on", ["local", *(pytest.param(on, marks=pytest.mark.slow) for on in ("slurm", "ray"))]
)
def test_a_worker_is_killed_and_every_picture_is_there_once(on, script, tmp_path: Path) -> None:
    data, killed = data_in(tmp_path / "data"), []

    def kill_one() -> None:
        wait_for(lambda: list((data.folder / CLAIMS).glob("*.tar")))
        killed.extend(processes_of(script, "--processes")[:1])
        os.kill(killed[0], signal.SIGKILL)

    murderer = Thread(target=kill_one)
    murderer.start()
    engine = engine_named(on, SETTINGS[on], at_once=2, threads=1, logs=data.folder)
    render_on(engine, [script, str(data.folder), "--"], data, workers=2)
    murderer.join()
    assert killed and not missing(data.plans)
    made = Counter((data.folder / "made").read_text().splitlines())
    assert len(made) == len(data.plans) and set(made.values()) == {1}
    generate(data.folder, data.plans, lambda: 1 / 0, {"seed": 1}, claim=claimed)
    assert read_index(data.folder)["counts"] == PICTURES
    assert verify(data.folder) == sum(PICTURES.values())


def test_why_pictures_are_missing_is_said(script: str, tmp_path: Path) -> None:
    data = data_in(tmp_path / "data")
    engine = engine_named("local", at_once=2, threads=1, logs=data.folder)
    command = [script, str(data.folder), "fail"]
    with pytest.raises(RuntimeError, match=r"7 of 7 shards are missing: 2 of 2 processes failed"):
        render_on(engine, command, data, workers=2)
    (log, _) = data.folder.glob(f"{WORKERS}/*/log.txt")
    assert "nothing can be drawn here" in log.read_text()


def test_nothing_is_started_where_nothing_is_missing(tmp_path: Path) -> None:
    data = data_in(tmp_path / "data")
    data.plans.clear()
    engine = engine_named("local", at_once=2, threads=1, logs=data.folder)
    started = time.monotonic()
    render_on(engine, ["gone.py"], data, workers=2)
    assert time.monotonic() - started < 5 and not (data.folder / WORKERS).exists()
