"""The twin's pictures from end to end: states, camera, look, labels; the same for the same seed."""

from collections.abc import Iterator

import numpy as np
import pytest

from perception.cube import cube_corners
from perception.geometry import project
from perception.samples import CUBE_ID, HAND_ID, OUTSIDE, VISIBLE, Sample
from perception.synthetic.pictures import PictureConfig
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.eyes.painters import TwinPainters
from tasks.rendering import choose_gl_backend

COUNT = 6


@pytest.fixture(scope="module")
def samples() -> Iterator[dict[tuple[str, int], list[Sample]]]:
    """A few samples of each split; the training shard twice."""
    try:
        choose_gl_backend()
    except RuntimeError as error:
        pytest.skip(f"no way to draw on this machine: {error}")
    painter = TwinPainters(PictureConfig(), DEFAULT_TEACHER, seed=3)()
    wanted = (("train", 0), ("heldout", 0), ("train", 1))
    found = {place: list(painter.shard(*place, COUNT)) for place in wanted}
    found["again", 0] = list(painter.shard("train", 0, COUNT))
    painter.close()
    yield found


def test_a_shard_has_the_samples_it_should(samples) -> None:
    for (split, shard), drawn in samples.items():
        split = "train" if split == "again" else split
        assert len(drawn) == COUNT
        assert len({sample.key for sample in drawn}) == COUNT
        assert all(sample.key.startswith(f"{split}-{shard:06d}-") for sample in drawn)


def test_labels_belong_to_the_picture(samples) -> None:
    for sample in (sample for drawn in samples.values() for sample in drawn):
        corners, _ = project(cube_corners(), sample.camera, sample.T_camera_cube)
        np.testing.assert_allclose(corners, sample.corners_px, atol=1e-9)
        assert set(np.unique(sample.ids)) == {0, HAND_ID, CUBE_ID}
        rows, columns = np.nonzero(sample.ids == CUBE_ID)
        x0, y0, x1, y1 = sample.amodal_box
        assert x0 - 1 <= columns.min() and columns.max() <= x1 + 1
        assert y0 - 1 <= rows.min() and rows.max() <= y1 + 1
        assert sample.visible_fraction >= 0.1 and (sample.visibility == VISIBLE).any()
        inside = ((corners >= 0) & (corners < (320, 240))).all(axis=1)
        np.testing.assert_array_equal(inside, sample.visibility != OUTSIDE)
        pose = np.array(sample.notes["T_camera_hand"])
        below = (pose @ np.append(sample.T_camera_cube[:3, 3] * 0, 1.0))[:3]
        assert below[2] > 0.1  # the hand's root is in front of the camera


def test_the_same_shard_is_drawn_again_bit_for_bit(samples) -> None:
    for first, again in zip(samples["train", 0], samples["again", 0], strict=True):
        np.testing.assert_array_equal(first.image, again.image)
        np.testing.assert_array_equal(first.corners_px, again.corners_px)
        assert first.notes == again.notes


def test_shards_and_splits_share_nothing(samples) -> None:
    names = [("train", 0), ("train", 1), ("heldout", 0)]
    poses = [s.T_camera_cube.ravel() for name in names for s in samples[name]]
    distances = np.linalg.norm(np.array(poses)[:, None] - np.array(poses), axis=-1)
    assert (distances + np.eye(len(poses)) > 1e-3).all()
