"""The network, what it is trained on, its training, and its static core."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_cube import drawn_sample

from perception.cube import cube_corners
from perception.detector.config import PRESETS, preset
from perception.detector.detector import CornerDetector, padded_box, paste_mask
from perception.detector.examples import TrainingBatches, crop, to_example
from perception.detector.export import TOLERANCE, export_onnx, parity
from perception.detector.files import DetectorFile
from perception.detector.network import build_network, count_parameters
from perception.detector.training import DetectorTraining, learning_rate_factor
from perception.geometry import project
from perception.samples import CUBE_ID, OCCLUDED, OUTSIDE, VISIBLE

SMALL = replace(
    PRESETS["tiny"], feature_channels=16, box_width=32, corner_channels=(24, 24), mask_channels=(8,)
)
SIZE = (96, 128)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def network():
    return build_network(SMALL)


def small_samples(count):
    return [drawn_sample(np.random.default_rng(i), *SIZE[::-1]) for i in range(count)]


def training_of(network, run_dir, steps=6, **options):
    batches = TrainingBatches(
        small_samples(4), lambda s, _: s, box_padding=0.08, batch_size=2, steps=steps, seed=0
    )
    settings = {"learning_rate": 2e-3, "weight_decay": 1e-4, "warm_up_steps": 2, "seed": 0}
    settings |= {"max_grad_norm": 10.0, "log_every": 1, "save_every": 3} | options
    return DetectorTraining(network, batches, run_dir, **settings)


# The network.


def test_the_papers_size_has_about_60_million_parameters():
    with torch.device("meta"):
        network = build_network(PRESETS["paper"])
    assert count_parameters(network) / 1e6 == pytest.approx(61.74, abs=0.01)


def test_the_shipped_size_fits_in_16_megabytes():
    with torch.device("meta"):
        network = build_network(PRESETS["tiny"])
    assert 4 * count_parameters(network) < 16e6


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'laptop'"):
        preset("labtop")


@pytest.mark.parametrize("training", [True, False])
def test_images_are_not_rescaled(network, training):
    network.transform.train(training)
    images, _ = network.transform([torch.rand(3, *SIZE)])
    assert images.image_sizes == [SIZE]
    assert images.tensors.shape == (1, 3, 96, 128)


@pytest.mark.parametrize("name", ["laptop", "tiny"])
def test_every_weight_of_every_head_learns(name):
    network = build_network(PRESETS[name]).train()
    image, target = to_example(drawn_sample(np.random.default_rng(0), 160, 120), 0.08)
    sum(network([image / 255.0], [target]).values()).backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().any()]
    # A level of the pyramid that no anchor or box of one image falls on may stay without.
    assert [n for n in idle if not n.startswith(("backbone.fpn", "rpn"))] == []


# What it is trained on.


def test_hidden_corners_are_asked_for_and_corners_outside_are_not(rng):
    sample = drawn_sample(rng)
    visibility = np.array([VISIBLE, OCCLUDED, OUTSIDE, *[VISIBLE] * 5])
    _, target = to_example(replace(sample, visibility=visibility), 0.08)
    assert target["keypoints"][0, :, 2].tolist() == [1, 1, 0, 1, 1, 1, 1, 1]


def test_the_box_holds_all_corners_and_the_mask_only_what_is_seen(rng):
    sample = drawn_sample(rng)
    sample.ids[: sample.ids.shape[0] // 2] = 0  # half of the cube is covered
    _, target = to_example(sample, 0.08)
    x0, y0, x1, y1 = target["boxes"][0].tolist()
    assert (sample.corners_px >= [x0, y0]).all() and (sample.corners_px <= [x1, y1]).all()
    assert (target["masks"][0].numpy() == (sample.ids == CUBE_ID)).all()


def test_a_cube_that_can_hardly_be_seen_is_not_asked_for(rng):
    _, target = to_example(replace(drawn_sample(rng), visible_fraction=0.05), 0.08)
    assert target["boxes"].shape == (0, 4) and target["keypoints"].shape == (0, 8, 3)


def test_a_window_moves_labels_and_camera_together(rng):
    for _ in range(10):
        sample = drawn_sample(rng)
        cut = crop(sample, 160, 192, rng)
        assert cut.image.shape == (160, 192, 3)
        uv, _ = project(cube_corners(), cut.camera, cut.T_camera_cube)
        np.testing.assert_allclose(cut.corners_px, uv, atol=1e-9)
        np.testing.assert_allclose(
            cut.amodal_box, np.concatenate([uv.min(0), uv.max(0)]), atol=1e-9
        )
        assert (cut.corners_px.mean(0) > 0).all() and (cut.corners_px.mean(0) < [192, 160]).all()


def test_a_window_larger_than_the_image_is_refused(rng):
    with pytest.raises(ValueError, match="does not fit"):
        crop(drawn_sample(rng), 400, 192, rng)


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    samples = small_samples(5)

    def noisy(sample, rng):
        return replace(sample, image=rng.integers(0, 255, sample.image.shape, dtype=np.uint8))

    options = {"box_padding": 0.08, "batch_size": 2, "steps": 9, "seed": 3}
    ahead = TrainingBatches(samples, noisy, **options)
    again = TrainingBatches(samples, noisy, **options)
    in_order = [ahead[step] for step in range(9)]
    assert torch.equal(in_order[7][1][0], again[7][1][0])
    assert not torch.equal(in_order[7][1][0], in_order[6][1][0])


def test_processes_share_the_images_of_an_epoch():
    samples = small_samples(4)
    for number, sample in enumerate(samples):
        sample.image[0, 0] = number
    options = {"box_padding": 0.08, "batch_size": 1, "steps": 2, "seed": 0, "world": 2}
    seen = [
        int(TrainingBatches(samples, lambda s, _: s, rank=rank, **options)[step][0][0][0, 0, 0])
        for rank in range(2)
        for step in range(2)
    ]
    assert sorted(seen) == [0, 1, 2, 3]


# Training.


def test_a_few_steps_on_a_few_images_are_learnt(network, tmp_path):
    training = training_of(network, tmp_path, steps=24)
    losses = [float(training.update(training.batches[k])["loss"]) for k in range(24)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


def test_a_resumed_training_ends_with_the_same_weights(tmp_path):
    def fresh():
        torch.manual_seed(1)
        return build_network(SMALL)

    straight = training_of(fresh(), tmp_path / "straight")
    straight.run()
    broken = training_of(fresh(), tmp_path / "broken")
    for step in range(3):
        broken.update(broken.batches[step])
    broken.save()
    resumed = training_of(build_network(SMALL), tmp_path / "broken")
    resumed.resume()
    assert resumed.step == 3
    resumed.run()
    expected = straight.network.state_dict()
    for name, value in resumed.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_loss_that_is_not_finite_stops_before_it_does_harm(network, tmp_path):
    training = training_of(network, tmp_path)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.fill_(torch.nan)
    before = {name: value.clone() for name, value in network.named_parameters()}
    training.update(training.batches[0])
    with pytest.raises(FloatingPointError, match="the loss of 1 steps after step 0 is not finite"):
        training.check()
    unchanged = (before[name].equal(value) for name, value in network.named_parameters())
    assert sum(not same for same in unchanged) == 1  # the one that is not a number


def test_a_gradient_that_is_not_finite_changes_no_weights(network, tmp_path):
    training = training_of(network, tmp_path)
    weight = network.roi_heads.box_predictor.cls_score.weight
    weight.register_hook(lambda gradient: gradient * torch.inf)  # of a loss that is finite
    before = {name: value.clone() for name, value in network.named_parameters()}
    training.update(training.batches[0])
    with pytest.raises(FloatingPointError, match="the gradient of 1 steps after step 0 is not"):
        training.check()
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())


def test_resuming_nothing_is_refused(network, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        training_of(network, tmp_path).resume()


def test_a_resume_point_of_something_else_is_refused(network, tmp_path):
    run = training_of(network, tmp_path)
    run.save()
    path = tmp_path / "training_state.pt"
    whole = torch.load(path, weights_only=True)
    for change in ({"schedule": None}, {"optimizer": {}}, {"network": {}}):
        torch.save({k: v for k, v in (whole | change).items() if v is not None}, path)
        with pytest.raises(ValueError, match=r"training_state\.pt is (no resume|of another)"):
            training_of(network, tmp_path).resume()


def test_the_learning_rate_warms_up_and_fades():
    factors = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[10] == pytest.approx(1.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0.01)


# The core that tracks.


def unmoved(network):
    """The network with a box head that neither moves boxes nor doubts them."""
    with torch.no_grad():
        predictor = network.roi_heads.box_predictor
        for layer in (predictor.bbox_pred, predictor.cls_score):
            layer.weight.zero_()
            layer.bias.zero_()
        predictor.cls_score.bias[1] = 5.0
    return network


def test_the_core_measures_what_the_whole_network_measures(network, rng):
    sample = drawn_sample(rng, *SIZE[::-1])
    detector = CornerDetector(unmoved(network), SMALL)
    whole = detector.detect(sample.image)
    tracked = detector.track(sample.image, whole.box)
    np.testing.assert_allclose(tracked.box, whole.box, atol=1e-3)
    np.testing.assert_allclose(tracked.corners.likeliest, whole.corners.likeliest, atol=1e-3)
    np.testing.assert_allclose(tracked.mask, whole.mask, atol=1e-4)
    assert tracked.score == pytest.approx(whole.score, abs=1e-5)


def test_the_exported_core_gives_the_same_numbers(network, tmp_path):
    path, file = tmp_path / "core.onnx", DetectorFile(network, SMALL, SIZE)
    export_onnx(file, path, SIZE)
    found = parity(file, path, SIZE, images=3)
    assert max(found.differences.values()) < 2e-3
    assert found.corners_px < TOLERANCE
    with torch.no_grad():  # other weights, to know that a difference would be seen
        network.roi_heads.keypoint_predictor.kps_score_lowres.weight.add_(0.1)
    assert parity(file, path, SIZE, images=1).differences["heatmaps"] > 2e-3


def test_an_image_without_a_cube_gives_nothing(network):
    detector = CornerDetector(network, SMALL, min_score=1.1)
    black = np.zeros((*SIZE, 3), dtype=np.uint8)
    assert detector.detect(black) is None
    assert detector.track(black, np.array([10.0, 10.0, 50.0, 50.0])) is None


def test_an_image_of_another_kind_is_refused(network):
    detector = CornerDetector(network, SMALL)
    with pytest.raises(ValueError, match="uint8"):
        detector.detect(np.zeros((*SIZE, 3), dtype=np.float32))


def test_a_pasted_mask_fills_its_box(network, rng):
    sample = drawn_sample(rng, *SIZE[::-1])
    detection = CornerDetector(unmoved(network), SMALL).detect(sample.image)
    full = replace(detection, mask=np.ones((28, 28), np.float32), box=np.array([20, 30, 50, 60.0]))
    mask = paste_mask(full, *SIZE)
    assert mask[35:55, 25:45].all() and mask.sum() == pytest.approx(900, rel=0.15)


def test_a_padded_box_grows_on_every_side():
    corners = np.array([[10.0, 20.0], [30.0, 60.0]])
    np.testing.assert_allclose(padded_box(corners, 0.1), [8.0, 16.0, 32.0, 64.0])
