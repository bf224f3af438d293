"""How fast the detector trains and looks on this device: parts of `scripts/gpu_report.py`."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from perception.detector.config import preset
from perception.detector.detector import CornerDetector
from perception.detector.examples import Example
from perception.detector.network import build_network, count_parameters
from perception.detector.training import DetectorTraining

WARM_UP = 3
Tell = Callable[[dict], None]


class _Pictures:
    """The same noise again and again, each with one cube; as many batches as are asked for."""

    def __init__(self, batch_size: int, width: int, height: int, steps: int) -> None:
        draw = torch.Generator().manual_seed(0)
        self._steps, self._batch = steps, [_example(width, height, draw) for _ in range(batch_size)]

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> list[Example]:
        if step >= self._steps:
            raise IndexError(step)
        return self._batch


def detector_speed(
    device: str,
    *,
    size: str,
    batch_size: int,
    steps: int,
    width: int = 320,
    height: int = 240,
    tell: Tell,
) -> None:
    """Training pictures per second, and what it takes to find and to follow the cube in one.

    Args:
        device: Where the network is.
        size: A preset: "paper" (60 M parameters), "laptop" or "tiny".
        batch_size: Pictures of a training step.
        steps: Timed steps, and timed looks.
        width, height: Of the pictures.
        tell: Hears the figures, those of training in single precision and in bfloat16.
    """
    config = preset(size)
    on_gpu = torch.device(device).type == "cuda"
    pictures = _Pictures(batch_size, width, height, steps + WARM_UP)
    for bf16 in (False, True):
        network = build_network(config).to(device)
        spent_ms = _training_ms(network, pictures, steps, bf16=bf16)
        name = "bf16" if bf16 else "float32"
        tell(
            {
                "parameters": count_parameters(network),
                f"training_step_{name}_ms": spent_ms,
                f"training_pictures_per_s_{name}": 1e3 * batch_size / spent_ms,
            }
        )
    detector = CornerDetector(build_network(config), config, device, min_score=0.0)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    box = np.array([0.3 * width, 0.3 * height, 0.6 * width, 0.6 * height])
    tell({"detect_ms": _median_ms(lambda: detector.detect(image), on_gpu, steps)})
    tell({"track_ms": _median_ms(lambda: detector.track(image, box), on_gpu, steps)})
    if on_gpu:
        tell({"torch_peak_gib": torch.cuda.max_memory_allocated() / 2**30})


def _training_ms(network: MaskRCNN, pictures: _Pictures, steps: int, *, bf16: bool) -> float:
    """Of one step."""
    with tempfile.TemporaryDirectory() as folder:
        training = DetectorTraining(
            network,
            pictures,  # type: ignore[arg-type]  # only its length and its batches are used
            Path(folder),
            learning_rate=1e-4,
            weight_decay=1e-4,
            warm_up_steps=1,
            max_grad_norm=10.0,
            seed=0,
            bf16=bf16,
        )
        on_gpu = next(network.parameters()).is_cuda
        return _median_ms(lambda: training.update(pictures[0]), on_gpu, steps)


def _example(width: int, height: int, draw: torch.Generator) -> Example:
    image = torch.randint(256, (3, height, width), generator=draw, dtype=torch.uint8)
    low = torch.tensor([0.3 * width, 0.3 * height])
    high = torch.tensor([0.6 * width, 0.6 * height])
    corners = low + (high - low) * torch.rand(8, 2, generator=draw)
    mask = torch.zeros(1, height, width, dtype=torch.uint8)
    mask[:, int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 1
    target: dict[str, Tensor] = {
        "boxes": torch.cat([low, high])[None],
        "labels": torch.ones(1, dtype=torch.int64),
        "masks": mask,
        "keypoints": torch.cat([corners, torch.ones(8, 1)], dim=1)[None],
    }
    return image, target


def _median_ms(call: Callable[[], object], on_gpu: bool, count: int) -> float:
    """Of so many calls, after some to warm up."""
    for _ in range(min(WARM_UP, count)):
        call()
    spent = []
    for _ in range(count):
        started = _now_s(on_gpu)
        call()
        spent.append(_now_s(on_gpu) - started)
    return 1e3 * statistics.median(spent)


def _now_s(on_gpu: bool) -> float:
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter()
