"""Packed images come back: exactly from PNG, nearly from JPEG, and never from damaged bytes."""

import numpy as np
import pytest

from sernf_isaac.data.store.packed_images import FORMATS, are_images, pack, unpack


@pytest.fixture
def images() -> np.ndarray:
    """Smooth, as cameras see the world; each another one."""
    rows, columns = np.mgrid[0:48, 0:64]
    waves = [
        np.sin(rows / (5 + t) + c) + np.cos(columns / (9 + c)) for t in range(5) for c in (0, 1, 2)
    ]
    return (127 + 60 * np.array(waves)).astype(np.uint8).reshape(5, 3, 48, 64)


def test_png_is_without_loss_and_jpeg_nearly(images: np.ndarray) -> None:
    for form, tolerance in (("png", 0), ("jpeg", 6)):
        data, ends = pack(images, form)
        found = unpack(data, ends)
        assert found.shape == images.shape and found.dtype == np.uint8
        assert np.abs(found.astype(int) - images).max() <= tolerance
    noise = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    assert np.array_equal(unpack(*pack(noise, "png")), noise)


def test_packing_saves_space(images: np.ndarray) -> None:
    sizes = {form: len(pack(images, form)[0]) for form in FORMATS[1:]}
    assert sizes["jpeg"] < 0.35 * images.nbytes and sizes["png"] < images.nbytes


def test_only_images_are_packed(images: np.ndarray) -> None:
    assert are_images(images) and not are_images(images.astype(np.float32))
    with pytest.raises(ValueError, match=r"not \(T, 3, h, w\)"):
        pack(images[0], "png")
    with pytest.raises(ValueError, match="cannot be packed as 'raw'"):
        pack(images, "raw")


def test_damaged_bytes_are_refused(images: np.ndarray) -> None:
    data, ends = pack(images, "jpeg")
    with pytest.raises(ValueError, match="do not end where they should"):
        unpack(data[:-1], ends)
    with pytest.raises(ValueError, match="do not end where they should"):
        unpack(data, ends[::-1])
    broken = data.copy()
    broken[:200] = 0
    with pytest.raises(ValueError, match="image is damaged"):
        unpack(broken, ends)
    other, more = pack(images[:1, :, :8, :8], "jpeg")
    with pytest.raises(ValueError, match="differ in size"):
        unpack(np.concatenate([data, other]), np.concatenate([ends, ends[-1] + more]))
