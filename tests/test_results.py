"""Result files hold every table of the pages, with where the numbers come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import tables
from docs.generate.results import load, markdown, save

ROOT = Path(__file__).resolve().parents[1]
RUN = {
    "commands": ["python scripts/evaluate.py --seed 7"],
    "commit": "1234567",
    "machine": "a laptop",
    "date": "2026-11-21",
    "seeds": [7],
    "episodes": 64,
}
RPM = {"name": "turns per minute", "unit": None, "format": ".2f", "key": "rpm"}
DROPPED = {"name": "dropped", "unit": "%", "format": ".1f", "key": "dropped", "scale": 100}
VALUES = {
    "title": "A teacher",
    "columns": [{"name": "policy", "unit": None, "format": "text"}, RPM, DROPPED],
    "rows": [["slow", 4.4, None], ["fast", {"value": 8.218, "ci95": [7.94, 8.48]}, 0.78]],
    "runs": [RUN],
    "notes": ["On the twin."],
}


def copy() -> dict:
    return json.loads(json.dumps(VALUES))


def written(folder: Path, values: dict) -> Path:
    path = folder / "teacher.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A repository with one result file and one page that shows it."""
    (tmp_path / "docs/results").mkdir(parents=True)
    save(tmp_path / "docs/results/teacher.json", VALUES)
    page = "# Teacher\n\n<!-- table: teacher -->\n<!-- end -->\n\nIt spins.\n"
    (tmp_path / "docs/results/teacher.md").write_text(page)
    tables.write(tmp_path)
    return tmp_path


# The repository's own files and pages


def test_every_result_file_keeps_the_format() -> None:
    files = sorted((ROOT / "docs/results").glob("*.json"))
    assert len(files) > 30
    for path in files:
        markdown(load(path))


def test_every_table_is_as_its_file_says() -> None:
    assert tables.outdated(ROOT) == [], "run python docs/generate/tables.py"


def test_every_result_file_is_shown_by_a_page() -> None:
    assert tables.unused(ROOT) == []


def test_the_teachers_table_is_what_evaluate_wrote() -> None:
    shipped = json.loads((ROOT / "assets/teacher.json").read_text())
    result = load(ROOT / "docs/results/teacher.json")
    spin, _ = result.cell("task's commands", "turns per minute in the hand")
    assert spin["value"] == pytest.approx(shipped["rpm_in_hand"], abs=1e-6)
    dropped, _ = result.cell("-1.5 rad/s", "dropped")
    expected = shipped["by_speed"]["-1.5"]["drop_fraction_ci95"]
    assert dropped["ci95"] == pytest.approx([100 * end for end in expected], abs=1e-6)


# Rendering


def test_a_table_shows_units_intervals_and_where_its_numbers_come_from(site: Path) -> None:
    page = (site / "docs/results/teacher.md").read_text()
    assert "| policy | turns per minute | dropped [%] |" in page
    assert "| slow | 4.40 |  |" in page and "| fast | 8.22 [7.94, 8.48] | 0.8 |" in page
    assert "* On the twin." in page and "Commit `1234567`, a laptop, 2026-11-21. Seeds: 7." in page
    assert "```bash\npython scripts/evaluate.py --seed 7\n```" in page
    assert page.startswith("# Teacher\n") and page.endswith("<!-- end -->\n\nIt spins.\n")


def test_rows_of_different_origin_are_told_apart(tmp_path: Path) -> None:
    values = copy()
    reason = {"commit": "not noted"}
    values["runs"] = [
        RUN | {"rows": ["slow"]},
        RUN | {"rows": ["fast"], "commit": None, "missing": reason},
    ]
    text = markdown(load(written(tmp_path, values)))
    assert "* *slow*: Commit `1234567`, a laptop" in text
    assert "* *fast*: Commit: not noted, a laptop" in text


def test_a_borrowed_number_follows_the_table_it_is_taken_from(site: Path) -> None:
    values = copy() | {"runs": [], "notes": []}
    values["rows"] = [["both", {"from": ["teacher", "fast", "turns per minute"]}, None]]
    save(site / "docs/results/readme.json", values)
    text = markdown(load(site / "docs/results/readme.json"))
    assert "| both | 8.22 |  |" in text and "Commit" not in text
    values["rows"][0][1]["from"][1] = "faster"
    save(site / "docs/results/readme.json", values)
    with pytest.raises(ValueError, match=r"teacher\.json has no row 'faster'"):
        markdown(load(site / "docs/results/readme.json"))


