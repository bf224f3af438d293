"""A run's report: the same during the training and afterwards, and the training does not notice."""

import base64
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib import image
from tiny_offline import STEPS, episode, tiny_run

from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.offline import report
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.offline.report import ends_of, report_run
from sernf_isaac.learning.staged_training import STATE_FILE

STAGES = ("imitation", "warm_up", "offline")
SCRIPT = Path(__file__).resolve().parents[4] / "scripts/train_offline.py"


def a_run(data: Path) -> offline.OfflineRun:
    run = replace(tiny_run(str(data)), held_out_share=0.4)
    improvement = replace(run.learner.improvement, budget=0.1, candidates=4)
    return replace(run, learner=replace(run.learner, improvement=improvement))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("store") / "run"
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for seed in range(5):
            writer.commit(episode(seed))
    return run


@pytest.fixture(scope="module")
def reported(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "reported"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a test, whose weights are compared with these
    offline.train(a_run(store), folder, report=True)
    torch.set_num_threads(threads)
    return folder


def pages(folder: Path) -> dict[str, str]:
    return {stage: (folder / f"report_{stage}.html").read_text() for stage in STAGES}


def test_weights_do_not_depend_on_the_report(store: Path, reported: Path, tmp_path: Path) -> None:
    offline.train(a_run(store), tmp_path)
    assert not list(tmp_path.glob("*.html"))
    ours, theirs = (
        torch.load(folder / STATE_FILE, weights_only=True)["learner"]
        for folder in (reported, tmp_path)
    )
    for part in ("actor", "critics", "target"):
        assert all(torch.equal(ours[part][name], theirs[part][name]) for name in ours[part])
    assert torch.equal(ours["torch_rng"], theirs["torch_rng"])


def test_a_finished_run_gets_the_pages_that_were_written_during_the_training(
    reported: Path,
) -> None:
    before = pages(reported)
    for path in reported.glob("*.html"):
        path.unlink()
    written = report_run(reported)
    assert [path.name for path in written] == [f"report_{stage}.html" for stage in STAGES]
    assert pages(reported) == before


def test_the_page_holds_numbers_and_pictures_and_needs_nothing_else(reported: Path) -> None:
    found = pages(reported)
    for stage, updates in ends_of(a_run(Path())).items():
        text = found[stage]
        assert f"after {stage}, {updates} updates" in text
        assert "http" not in re.sub('base64,[^"]*', "", text)
        assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text) == []
        assert "held out from imitation</td><td>2</td>" in text
        assert "the 2 held-out episodes" in text
        assert "held-out chunks at their best" in text
    assert "Critics come in stage II" in found["imitation"]
    assert "mean error (promised less earned)" in found["warm_up"]
    assert "critics like the same candidate best" in found["warm_up"]
    assert "Measured in stage III" in found["warm_up"]
    assert "λ, at the end" in found["offline"] and "0.1 nats per number" in found["offline"]
    pictures = [len(re.findall("<img", found[stage])) for stage in STAGES]
    assert pictures == [3, 4, 5]


def test_every_picture_can_be_read(reported: Path, tmp_path: Path) -> None:
    for number, content in enumerate(re.findall('base64,([^"]*)', pages(reported)["offline"])):
        path = tmp_path / f"{number}.png"
        path.write_bytes(base64.b64decode(content))
        picture = image.imread(path)
        assert min(picture.shape[:2]) > 200 and picture[..., :3].std() > 0.01


def test_faults_stand_on_the_page_and_on_the_terminal(
    reported: Path, capsys: pytest.CaptureFixture
) -> None:
    report_run(reported)
    told = capsys.readouterr().out
    fault = "None of 5 episodes failed, so critics cannot know what fails."
    assert told.count(f"warning    {fault} Add failed attempts") == len(STAGES)
    assert all(f"<strong>{fault}</strong>" in text for text in pages(reported).values())


def test_changed_data_are_refused(reported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "load_episodes", lambda *_: {"other": episode(9)})
    with pytest.raises(ValueError, match="have changed since it was started"):
        report_run(reported)


def test_a_run_without_a_stage_is_refused(store: Path, tmp_path: Path) -> None:
    run = replace(a_run(store), imitation_steps=STEPS)
    offline.save_settings(tmp_path, run)
    with pytest.raises(FileNotFoundError, match="no stage has ended"):
        report_run(tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--run", "x"], "--report --run FOLDER"),
        (["--report", "--run", "x", "--resume", "y"], "--report --run FOLDER"),
        (["--report", "--run", "x", "--seed", "3"], "a run keeps its settings"),
        (["--resume", "x", "batch_size=3"], "a run keeps its settings"),
    ],
)
def test_a_report_without_training_takes_no_settings(
    flags: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, *flags])
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(SCRIPT), run_name="__main__")
