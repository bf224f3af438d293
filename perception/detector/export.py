"""The tracked core as an ONNX file, for runtimes that are faster than eager PyTorch."""

from pathlib import Path

import torch

from perception.detector.core import TrackedCore
from perception.detector.files import DetectorFile

INPUTS, OUTPUTS = ["image", "box"], ["score", "corrected_box", "heatmaps", "mask"]


def export_onnx(detector: DetectorFile, path: Path, size: tuple[int, int] = (160, 192)) -> None:
    """Write the core for views of one size (height, width); see `TrackedCore.forward`."""
    core = TrackedCore(detector.network).cpu().eval()
    height, width = size
    image = torch.rand(1, 3, height, width)
    box = torch.tensor([[0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height]])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with torch.inference_mode():
        torch.onnx.export(
            core,
            (image, box),
            str(partial),
            input_names=INPUTS,
            output_names=OUTPUTS,
            opset_version=17,
            dynamo=False,
        )
    partial.replace(path)