# What is refused


@pytest.mark.parametrize("change", ["number", "text", "row"])
def test_a_table_that_differs_from_its_file_is_found(site: Path, change: str) -> None:
    page = site / "docs/results/teacher.md"
    text = page.read_text()
    edits = {
        "number": text.replace("8.22", "8.32"),
        "text": text.replace("On the twin", "In Isaac Lab"),
        "row": text.replace("| slow | 4.40 |  |\n", ""),
    }
    page.write_text(edits[change])
    assert tables.outdated(site) == [page]
    assert tables.main(["--check", "--root", str(site)]) == 1
    assert tables.main(["--root", str(site)]) == 0 and page.read_text() == text


@pytest.mark.parametrize("key", ["commands", "commit", "machine", "date", "seeds", "episodes"])
def test_provenance_may_be_unknown_only_with_a_reason(tmp_path: Path, key: str) -> None:
    values = copy()
    del values["runs"][0][key]
    with pytest.raises(ValueError, match=rf"teacher\.json: runs\[0\] lacks {key}"):
        load(written(tmp_path, values))
    values["runs"][0][key] = None
    with pytest.raises(ValueError, match=rf"runs\[0\]\.{key} is null without a reason"):
        load(written(tmp_path, values))
    values["runs"][0]["missing"] = {key: "not noted"}
    load(written(tmp_path, values))


