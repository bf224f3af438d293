"""The parts of the report can be called as they are written down, and a tiny report is whole."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sernf_isaac.benchmarks.parts import DONE, Part
from tasks.cube_spin.runs import gpu_report

ROOT = Path(__file__).resolve().parents[3]
FULL = gpu_report.parts_of("cuda:0", Path("runs/x"))
TINY = gpu_report.parts_of("cpu", Path("runs/x"), tiny=True)


def parameters_of(call: str) -> tuple[set[str], set[str]]:
    """All and the needed parameters of `module:function`, without importing it."""
    module, _, name = call.partition(":")
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    (found,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    plain, keyword = found.args.args, found.args.kwonlyargs
    needed = {a.arg for a in plain[: len(plain) - len(found.args.defaults)]}
    needed |= {a.arg for a, d in zip(keyword, found.args.kw_defaults, strict=True) if d is None}
    return {a.arg for a in (*plain, *keyword)}, needed


@pytest.mark.parametrize("part", [*FULL, *TINY], ids=lambda part: part.name)
def test_every_part_is_called_with_what_it_takes(part: Part) -> None:
    known, needed = parameters_of(part.call)
    given = {*part.settings, "tell"} | ({"seconds"} if part.takes_rest else set())
    assert needed <= given <= known
    assert json.loads(json.dumps(part.settings)) == part.settings, "a process is told in JSON"
    assert part.expected and part.limit_s >= 30


def test_parts_have_names_of_their_own_and_one_takes_the_rest() -> None:
    names = [part.name for part in FULL]
    assert len(set(names)) == len(names) and {p.name for p in TINY} <= set(names)
    assert [part.takes_rest for part in FULL] == [False] * (len(FULL) - 1) + [True]
    for part in TINY:
        assert not part.call.startswith(gpu_report.ISAAC) and "isaac" not in part.settings.values()


def test_the_doctor_and_the_machine_tell_what_they_know() -> None:
    found: dict = {}
    gpu_report.machine("cpu", tell=found.update)
    assert found["torch"].startswith("2.") and found["python"].startswith("3.")
    assert "gpu" not in found


@pytest.mark.slow
def test_a_tiny_report_is_whole_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    script = ROOT / "scripts/gpu_report.py"
    command = [sys.executable, str(script), "--tiny", "--device", "cpu", "--out", str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    report = json.loads((tmp_path / "report.json").read_text())["parts"]
    assert {name: part["state"] for name, part in report.items()} == {p.name: DONE for p in TINY}
    assert all(part["numbers"] for part in report.values())
    assert "nothing, all parts are done" in first.stdout
    from docs.generate.results import load

    assert load(tmp_path / "gpu_report.json").rows
    again = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert again.stdout.count(" kept ") == len(TINY)
