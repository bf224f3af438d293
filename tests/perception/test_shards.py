"""Samples and shards: what is written is read, nothing half-written counts, damage is noticed."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fake_samples import fake_sample
from PIL import Image
from torch.utils.data import DataLoader

from perception.samples import SUFFIXES, decode, encode
from perception.shards import (
    INDEX,
    ShardDataset,
    committed,
    read_index,
    record_path,
    shard_name,
    verify,
    write_index,
    write_shard,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training shards and a held-out one."""
    records = [
        write_shard(tmp_path / shard_name("train", 0), [fake_sample(i) for i in range(3)]),
        write_shard(tmp_path / shard_name("train", 1), [fake_sample(9, covered=0.6)]),
        write_shard(tmp_path / shard_name("heldout", 0), [fake_sample(7)]),
    ]
    write_index(tmp_path, {"seed": 0}, records)
    return tmp_path


def test_a_sample_survives_its_files() -> None:
    sample = fake_sample(3, covered=0.3)
    again = decode(encode(sample), "here")
    for name in ("camera", "T_camera_cube", "corners_px", "depth_margin_m", "amodal_box"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sample, name))
    np.testing.assert_array_equal(again.ids, sample.ids)
    np.testing.assert_array_equal(again.visibility, sample.visibility)
    assert (again.key, again.visible_fraction, again.notes) == (
        sample.key,
        sample.visible_fraction,
        sample.notes,
    )
    assert np.abs(again.image.astype(int) - sample.image).mean() < 6.0  # JPEG of pure noise


def test_incomplete_or_foreign_samples_are_refused() -> None:
    files = encode(fake_sample())
    with pytest.raises(ValueError, match=r"shard 3 lacks id\.png"):
        decode({k: v for k, v in files.items() if k != "id.png"}, "shard 3")
    label = json.loads(files["json"])
    for change, message in (
        ({"schema": 99}, "schema 99, this version reads"),
        ({"corners_px": label["corners_px"][:7]}, r"corners_px: expected 8 x 2 numbers, got 7 x 2"),
        ({"camera": np.ravel(label["camera"]).tolist()}, r"camera: expected 3 x 3 numbers, got 9"),
        ({"camera": np.zeros((3, 3)).tolist()}, r"intrinsics must be"),
        ({"T_camera_cube": np.zeros((4, 4)).tolist()}, r"T_camera_cube: .* no rotation"),
        ({"visibility": [3] * 8}, r"visibility must be \(0, 1, 2\), got \[3\]"),
        ({"visible_fraction": None}, r"visible_fraction: a number is missing"),
        ({"size": [640, 480]}, r"the label says \(480, 640\)"),
    ):
        with pytest.raises(ValueError, match=message):
            decode(files | {"json": json.dumps(label | change).encode()}, "x")


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        ("json", b"{", "x: its label is no JSON"),
        ("json", b"[]", "x: schema None"),
        ("json", b'{"schema": 1}', "x lacks key, size, visibility"),
        ("jpg", b"no picture", "x: jpg is damaged"),
        ("id.png", b"", "x: id.png is damaged"),
    ],
)
def test_damaged_files_of_a_sample_are_named(suffix, content, message) -> None:
    with pytest.raises(ValueError, match=message):
        decode(encode(fake_sample()) | {suffix: content}, "x")


def test_ids_are_eight_bits_and_known() -> None:
    files = encode(fake_sample())
    for pixels, message in (
        (np.full((48, 64), 700, np.uint16), r"id\.png has mode I;16, expected L"),
        (np.zeros((48, 64, 4), np.uint8), r"id\.png has mode RGBA, expected L"),
        (np.full((48, 64), 9, np.uint8), r"id\.png must be \(0, 1, 2\), got \[9\]"),
    ):
        height, width = fake_sample().ids.shape
        buffer = io.BytesIO()
        Image.fromarray(np.resize(pixels, (height, width, *pixels.shape[2:]))).save(buffer, "PNG")
        with pytest.raises(ValueError, match=message):
            decode(files | {"id.png": buffer.getvalue()}, "x")


