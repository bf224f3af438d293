"""The memory another process takes, while it runs: its own, and that of the GPUs."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

EVERY_S = 1.0
"""Between two questions to the GPU's driver."""


class Watched:
    """Remembers the most memory that a process and the machine's GPUs had.

    Args:
        pid: Of the process; on Linux only, elsewhere nothing is known.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._driver = shutil.which("nvidia-smi")
        self._gib = self._gpu_gib = 0.0
        self._asked_s = -EVERY_S

    def __enter__(self) -> Self:
        self.look()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ask_gpu()

    def look(self) -> None:
        """Look now; the GPU is asked once a second at most."""
        try:
            lines = self._status.read_text().splitlines()
        except OSError:  # it has ended
            lines = []
        peaks = [int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM:")]
        self._gib = max([self._gib, *peaks])
        if time.monotonic() - self._asked_s >= EVERY_S:
            self._asked_s = time.monotonic()
            self._ask_gpu()

    def peaks(self) -> dict[str, float]:
        """GiB: `peak_memory_gib` of the process, `peak_gpu_gib` of the fullest GPU if there is any.

        The latter counts whatever else runs there.
        """
        gpu = {"peak_gpu_gib": round(self._gpu_gib, 2)} if self._driver else {}
        return {"peak_memory_gib": round(self._gib, 4)} | gpu

    def _ask_gpu(self) -> None:
        if self._driver is None:
            return
        question = [self._driver, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        answer = subprocess.run(question, capture_output=True, text=True, check=False).stdout
        used = [float(line) / 1024 for line in answer.split() if line.strip().isdigit()]
        self._gpu_gib = max([self._gpu_gib, *used])
