"""Augmented samples are samples: labels stay exact, nothing is mirrored, masks follow."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake_samples import fake_sample, silhouette

from perception.augmentation.augment import Augmenter, replace_background
from perception.augmentation.config import (
    AugmentConfig,
    OccluderConfig,
    PhotoConfig,
    PrintConfig,
    WarpConfig,
)
from perception.augmentation.occlude import occlude, paste
from perception.augmentation.photo import (
    jitter_colours,
    motion_kernel,
    photograph,
    white_balanced,
)
from perception.augmentation.print import reprint
from perception.augmentation.warp import camera_roll, draw_warp, warp
from perception.cube import cube_corners
from perception.geometry import project
from perception.samples import BACKGROUND_ID, CUBE_ID, HAND_ID, OCCLUDED, VISIBLE, Sample
from perception.synthetic.backgrounds import Backgrounds
from perception.tone import to_linear, tone_curve

BLACK = np.zeros((240, 320, 3), dtype=np.uint8)


def projected(sample: Sample) -> np.ndarray:
    return project(cube_corners(), sample.camera, sample.T_camera_cube)[0]


def blob_centre(image: np.ndarray) -> np.ndarray:
    weight = image.astype(float)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def with_dots(sample: Sample) -> list[Sample]:
    """Copies whose picture is one soft dot at one corner each."""
    y, x = np.mgrid[:240, :320] + 0.5
    copies = []
    for u, v in sample.corners_px:
        dot = 250.0 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 3.0**2))
        copies.append(replace(sample, image=np.repeat(dot.astype(np.uint8)[..., None], 3, 2)))
    return copies


@pytest.mark.parametrize("seed", range(6))
def test_warped_pixels_are_where_the_labels_say(seed: int) -> None:
    """To a twentieth of a pixel, found in the picture itself."""
    sample = fake_sample(seed)
    homography = draw_warp(WarpConfig(), sample, np.random.default_rng(seed))
    for dot, corner in zip(with_dots(sample), range(8), strict=True):
        warped = warp(dot, homography, BLACK)
        where = warped.corners_px[corner]
        if not (15 < where[0] < 305 and 15 < where[1] < 225):
            continue  # the dot is cut off
        found = blob_centre(warped.image[..., 0])
        np.testing.assert_allclose(found, where, atol=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_a_warped_sample_is_one_of_another_camera(seed: int) -> None:
    sample = fake_sample(seed, covered=0.2)
    warped = warp(sample, draw_warp(WarpConfig(), sample, np.random.default_rng(seed)), BLACK)
    np.testing.assert_allclose(projected(warped), warped.corners_px, atol=1e-8)
    assert warped.camera[0, 1] == 0.0 and warped.camera[2].tolist() == [0.0, 0.0, 1.0]
    turn = warped.T_camera_cube[:3, :3] @ sample.T_camera_cube[:3, :3].T
    np.testing.assert_allclose(turn, np.array(warped.notes["T_camera_hand"])[:3, :3], atol=1e-9)
    whole = silhouette(warped.corners_px, (320, 240))
    assert ((warped.ids == CUBE_ID) & ~whole).sum() < 0.02 * whole.sum()
    np.testing.assert_allclose(warped.visible_fraction, sample.visible_fraction, atol=0.06)


def test_the_whole_cube_stays_in_the_picture_where_it_fits() -> None:
    for seed in range(30):
        sample = fake_sample(seed)
        homography = draw_warp(WarpConfig(), sample, np.random.default_rng(seed))
        box = warp(sample, homography, BLACK).amodal_box
        assert (box[:2] >= -1e-6).all() and (box[2:] <= (320 + 1e-6, 240 + 1e-6)).all()


def test_no_warp_mirrors_and_a_mirror_is_refused() -> None:
    sample = fake_sample()
    for seed in range(50):
        homography = draw_warp(WarpConfig(), sample, np.random.default_rng(seed))
        assert np.linalg.det(homography) > 0.0
    flip = np.array([[-1.0, 0.0, 320.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="mirrors the picture"):
        warp(sample, flip, BLACK)
    shear = np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="no roll about the principal point"):
        warp(sample, shear, BLACK)


def test_a_roll_and_its_opposite_undo_each_other() -> None:
    sample = fake_sample(2)
    there = sample.camera @ camera_roll(0.15) @ np.linalg.inv(sample.camera)
    back = warp(warp(sample, there, BLACK), np.linalg.inv(there), BLACK)
    np.testing.assert_allclose(back.corners_px, sample.corners_px, atol=1e-9)
    np.testing.assert_allclose(back.T_camera_cube, sample.T_camera_cube, atol=1e-12)
    cube = cv2.erode((sample.ids == CUBE_ID).astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(back.image[cube].astype(int) - sample.image[cube]).max() <= 2


def test_where_the_old_picture_ends_the_fill_begins() -> None:
    sample = fake_sample(1)
    shift = np.array([[1.0, 0.0, 60.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    warped = warp(sample, shift, np.full_like(sample.image, 123))
    assert (warped.image[:, :60] == 123).all() and (warped.ids[:, :60] == BACKGROUND_ID).all()
    np.testing.assert_array_equal(warped.image[:, 62:], sample.image[:, 2:-60])


def test_a_pasted_patch_hides_what_it_covers_and_nothing_else() -> None:
    sample = fake_sample(4)
    shape = np.zeros((240, 320), dtype=bool)
    u, v = sample.corners_px[np.flatnonzero(sample.visibility == VISIBLE)[0]]
    shape[int(v) - 4 : int(v) + 5, int(u) - 4 : int(u) + 5] = True
    covered = paste(sample, shape, np.full_like(sample.image, 255))
    near = (np.abs(sample.corners_px - (u, v)) < 3.0).all(axis=1)
    far = (np.abs(sample.corners_px - (u, v)) > 7.0).any(axis=1)
    assert (covered.visibility[near] != VISIBLE).all()
    np.testing.assert_array_equal(covered.visibility[far], sample.visibility[far])
    inner = cv2.erode(shape.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert (covered.ids[shape] == HAND_ID).all() and (covered.image[inner] == 255).all()
    assert covered.visible_fraction < sample.visible_fraction
    again = paste(sample, np.zeros_like(shape), covered.image)
    np.testing.assert_array_equal(again.image, sample.image)


def test_occluders_leave_enough_of_the_cube() -> None:
    config = OccluderConfig(count=(4, 8), width_px=(20.0, 60.0), near_cube=1.0)
    changed = 0
    for seed in range(20):
        sample = fake_sample(seed)
        covered = occlude(config, sample, np.random.default_rng(seed))
        assert covered.visible_fraction >= config.min_visible_fraction
        assert ((covered.visibility == OCCLUDED) >= (sample.visibility == OCCLUDED)).all()
        changed += covered.visible_fraction < sample.visible_fraction
    assert changed > 10


def test_a_new_background_leaves_hand_and_cube_alone() -> None:
    sample = fake_sample(0, covered=0.4)
    changed = replace_background(sample, np.full_like(sample.image, 255))
    front = (sample.ids != BACKGROUND_ID).astype(np.uint8)
    inner = cv2.erode(front, np.ones((3, 3), np.uint8)) > 0
    np.testing.assert_array_equal(changed.image[inner], sample.image[inner])
    assert (changed.image[front == 0] == 255).all()


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90])
def test_motion_blur_moves_nothing(angle_deg: int) -> None:
    kernel = motion_kernel(7.3, np.radians(angle_deg))
    assert kernel.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    y, x = np.nonzero(kernel > 0.02)
    spread = np.array([np.ptp(x), np.ptp(y)])
    expected = 7.3 * np.abs([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    np.testing.assert_allclose(spread, expected, atol=2.0)


def test_neutral_colours_are_left_alone_and_hues_turn() -> None:
    neutral = PhotoConfig(brightness=(1, 1), contrast=(1, 1), saturation=(1, 1), hue_deg=0.0)
    image = fake_sample().image
    same = jitter_colours(neutral, image, np.random.default_rng(0))
    assert np.abs(same.astype(int) - image).max() <= 1
    grey = jitter_colours(replace(neutral, saturation=(0, 0)), image, np.random.default_rng(0))
    assert np.ptp(grey.astype(int), axis=2).max() <= 3


def test_photographs_keep_their_brightness_without_jitter() -> None:
    config = PhotoConfig(
        jitter_probability=0.0, blur_probability=1.0, motion_probability=1.0, noise_probability=1.0
    )
    image = np.full((240, 320, 3), 120, dtype=np.uint8)
    taken = photograph(config, image, np.random.default_rng(0))
    assert abs(taken.mean() - 120) < 1.0 and taken.std() > 0.5


def test_the_same_seed_gives_the_same_sample_and_the_input_stays() -> None:
    augment = Augmenter(AugmentConfig(), Backgrounds("train"))
    sample = fake_sample(5)
    kept = replace(sample, image=sample.image.copy(), ids=sample.ids.copy())
    first, second, other = (augment(sample, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, second.image)
    assert not np.array_equal(first.image, other.image)
    np.testing.assert_array_equal(sample.image, kept.image)
    np.testing.assert_array_equal(sample.ids, kept.ids)
    for seed in range(20):
        np.testing.assert_allclose(
            projected(augmented := augment(sample, np.random.default_rng(seed))),
            augmented.corners_px,
            atol=1e-8,
        )


def test_print_and_white_balance_are_off_and_draw_nothing() -> None:
    """The paper's augmentation, to the last random number."""
    sample, rng = fake_sample(0), np.random.default_rng(0)
    assert reprint(PrintConfig(), sample, rng) is sample
    assert rng.random() == np.random.default_rng(0).random()
    config = AugmentConfig()
    assert config.print == PrintConfig(fade_probability=0.0, glare_probability=0.0)
    assert config.photo.white_balance_probability == 0.0