def test_a_damaged_index_or_record_is_named(folder: Path) -> None:
    record = record_path(folder / shard_name("train", 0))
    whole = record.read_text()
    record.write_text("{}")
    with pytest.raises(ValueError, match=r"train-000000\.json lacks bytes"):
        ShardDataset(folder, "train")
    record.write_text(whole)
    content = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({"schema": 1, "contract": content["contract"]}))
    with pytest.raises(ValueError, match=r"index\.json lacks counts, description, shards"):
        read_index(folder)
    (folder / INDEX).write_text('{"schema": 1,')
    with pytest.raises(ValueError, match=r"index\.json is no JSON, line 1"):
        read_index(folder)


def test_a_label_that_is_not_finite_is_never_written() -> None:
    sample = fake_sample()
    sample.visible_fraction = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(sample)


def test_a_data_set_is_read_by_number(folder: Path) -> None:
    train = ShardDataset(folder, "train")
    assert len(train) == 4 and len(ShardDataset(folder, "heldout")) == 1
    assert [train[i].key for i in range(4)] == [fake_sample(i).key for i in (0, 1, 2, 9)]
    assert len(ShardDataset(folder, "train", min_visible_fraction=0.9)) == 3
    with pytest.raises(ValueError, match="holds no 'test' samples"):
        ShardDataset(folder, "test")


def test_worker_processes_read_the_same(folder: Path) -> None:
    data = ShardDataset(folder, "train")
    assert data[0].key == fake_sample(0).key  # a file is open before the workers start
    loader = DataLoader(data, batch_size=2, num_workers=2, collate_fn=lambda batch: batch)
    keys = [sample.key for batch in loader for sample in batch]
    assert keys == [data[i].key for i in range(4)]


def test_shards_are_ordinary_webdataset_files(folder: Path) -> None:
    with tarfile.open(folder / shard_name("train", 0)) as tar:
        names = tar.getnames()
        sample = fake_sample(0)
        contents = {s: tar.extractfile(f"{sample.key}.{s}").read() for s in SUFFIXES}
    assert names[:3] == [f"{sample.key}.{suffix}" for suffix in SUFFIXES]
    assert decode(contents, "tar").key == sample.key


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (
        write_shard(tmp_path / name / "train-000000.tar", [fake_sample(1)]) for name in "ab"
    )
    # The name under which a tar waits until it counts is each writer's own.
    assert first | {"staged": ""} == second | {"staged": ""}
    tars = [(tmp_path / name / "train-000000.tar").read_bytes() for name in "ab"]
    assert tars[0] == tars[1]


def test_an_interrupted_shard_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / shard_name("train", 0)

    def interrupted():
        yield fake_sample(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(path, interrupted())
    assert committed(path) is None and not path.exists()
    write_shard(path, [fake_sample(0)])
    record_path(path).unlink()  # killed between the two renames
    assert committed(path) is None


def test_damage_is_found(folder: Path) -> None:
    assert verify(folder) == 5
    path = folder / shard_name("train", 1)
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-000001.tar is missing or damaged"):
        verify(folder)
    path.write_bytes(content[:-512])
    with pytest.raises(ValueError, match=r"train-000001.tar is not what index.json promises"):
        ShardDataset(folder, "train")


def test_missing_or_foreign_data_sets_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"make one: python scripts/render_keypoints.py"):
        read_index(tmp_path / "nowhere")
    content = json.loads((folder / INDEX).read_text())
    content["contract"]["pixels"] = "index"
    (folder / INDEX).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"pixels is 'index', expected 'continuous'"):
        ShardDataset(folder)


def test_two_samples_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two samples are called"):
        write_shard(tmp_path / "train-000000.tar", [fake_sample(1), fake_sample(1)])
    with pytest.raises(ValueError, match="no samples to write"):
        write_shard(tmp_path / "train-000000.tar", [])
