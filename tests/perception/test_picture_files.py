"""Pictures become RGB by stated rules or are refused, whatever reads them."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from perception.picture_files import pictures_in, read_picture, write_picture

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
OPAQUE = COLOURS | np.array([0, 0, 0, 255], dtype=np.uint8)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (COLOURS[..., :3], COLOURS[..., :3]),
        (OPAQUE, COLOURS[..., :3]),
        (COLOURS[..., 0], np.repeat(COLOURS[..., :1], 3, axis=2)),
    ],
    ids=["rgb", "opaque rgba", "grey"],
)
def test_eight_bits_are_taken_as_they_are(tmp_path, kept, expected):
    Image.fromarray(kept).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((6, 8), 1000, np.uint16), "16 bits per channel, expected 8"),
        (np.full((6, 8, 3), 1000, np.uint16), "16 bits per channel, expected 8"),
        (COLOURS, r"transparent at \d+ pixels"),
    ],
    ids=["depth", "16-bit colour", "rgba"],
)
def test_what_the_rules_do_not_cover_is_refused(tmp_path, pixels, message):
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    with pytest.raises(ValueError, match=rf"a\.png.*{message}"):
        read_picture(tmp_path / "a.png")


def test_a_rotation_noted_in_the_file_is_not_applied(tmp_path):
    upright = Image.fromarray(np.zeros((6, 8, 3), np.uint8))
    note = upright.getexif()
    note[0x0112] = 6  # a quarter turn
    upright.save(tmp_path / "a.jpg", exif=note)
    assert read_picture(tmp_path / "a.jpg").shape == (6, 8, 3)


def test_what_is_no_picture_says_so(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(OPAQUE).save(whole, "PNG")
    path = tmp_path / "a.png"
    for content, message in (
        (b"", "cannot be read as a picture"),
        (b"<html>", "cannot be read as a picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_picture(path)


def test_pictures_lie_in_natural_order(tmp_path):
    for name in ("10.png", "2.png", "1.JPG", "b.png", "a10.png", "a9.png", "notes.txt", ".3.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in pictures_in(tmp_path)]
    assert names == ["1.JPG", "2.png", "10.png", "a9.png", "a10.png", "b.png"]
    with pytest.raises(FileNotFoundError, match="no folder of pictures at"):
        pictures_in(tmp_path / "nowhere")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path):
    write_picture(tmp_path / "new" / "a.png", COLOURS[..., :3])
    np.testing.assert_array_equal(read_picture(tmp_path / "new" / "a.png"), COLOURS[..., :3])
    with pytest.raises(ValueError, match=r"b\.pdf: the name of a picture must end in \.png"):
        write_picture(tmp_path / "b.pdf", COLOURS[..., :3])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_picture(tmp_path / "file" / "a.png", COLOURS[..., :3])
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