def coloured(sample: Sample) -> Sample:
    image = np.random.default_rng(1).integers(0, 200, sample.image.shape).astype(np.uint8)
    return replace(sample, image=image)


def test_a_faded_print_is_nearer_to_paper_and_nothing_else_changes() -> None:
    sample = coloured(fake_sample(2, covered=0.2))
    config = PrintConfig(fade_probability=1.0, fade=(0.5, 0.5))
    faded = reprint(config, sample, np.random.default_rng(0))
    cube = sample.ids == CUBE_ID
    assert (faded.image[~cube] == sample.image[~cube]).all()
    # Half of every difference between two pixels is gone.
    before, after = sample.image[cube].astype(float), faded.image[cube].astype(float)
    assert after.std() == pytest.approx(before.std() / 2, rel=0.02)
    assert after.mean() > before.mean()


def test_a_highlight_only_brightens_and_stays_on_the_cube() -> None:
    sample = coloured(fake_sample(3))
    config = PrintConfig(glare_probability=1.0, glare=(1.0, 1.0))
    lit = reprint(config, sample, np.random.default_rng(4))
    cube = sample.ids == CUBE_ID
    assert (lit.image[~cube] == sample.image[~cube]).all()
    assert (lit.image.astype(int) >= sample.image.astype(int) - 1).all()
    assert (lit.image[cube] > 250).all(axis=1).mean() > 0.02


def test_white_balance_is_a_gain_on_light() -> None:
    image = np.tile(np.arange(10, 150, dtype=np.uint8)[None, :, None], (2, 1, 3))
    red, green, blue = np.moveaxis(white_balanced(image, (0.5, 1.0, 1.6)), -1, 0)
    assert (green == image[..., 1]).all()
    for gain, channel in ((0.5, red), (1.6, blue)):
        expected = 255.0 * tone_curve(gain * to_linear(image[..., 0] / 255.0))
        assert np.abs(channel - expected).max() <= 0.5
