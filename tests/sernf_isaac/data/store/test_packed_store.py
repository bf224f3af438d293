"""Episodes with packed images in a store: the same episodes in smaller files."""

from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.archive import PACKED_SCHEMA, SCHEMA, read_archive, write_archive
from sernf_isaac.data.store.packed_images import FORMATS
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run


def episode(steps: int = 6) -> Episode:
    rows, columns = np.mgrid[0:32, 0:40]
    shown = [
        127 + 60 * np.sin(rows / (4 + t) + columns / 7 + c) for t in range(steps) for c in (0, 1, 2)
    ]
    images = np.array(shown).astype(np.uint8).reshape(steps, 3, 32, 40)
    draw = np.random.default_rng(0)
    return Episode(
        observation={"front": images, "state": draw.normal(size=(steps, 2))},
        action=draw.normal(size=(steps, 2)),
        reward=np.zeros(steps),
        final_observation={"front": images[0], "state": np.zeros(2)},
    )


@pytest.mark.parametrize("images", FORMATS)
def test_a_store_gives_back_what_it_was_given(images: str, tmp_path: Path) -> None:
    create_run(tmp_path, {"task": "test"})
    with RunWriter(tmp_path, "robot", images=images) as writer:
        writer.commit(episode())
    reader = RunReader(tmp_path)
    found, given = reader.load(reader.commits()[0]).to_arrays(), episode().to_arrays()
    assert found.keys() == given.keys()
    for name, value in given.items():
        tolerance = 12 if images == "jpeg" and name == "observation.front" else 0
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert np.abs(found[name].astype(float) - value.astype(float)).max(initial=0) <= tolerance


def test_packed_files_are_smaller_and_say_that_they_are_packed(tmp_path: Path) -> None:
    sizes, schemas = {}, {}
    for images in FORMATS:
        path = tmp_path / f"{images}.zip"
        write_archive(path, episode(40), images)
        sizes[images] = path.stat().st_size
        schemas[images] = PACKED_SCHEMA if PACKED_SCHEMA.encode() in path.read_bytes() else SCHEMA
    assert sizes["jpeg"] < 0.5 * sizes["raw"] and sizes["png"] < sizes["raw"]
    assert schemas == {"raw": SCHEMA, "png": PACKED_SCHEMA, "jpeg": PACKED_SCHEMA}


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "episode.zip"
    write_archive(path, episode(), "jpeg")
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xd8\xff")
    content[start : start + 40] = bytes(40)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"episode\.zip"):
        read_archive(path)


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    create_run(tmp_path, {"task": "test"})
    with pytest.raises(ValueError, match=r"images \('gif'\) must be one of"):
        RunWriter(tmp_path, "robot", images="gif")
    with pytest.raises(ValueError, match="cannot be packed as 'gif'"):
        write_archive(tmp_path / "x.zip", episode(), "gif")
