"""How much memory a process and a GPU have taken."""

from pathlib import Path

import torch


def gpu_memory_gib(device: torch.device) -> float:
    """Memory of the GPU that is taken, by simulator and learner alike; 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 2**30


def peak_memory_gib() -> float:
    """The most memory that this process has had; 0 where the system does not tell (not Linux)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM:"))
