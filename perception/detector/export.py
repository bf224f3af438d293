"""The tracked core as an ONNX file, for runtimes that are faster than eager PyTorch."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perception.detector.core import TrackedCore
from perception.detector.files import DetectorFile
from perception.detector.heatmaps import measure_corners
from perception.files import write_whole

INPUTS, OUTPUTS = ["image", "box"], ["score", "corrected_box", "heatmaps", "mask"]
TOLERANCE = 0.05
"""Pixels that a corner may be measured elsewhere by the exported core."""


def export_onnx(detector: DetectorFile, path: Path, size: tuple[int, int] = (160, 192)) -> None:
    """Write the core for views of one size (height, width); see `TrackedCore.forward`."""
    core = TrackedCore(detector.network).cpu().eval()
    image, box = example(size, np.random.default_rng(0))
    buffer = BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor")  # sizes are meant to be fixed
        warnings.simplefilter("ignore", DeprecationWarning)  # of this exporter
        torch.onnx.export(
            core,
            (image, box),
            buffer,  # type: ignore[arg-type]  # this exporter takes open files, its type does not say so
            input_names=INPUTS,
            output_names=OUTPUTS,
            opset_version=17,
            dynamo=False,
        )
    write_whole(path, lambda file: file.write(buffer.getvalue()))


@dataclass(frozen=True)
class Parity:
    """What an exported core does, compared with PyTorch."""

    differences: dict[str, float]
    """Largest difference per output."""
    corners_px: float
    """The same for the likeliest place of every corner."""
    torch_ms: float
    onnx_ms: float


def parity(
    detector: DetectorFile, path: Path, size: tuple[int, int], *, images: int = 5, threads: int = 1
) -> Parity:
    """Run both cores on random images and boxes, others than the file was exported with.

    Raises:
        ModuleNotFoundError: If ONNX Runtime is not installed.
    """
    import onnxruntime  # only to check: whoever deploys the file brings a runtime of their own

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    core = TrackedCore(detector.network).cpu().eval()
    rng = np.random.default_rng(1)
    differences, corners_px, spent_ms = dict.fromkeys(OUTPUTS, 0.0), 0.0, np.zeros((images, 2))
    for row in spent_ms:
        image, box = example(size, rng)
        with torch.inference_mode():
            expected, row[0] = _timed(core, image, box)
        given = dict(zip(INPUTS, (image.numpy(), box.numpy()), strict=True))
        outputs, row[1] = _timed(session.run, OUTPUTS, given)
        found = [torch.from_numpy(values) for values in outputs]
        for name, mine, theirs in zip(OUTPUTS, expected, found, strict=True):
            differences[name] = max(differences[name], float((mine - theirs).abs().max()))
        apart = _corners(expected) - _corners(found)
        corners_px = max(corners_px, float(apart.abs().max()))
    return Parity(differences, corners_px, *np.median(spent_ms, axis=0).tolist())


def example(size: tuple[int, int], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random image (1, 3, h, w) and a box (1, 4) around its middle."""
    height, width = size
    image = torch.from_numpy(rng.random((1, 3, height, width), dtype=np.float32))
    low, high = rng.uniform(0.2, 0.35, 2), rng.uniform(0.65, 0.8, 2)
    box = np.concatenate([low, high]) * (width, height, width, height)
    return image, torch.from_numpy(box[None]).float()


def _corners(outputs: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """(8, 2) likeliest places [px]."""
    _, box, heatmaps, _ = outputs
    return measure_corners(heatmaps, box, places=1).uv[0, :, 0]


def _timed[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """What a call returns, and how long it took [ms]."""
    started = time.perf_counter()
    result = work(*args, **kwargs)
    return result, 1e3 * (time.perf_counter() - started)
