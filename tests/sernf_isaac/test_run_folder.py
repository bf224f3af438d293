"""Folders of runs: fresh ones, the newest one, and the commit that a run was made with."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sernf_isaac.install import project_version
from sernf_isaac.run_folder import (
    CONFIG_FILE,
    LOCK_FILE,
    RunInUseError,
    git_commit,
    how_to_go_on,
    latest_run_dir,
    load_settings,
    new_run_dir,
    one_at_a_time,
    resumed_run_dir,
    save_settings,
    writing,
)

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Group:
    rate: float = 0.1
    sizes: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class Settings:
    seed: int = 0
    cameras: dict[str, int] = field(default_factory=dict)
    group: Group = field(default_factory=Group)


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
    with ThreadPoolExecutor(3) as threads:
        folders = list(threads.map(lambda _: new_run_dir(tmp_path / "runs"), range(3)))
    assert len(set(folders)) == 3 and all(folder.is_dir() for folder in folders)


def test_a_commit_is_named_with_whatever_differs_from_it(tmp_path: Path) -> None:
    version = f"version {project_version()}"
    assert git_commit(None) == version and git_commit(tmp_path) == version
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
    (tmp_path / "copy").mkdir()  # of this project without its history, in somebody's repository
    assert git_commit(tmp_path / "copy") == version


def test_a_run_is_named_by_its_folder_or_is_the_latest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / CONFIG_FILE).write_text("")
    assert resumed_run_dir(tmp_path, "latest") == resumed_run_dir(tmp_path, str(tmp_path / "a"))
    with pytest.raises(FileNotFoundError, match="--resume nowhere: no such folder"):
        resumed_run_dir(tmp_path, "nowhere")


# One process at a time ----------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from sernf_isaac.run_folder import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that writes tmp_path/run."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_run_that_is_being_written_is_refused_until_its_process_dies(
    tmp_path: Path, holder: subprocess.Popen
) -> None:
    said = rf"run is being written by another process \(process {holder.pid} on .*\); wait"
    with pytest.raises(RunInUseError, match=said), writing(tmp_path / "run"):
        raise AssertionError("two processes write one run")
    holder.kill()
    holder.wait()
    with writing(tmp_path / "run"):  # the lock of a dead process does not block
        assert (tmp_path / "run" / LOCK_FILE).is_file()
    with writing(tmp_path / "run"):
        pass


def test_two_trainings_of_one_run_are_told_apart_by_its_lock(tmp_path: Path) -> None:
    @one_at_a_time
    def train(run: int, run_dir: Path, *, again: bool) -> int:
        if again:
            with pytest.raises(RunInUseError):
                train(run + 1, run_dir, again=False)
        return run

    assert train(1, tmp_path / "run", again=True) == 1


# Settings -----------------------------------------------------------------------------------------


def test_settings_are_kept_with_what_they_are_from(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/train_x.py", "--seed", "3", "name=a b"])
    save_settings(tmp_path, Settings(seed=3, group=Group(rate=0.5)))
    text = (tmp_path / CONFIG_FILE).read_text()
    assert "# command: python scripts/train_x.py --seed 3 'name=a b'" in text
    assert f"# commit: {git_commit()}" in text and "# versions: python 3.12" in text
    assert "torch 2." in text and "# started: 20" in text
    assert load_settings(tmp_path, Settings) == Settings(seed=3, group=Group(rate=0.5))
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG_FILE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it lacks seed"),
        ("seed: 3\ncameras: {}\ngroup:\n", "it lacks group"),
        ("seed: 3\ncameras: {}\ngroup:\n  rate: 0.1\n", r"it lacks group\.sizes"),
        ("seed: 3\ncameras: {}\ngroup: {rate: 0.1, sizes: [1]}\nsed: 4\n", "sed"),
        ("seed: [\n", "while parsing"),
        ("seed: many\ncameras: {}\ngroup: {rate: 0.1, sizes: [1]}\n", "many"),
        ("- 1\n", "it lacks everything"),
    ],
)
def test_damaged_settings_are_refused_and_not_filled_with_defaults(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(ValueError, match=said) as refused:
        load_settings(tmp_path, Settings)
    assert str(tmp_path / CONFIG_FILE) in str(refused.value)


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is no run: it has no config\.yaml"):
        load_settings(tmp_path, Settings)


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/train_teacher.py"])
    assert "no resume point yet; start again" in how_to_go_on(tmp_path)
    (tmp_path / "training_state.pt").touch()
    command = f"python scripts/train_teacher.py --resume {tmp_path}"
    assert how_to_go_on(tmp_path).endswith(command)
    monkeypatch.setattr(sys, "argv", ["scripts/demo.py"])
    assert how_to_go_on(tmp_path) == f"what was saved is in {tmp_path}"
