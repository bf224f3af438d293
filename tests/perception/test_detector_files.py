"""Detector files: what is written is read, damage and foreign files are refused by name."""

from dataclasses import replace

import pytest
import torch

from perception.detector import files
from perception.detector.config import PRESETS
from perception.detector.files import DetectorFile, load_detector, save_detector
from perception.detector.network import build_network
from perception.detector.pretrained import load_pretrained

SMALL = replace(
    PRESETS["tiny"], feature_channels=16, box_width=32, corner_channels=(24, 24), mask_channels=(8,)
)
SIZE = (96, 128)


@pytest.fixture
def network():
    return build_network(SMALL)


def test_a_detector_survives_its_file(network, tmp_path):
    path = tmp_path / "detector.pt"
    save_detector(path, DetectorFile(network, SMALL, SIZE, 1.7, {"steps": 3}))
    loaded = load_detector(path)
    assert (loaded.config, loaded.image_size, loaded.covariance_factor) == (SMALL, SIZE, 1.7)
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.network.state_dict()[name])
    assert load_pretrained(build_network(SMALL), str(path))


def test_a_detector_of_another_cube_is_refused(network, tmp_path, monkeypatch):
    path = tmp_path / "detector.pt"
    other = files.object_contract() | {"corner_order": "z-first"}
    monkeypatch.setattr(files, "object_contract", lambda marked: other)
    save_detector(path, DetectorFile(network, SMALL, SIZE))
    with pytest.raises(ValueError, match="corner_order"):
        load_detector(path)


def test_files_that_are_no_detectors_are_refused(network, tmp_path):
    with pytest.raises(FileNotFoundError, match="train_detector"):
        load_detector(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match="damaged"):
        load_detector(tmp_path / "text.pt")
    torch.save({"format": "other"}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no detector file"):
        load_detector(tmp_path / "other.pt")


def test_weights_that_are_not_finite_are_not_written(network, tmp_path):
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.fill_(torch.inf)
    with pytest.raises(ValueError, match="not finite"):
        save_detector(tmp_path / "detector.pt", DetectorFile(network, SMALL, SIZE))
    assert not (tmp_path / "detector.pt").exists()


def test_published_weights_that_cannot_be_fetched_say_where_to_put_them(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    network = build_network(SMALL)
    with pytest.raises(FileNotFoundError, match=r"resnet50-\w+\.pth"):
        load_pretrained(network, "imagenet")


def test_one_flipped_bit_in_the_weights_is_noticed(network, tmp_path):
    path = tmp_path / "detector.pt"
    save_detector(path, DetectorFile(network, SMALL, SIZE))
    weight = network.roi_heads.box_head.fc6.weight.detach().numpy().tobytes()
    content = bytearray(path.read_bytes())
    place = content.index(weight[:64]) + 10
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"detector\.pt is damaged .*: wrong checksum of"):
        load_detector(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "lacks weights"),
        ({"image_size": [240]}, "image_size: size: expected 2 numbers"),
        ({"covariance_factor": float("nan")}, "covariance_factor: .* not finite"),
        ({"covariance_factor": 0.0}, r"covariance_factor \(0.0\) must be above 0"),
        ({"config": [1]}, "its configuration is no mapping"),
        ({"config": {"backbone": "tiny"}}, "its configuration and this version's differ in"),
    ],
)
def test_contents_of_the_wrong_kind_are_refused(network, tmp_path, change, message):
    path = tmp_path / "detector.pt"
    save_detector(path, DetectorFile(network, SMALL, SIZE))
    content = torch.load(path, weights_only=True) | change
    torch.save({k: v for k, v in content.items() if v is not None}, path)
    with pytest.raises(ValueError, match=rf"detector\.pt.*{message}"):
        load_detector(path)


def test_weights_that_are_not_finite_are_not_read(network, tmp_path):
    path = tmp_path / "detector.pt"
    save_detector(path, DetectorFile(network, SMALL, SIZE))
    content = torch.load(path, weights_only=True)
    content["weights"]["roi_heads.box_predictor.cls_score.bias"].fill_(torch.nan)
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"not finite: roi_heads\.box_predictor"):
        load_detector(path)


def test_misspelt_weights_are_not_taken_for_a_file(network):
    with pytest.raises(ValueError, match="'imagnet' is neither none, imagenet or coco nor a file"):
        load_pretrained(network, "imagnet")
