"""Stores of many episodes open from one file, which may be old, damaged or missing."""

import warnings
from pathlib import Path

import pytest

from sernf_isaac.benchmarks.growth import make_store
from sernf_isaac.data.store import index, reader
from sernf_isaac.data.store.index import INDEX_FILE, read_index, refresh_index
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of thirty episodes, which counts as many here."""
    make_store(tmp_path, 30)
    for module in (index, reader):
        monkeypatch.setattr(module, "WORTH_IT", 10)
    return tmp_path


def test_what_opens_from_the_index_is_what_the_records_say(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = RunReader(run).commits()
    assert refresh_index(run) == 30 and refresh_index(run) == 0
    monkeypatch.setattr(reader, "read_json", lambda path: pytest.fail(f"reads {path}"))
    assert RunReader(run).commits() == plain


def test_an_old_index_is_completed_and_what_is_gone_is_forgotten(run: Path) -> None:
    refresh_index(run)
    with RunWriter(run, "other") as writer:
        new = writer.commit(RunReader(run).load(RunReader(run).commits()[0]))
    gone = RunReader(run).commits()[5].id
    (run / "commits" / f"{gone}.json").unlink()
    ids = [commit.id for commit in RunReader(run).commits()]
    assert len(ids) == 30 and new in ids and gone not in ids


@pytest.mark.parametrize("damage", [b'{"id": "x"', b"[]\n", b"\xff\n", b"{}\n"])
def test_a_damaged_index_is_told_and_not_used(run: Path, damage: bytes) -> None:
    plain = RunReader(run).commits()
    refresh_index(run)
    path = run / INDEX_FILE
    path.write_bytes(path.read_bytes() + damage)
    with pytest.warns(UserWarning, match=r"commits.jsonl is damaged and was not used"):
        assert RunReader(run).commits() == plain


def test_a_record_that_is_no_commit_is_told_by_its_own_file(run: Path) -> None:
    refresh_index(run)
    path = run / INDEX_FILE
    path.write_text(path.read_text().replace('"steps": 20', '"steps": "20"'))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(RunReader(run).commits()) == 30, "the files are sound"


def test_a_writer_leaves_an_index_when_it_is_worth_it(run: Path) -> None:
    assert not read_index(run)
    with RunWriter(run, "other") as writer:
        assert not (run / INDEX_FILE).exists()
        writer.recover()
    assert len(read_index(run)) == 30
