"""Folders of runs: fresh ones, the newest one, and the commit that a run was made with."""

import subprocess
from pathlib import Path

import pytest

from sernf_isaac.run_folder import CONFIG_FILE, git_commit, latest_run_dir, new_run_dir


def test_no_run_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        latest_run_dir(tmp_path)


def test_the_latest_run_is_found_by_its_name(tmp_path: Path) -> None:
    for name in ("2026-01-02_00-00-00", "2026-01-01_00-00-00", "2026-01-03_00-00-00"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG_FILE).write_text("seed: 1\n")
    (tmp_path / "2026-01-04_00-00-00").mkdir()  # died before it started
    assert latest_run_dir(tmp_path).name == "2026-01-03_00-00-00"


def test_runs_that_begin_together_get_folders_of_their_own(tmp_path: Path) -> None:
    assert new_run_dir(tmp_path) != new_run_dir(tmp_path)


def test_a_commit_is_named_with_whatever_differs_from_it(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "unknown"
    person = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    file = tmp_path / "code.py"
    file.write_text("x = 1\n")
    for arguments in (("init", "-q"), ("add", "code.py"), (*person, "commit", "-q", "-m", "Begin")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    commit = git_commit(tmp_path)
    assert len(commit) >= 7 and "+" not in commit
    (tmp_path / "notes.txt").write_text("not part of the code\n")
    assert git_commit(tmp_path) == commit
    file.write_text("x = 2\n")
    assert git_commit(tmp_path) == f"{commit}+changes"
