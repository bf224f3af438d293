"""The detector on a GPU that is pretended: a step of training, and a tracked image."""

from dataclasses import replace

import pytest
import torch
from pretend_gpu import PretendGpu, pretend_gpu
from torch import Tensor

pytest.importorskip("torchvision", reason="needs the extra 'vision'")

from perception.detector.config import PRESETS
from perception.detector.detector import CornerDetector
from perception.detector.heatmaps import measure_corners
from perception.detector.network import build_network
from perception.detector.training import DetectorTraining

SMALL = replace(
    PRESETS["tiny"], feature_channels=16, box_width=32, corner_channels=(24, 24), mask_channels=(8,)
)
SIZE = (64, 96)
TORCHVISION = "torchvision/"
"""Proposals, suppression and the choice of boxes to learn from ask for numbers of boxes, and
torchvision's loops over images and levels ask again: that is its way, which the network shares."""


class Batches:
    """As many of the same picture as are asked for."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, step: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
        target = {
            "boxes": torch.tensor([[10.0, 10.0, 50.0, 50.0]]),
            "labels": torch.ones(1, dtype=torch.int64),
            "masks": torch.ones(1, *SIZE, dtype=torch.uint8),
            "keypoints": torch.ones(1, 8, 3),
        }
        return [(torch.zeros(3, *SIZE, dtype=torch.uint8), target)]


def there(gpu: PretendGpu) -> torch.nn.Module:
    network = build_network(SMALL).to("cuda")
    gpu.nothing_wrong = (TORCHVISION,)  # it asks whether any box is empty
    gpu.forget()
    return network


def training_there(gpu: PretendGpu, run_dir, **options: object) -> DetectorTraining:
    settings = {"learning_rate": 1e-3, "weight_decay": 1e-4, "warm_up_steps": 2, "seed": 0}
    settings |= {"max_grad_norm": 10.0} | options
    return DetectorTraining(there(gpu), Batches(), run_dir, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.filterwarnings("ignore:User provided device_type")
def test_a_step_of_training_waits_for_torchvision_alone(bf16: bool, tmp_path) -> None:
    with pretend_gpu() as gpu:
        training = training_there(gpu, tmp_path, bf16=bf16)
        losses = training.update(training.batches[0])
        assert {value.device.type for value in losses.values()} == {"cuda"}
        ours = {place for place in gpu.waits if not place.startswith(TORCHVISION)}
        assert ours == set(), gpu.kinds


def test_whether_steps_were_finite_is_asked_once_per_logged_number(tmp_path) -> None:
    with pretend_gpu() as gpu:
        training = training_there(gpu, tmp_path)
        gpu.forget()
        training.check()
        assert set(gpu.waits) == {"perception/detector/training.py:DetectorTraining.check"}


def test_a_tracked_image_waits_for_nothing() -> None:
    with pretend_gpu() as gpu, torch.no_grad():
        detector = CornerDetector(there(gpu), SMALL, "cuda")
        gpu.forget()
        box = torch.zeros(1, 4, device="cuda")
        score, found, heatmaps, mask = detector.core(torch.zeros(1, 3, *SIZE, device="cuda"), box)
        measured = measure_corners(heatmaps, found)
        assert not gpu.waits, "neither the network nor the measurement asks for a number"
        made = (score, found, mask, *vars(measured).values())
        assert {value.device.type for value in made} == {"cuda"}