def test_every_row_needs_a_run(tmp_path: Path) -> None:
    values = copy()
    values["runs"][0]["rows"] = ["slow"]
    with pytest.raises(ValueError, match=r"rows\[1\] \(fast\) is made by none of the runs"):
        load(written(tmp_path, values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("title"), "lacks title"),
        (lambda v: v.update(unit="m"), "unknown keys: unit"),
        (lambda v: v.update(rows="slow"), "rows must be a list"),
        (lambda v: v["columns"][1].update(format="two"), r"columns\[1\]\.format: 'two' formats no"),
        (lambda v: v["columns"][1].pop("unit"), r"columns\[1\] lacks unit"),
        (lambda v: v["columns"].pop(0), r"columns\[0\] must be the text"),
        (lambda v: v["rows"][0].pop(), r"rows\[0\] must be a list of 3 cells"),
        (lambda v: v["rows"][0].__setitem__(1, "4.4"), r"rows\[0\]\[1\] .*'4.4' is not a number"),
        (lambda v: v["rows"][1][1].update(ci95=[8]), r"rows\[1\]\[1\] .* is not a number"),
        (lambda v: v["rows"][1].__setitem__(0, ""), r"rows\[1\]\[0\] must name the row"),
        (lambda v: v["runs"][0].update(commit="HEAD"), r"runs\[0\]\.commit: 'HEAD' is no commit"),
        (lambda v: v["runs"][0].update(date="today"), r"runs\[0\]\.date: 'today' is no date"),
        (lambda v: v["runs"][0].update(rows=["slo"]), r"runs\[0\]\.rows names rows .*\['slo'\]"),
        (lambda v: v["runs"][0].update(commands=[]), r"runs\[0\]\.commands: \[\] is empty"),
        (lambda v: v["runs"][0].update(seeds=7), r"runs\[0\]\.seeds: 7 is .* no list or str"),
        (lambda v: v["runs"][0].update(episodes="64"), r"runs\[0\]\.episodes: '64' is .* no int"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused(tmp_path: Path, change, message: str) -> None:
    values = copy()
    change(values)
    with pytest.raises(ValueError, match=rf"teacher\.json.*{message}"):
        load(written(tmp_path, values))


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "teacher.json").write_text("{")
    with pytest.raises(ValueError, match=r"teacher\.json is not JSON"):
        load(tmp_path / "teacher.json")


def test_a_page_that_names_an_unknown_table_is_refused(site: Path) -> None:
    (site / "README.md").write_text("<!-- table: techer -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match=r"README\.md names the table 'techer'"):
        tables.outdated(site)


@pytest.mark.parametrize("after", ["", "<!-- table: teacher -->\n<!-- end -->\n"])
def test_a_marker_without_an_end_is_refused(site: Path, after: str) -> None:
    (site / "README.md").write_text(f"<!-- table: teacher -->\n{after}")
    with pytest.raises(ValueError, match=r"README\.md: a table's marker is not followed"):
        tables.outdated(site)


def test_a_file_that_no_page_shows_is_found(site: Path) -> None:
    save(site / "docs/results/student.json", VALUES)
    assert tables.unused(site) == [site / "docs/results/student.json"]
    assert tables.main(["--check", "--root", str(site)]) == 1


# A new row


def added(site: Path, row: str, **numbers: object) -> dict:
    source = site / "evaluation.json"
    source.write_text(json.dumps({"seed": 3, "by_speed": {"1.5": {"episodes": 8, **numbers}}}))
    where = ["--from", str(source), "--at", "by_speed/1.5", "--row", row, "--machine", "a cluster"]
    where += ["--command", "python scripts/evaluate.py", "--commit", "abcdef0"]
    assert tables.main(["--root", str(site), "add", "teacher", *where]) == 0
    return json.loads((site / "docs/results/teacher.json").read_text())


def test_a_row_is_added_from_what_a_script_wrote(site: Path) -> None:
    values = added(site, "new", rpm=9.0, rpm_ci95=[8.5, 9.5], dropped=0.25)
    assert values["rows"][2] == ["new", {"value": 9.0, "ci95": [8.5, 9.5]}, 25.0]
    assert [run["rows"] for run in values["runs"]] == [["slow", "fast"], ["new"]]
    assert values["runs"][1]["commit"] == "abcdef0" and values["runs"][1]["seeds"] == [3]
    assert "| new | 9.00 [8.50, 9.50] | 25.0 |" in (site / "docs/results/teacher.md").read_text()


def test_a_row_that_is_measured_again_keeps_its_place_and_changes_its_origin(site: Path) -> None:
    values = added(site, "slow", rpm=5.0, dropped=0.5)
    assert [row[:2] for row in values["rows"]] == [["slow", 5.0], VALUES["rows"][1][:2]]
    assert [run["rows"] for run in values["runs"]] == [["fast"], ["slow"]]


def test_a_script_that_counts_no_episodes_is_told_how_many(site: Path) -> None:
    source = site / "run.json"
    source.write_text(json.dumps({"seed": 3, "rpm": 9.0, "dropped": 0.0}))
    command = ["--root", str(site), "add", "teacher", "--from", str(source), "--row", "new"]
    command += ["--machine", "a cluster", "--command", "python x.py", "--commit", "abcdef0"]
    with pytest.raises(ValueError, match=r"run\.json has no 'episodes'"):
        tables.main(command)
    assert tables.main([*command, "--episodes", "50"]) == 0
    result = load(site / "docs/results/teacher.json")
    assert result.rows[-1] == ["new", 9.0, 0.0] and result.runs[-1]["episodes"] == 50


def test_a_number_that_the_script_did_not_write_is_named(site: Path) -> None:
    with pytest.raises(ValueError, match=r"evaluation\.json has no 'dropped'; it has"):
        added(site, "new", rpm=9.0)
    with pytest.raises(ValueError, match=r"evaluation\.json: 'rpm' is no number but 'fast'"):
        added(site, "new", rpm="fast", dropped=0.0)
    assert added(site, "new", rpm=None, dropped=0.0)["rows"][2] == ["new", None, 0.0]


def test_a_row_for_an_unknown_table_or_from_a_damaged_file_is_refused(site: Path) -> None:
    (site / "x.json").write_text("[]")
    rest = ["--from", str(site / "x.json"), "--row", "a", "--machine", "b", "--command", "c"]
    with pytest.raises(ValueError, match=r"there is no .*techer\.json: write it first"):
        tables.main(["--root", str(site), "add", "techer", *rest])
    with pytest.raises(ValueError, match=r"x\.json holds no JSON object but a list"):
        tables.main(["--root", str(site), "add", "teacher", *rest])


def test_the_command_reports_errors_in_one_line(site: Path) -> None:
    (site / "docs/results/teacher.json").write_text("{")
    script = ROOT / "docs/generate/tables.py"
    command = [sys.executable, str(script), "--root", str(site)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
