"""The whole chain on a few drawn pictures: data set, training, file, report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn_cube import drawn_sample
from omegaconf import OmegaConf

from perception.detector.files import load_detector
from perception.report.evaluation import evaluate
from perception.runs import train_detector as runs
from perception.shards import ShardDataset, shard_name, write_index, write_shard

SIZE = (128, 96)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    records = []
    for number, split in enumerate(("train", "heldout")):
        samples = [
            drawn_sample(np.random.default_rng(10 * number + i), *SIZE, key=f"{split}-{i}")
            for i in range(5)
        ]
        records.append(write_shard(folder / shard_name(split, 0), samples))
    write_index(folder, {}, records)
    return folder


@pytest.fixture(scope="module")
def short_run(data_set):
    return replace(
        runs.default_run("tiny"),
        data=str(data_set),
        steps=3,
        batch_size=2,
        window=(80, 96),
        validation_images=2,
        log_every=1,
        save_every=2,
    )


def test_a_run_ends_with_a_detector_that_can_be_judged(short_run, data_set, tmp_path):
    path = runs.train(short_run, tmp_path)
    written = OmegaConf.structured(runs.load_run(tmp_path))
    assert written == OmegaConf.structured(short_run)
    steps = [json.loads(line)["step"] for line in (tmp_path / "validation.jsonl").open()]
    assert steps == [2, 3]
    detector = load_detector(path)
    assert detector.image_size == SIZE[::-1] and detector.training["steps"] == 3
    assert detector.training["run"]["data"] == data_set.name, "its place is nobody's business"
    detector.network.roi_heads.box_predictor.cls_score.bias.data[1] = 5.0  # sees cubes everywhere
    report = evaluate(detector, list(ShardDataset(data_set, "heldout")), "cpu")
    asked = {"rotation_mean_deg", "rotation_median_deg", "translation_mean_mm", "add_at_7p8mm"}
    asked |= {"flip_rate", "no_pose_rate", "frames_per_s", "speed", "bins"}
    assert asked <= json.loads(json.dumps(report.numbers, allow_nan=False)).keys()
    assert "DeXtreme" in report.text


def test_a_small_data_set_needs_no_settings(data_set):
    """What a data set decides is taken from it, whatever the preset's numbers are."""
    for name in ("tiny", "laptop", "paper"):
        run = runs.fit_to_data(replace(runs.default_run(name), data=str(data_set)))
        assert run.validation_images == 1
        assert run.window == (SIZE[::-1] if name == "tiny" else None)
    assert runs.fit_to_data(run) == run


def test_a_tiny_run_on_a_small_data_set_ends_with_a_detector(data_set, tmp_path):
    run = replace(runs.default_run("tiny"), data=str(data_set), steps=3, save_every=2)
    runs.train(run, tmp_path)
    assert [json.loads(line)["step"] for line in (tmp_path / "validation.jsonl").open()] == [2, 3]
    assert runs.load_run(tmp_path).validation_images == 1


def test_every_setting_that_cannot_be_is_named_at_once(short_run, tmp_path):
    impossible = {"validation_images": 5, "save_every": 0, "learning_rate": float("nan")}
    impossible |= {"window": (0, 96), "workers": -1, "steps": 0}
    with pytest.raises(ValueError) as caught:
        runs.train(replace(short_run, **impossible), tmp_path)
    text = str(caught.value)
    assert all(name in text for name in impossible)
    assert "validation_images (5) must be 1 to 4 of 5 images" in text
    assert not list(tmp_path.iterdir())


def test_a_run_without_data_says_what_to_give():
    with pytest.raises(ValueError, match="give --data FOLDER of render_keypoints"):
        runs.fit_to_data(runs.default_run("tiny"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it lacks augment, backgrounds, batch_size"),
        ("data: x\n", "it lacks augment"),
        ("steps: [", "while parsing"),
        (None, "Value 'many'"),
    ],
)
def test_damaged_settings_of_a_run_are_refused_by_file(short_run, tmp_path, content, message):
    path = tmp_path / runs.CONFIG_FILE
    whole = OmegaConf.to_yaml(OmegaConf.structured(short_run))
    path.write_text(whole)
    assert runs.load_run(tmp_path).steps == short_run.steps
    path.write_text(whole.replace("steps: 3", "steps: many") if content is None else content)
    with pytest.raises(ValueError, match=rf"config\.yaml does not hold.*{message}"):
        runs.load_run(tmp_path)


@pytest.mark.slow
def test_the_papers_size_takes_a_step(data_set, tmp_path):
    run = replace(
        runs.default_run("paper"), data=str(data_set), steps=1, batch_size=2, validation_images=2
    )
    detector = load_detector(runs.train(run, tmp_path))
    (line,) = (tmp_path / "validation.jsonl").open()
    assert json.loads(line)["step"] == 1 and detector.image_size == SIZE[::-1]


def test_settings_fit_their_preset():
    assert runs.default_run("tiny").window is not None
    assert runs.default_run("paper").steps == 200_000
    assert runs.default_run("paper").batch_size == 16
