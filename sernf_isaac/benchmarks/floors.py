"""The least time a GPU's data sheet allows for a piece of work: its products, and reading weights.

Nothing here was measured. A floor says what an ideal program would take; twice that is good, and a
factor of ten says that the time goes elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class DataSheet:
    """Dense peaks in TFLOP/s, and the memory's speed in TB/s."""

    bf16: float
    tf32: float
    float32: float
    memory: float


DATA_SHEETS = {
    "H200": DataSheet(989.0, 495.0, 67.0, 4.8),
    "H100": DataSheet(989.0, 495.0, 67.0, 3.35),
    "A100": DataSheet(312.0, 156.0, 19.5, 2.0),
    "L40S": DataSheet(362.0, 183.0, 91.6, 0.864),
    "RTX 4090": DataSheet(165.2, 82.6, 82.6, 1.008),
}
"""By a part of the name that the driver gives."""


def floor_ms(flops: float, weight_bytes: float, device: str, precision: str) -> float | None:
    """Milliseconds; None on a CPU, and on a GPU whose data sheet is not known here.

    Args:
        flops: Of matrix products, two for each multiplication.
        weight_bytes: Read or written once.
        device: A GPU of this machine.
        precision: "float32", "tf32" or "bf16".
    """
    if torch.device(device).type != "cuda":
        return None
    return floor_of(flops, weight_bytes, torch.cuda.get_device_name(device), precision)


def floor_of(flops: float, weight_bytes: float, name: str, precision: str) -> float | None:
    """The same for a GPU by its name: whichever of the two takes longer."""
    sheet = next((sheet for part, sheet in DATA_SHEETS.items() if part in name), None)
    if sheet is None:
        return None
    computing_s = flops / (1e12 * getattr(sheet, precision))
    reading_s = weight_bytes / (1e12 * sheet.memory)
    return 1e3 * max(computing_s, reading_s)


def flops_of(call: Callable[[], object]) -> float:
    """Floating-point operations of the matrix products in one call, forwards and backwards."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def parameter_bytes(*modules: nn.Module) -> int:
    """Memory of all weights."""
    return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
