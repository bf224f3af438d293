"""A measurement in parts: each may fail, each has its time, and what is done is not done again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sernf_isaac.benchmarks.floors import DATA_SHEETS, floor_of
from sernf_isaac.benchmarks.parts import DONE, FAILED, LATE, NO_TIME, Part, run_parts
from sernf_isaac.benchmarks.parts_table import result_table, rows_of, text_table

ABOUT = {
    "commands": ["python x.py"],
    "commit": "abc1234+changes",
    "machine": "a machine",
    "date": "2026-11-30",
}


def part(name: str, settings: dict | None = None, limit_s: float = 60.0, **more: object) -> Part:
    call = f"made_up_parts:{name}"
    return Part(name, call, settings or {}, limit_s, f"that {name} ends", **more)  # type: ignore[arg-type]


GOOD = part("good", {"number": 3}, expects={"returned_ms": 5.0})


def measured(folder: Path, *parts: Part, budget_s: float = 120.0, **how: bool) -> dict:
    return run_parts(parts, folder, about=ABOUT, budget_s=budget_s, show=lambda _: None, **how)


def test_parts_end_in_their_own_ways_and_do_not_hurt_each_other(tmp_path: Path) -> None:
    parts = (part("bad"), part("crash"), GOOD)
    report = measured(tmp_path, *parts)["parts"]
    assert {name: found["state"] for name, found in report.items()} == {
        "bad": FAILED,
        "crash": FAILED,
        "good": DONE,
    }
    assert "the GPU fell off the bus" in report["bad"]["said"]
    assert report["bad"]["numbers"] == {"before": 1.0}, "what was told before counts"
    assert report["crash"]["numbers"] == {"before": 2.0}
    told = {"told": 3, "returned_ms": 6.0, "text": "not in a table", "nothing": None}
    assert report["good"]["numbers"] == told
    assert report["good"]["peak_memory_gib"] > 0.0
    assert (tmp_path / "good.log").read_text() == "as it should be\n"
    whole = json.loads((tmp_path / "report.json").read_text())
    assert whole["about"] == ABOUT and whole["parts"].keys() == report.keys()
    rows = {
        (name, quantity): (value, expected) for name, quantity, value, expected in rows_of(whole)
    }
    assert rows["good", "returned_ms"] == (6.0, 5.0) and ("good", "text") not in rows
    text = text_table(whole)
    assert "not measured: bad (failed), crash (failed)" in text and "expected 5" in text


def test_a_part_is_ended_when_its_time_is_over_and_the_rest_is_not_begun(tmp_path: Path) -> None:
    report = measured(tmp_path, part("slow", limit_s=6.0), GOOD, budget_s=9.0)["parts"]
    assert report["slow"]["state"] == LATE and report["slow"]["seconds"] < 30.0
    assert report["good"]["state"] == NO_TIME and report["good"]["numbers"] == {}


def test_what_is_done_is_kept_and_the_rest_is_measured(tmp_path: Path) -> None:
    first = measured(tmp_path, GOOD, part("bad"))["parts"]
    (tmp_path / "good.log").write_text("untouched")
    second = measured(tmp_path, GOOD, part("bad"))["parts"]
    assert second["good"] == first["good"] and second["bad"]["state"] == FAILED
    assert (tmp_path / "good.log").read_text() == "untouched"
    changed = replace(GOOD, settings={"number": 4})
    assert measured(tmp_path, changed)["parts"]["good"]["numbers"]["told"] == 4
    assert (tmp_path / "good.log").read_text() != "untouched"


def test_the_last_part_gets_the_time_that_is_left(tmp_path: Path) -> None:
    rest = part("slow", limit_s=1.0, takes_rest=True)
    found = measured(tmp_path, rest, budget_s=7.0)["parts"]["slow"]
    assert found["state"] == LATE and 6.0 < found["numbers"]["seconds_given"] <= 7.0


def test_a_damaged_report_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"parts": ')
    with pytest.raises(ValueError, match=r"report\.json is no report.*--again"):
        measured(tmp_path, GOOD)


def test_the_table_is_one_that_the_documents_take(tmp_path: Path) -> None:
    from docs.generate.results import load, markdown, save

    path = tmp_path / "gpu_report.json"
    report = measured(tmp_path / "run", GOOD, part("bad"))
    save(path, result_table(report))
    shown = markdown(load(path))
    save(path, result_table(report | {"about": ABOUT | {"commit": "unknown"}}))
    assert "Commit: not noted" in markdown(load(path))
    assert "| good | returned_ms | 6 | 5 |" in shown and "bad is not done: failed." in shown
    assert "Commit `abc1234`, a machine" in shown and "Files differed" in shown


def test_floors_are_whatever_takes_longer() -> None:
    sheet = DATA_SHEETS["H200"]
    computing = floor_of(7.31e12, 0.0, "NVIDIA H200", "tf32")
    assert computing == pytest.approx(1e3 * 7.31 / sheet.tf32) == pytest.approx(14.8, abs=0.1)
    reading = floor_of(1.0, 244e6, "NVIDIA H200", "bf16")
    assert reading == pytest.approx(0.051, abs=0.001)
    assert floor_of(1e12, 0.0, "a GPU of tomorrow", "tf32") is None
