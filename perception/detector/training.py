"""The training loop: AdamW, warm-up and cosine, resumable, watched on images kept aside."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from torchvision.models.detection import MaskRCNN
from tqdm import tqdm

from perception.detector.examples import Example, TrainingBatches
from perception.detector.files import read_tensors, write_tensors

STATE_FILE = "training_state.pt"
Watch = Callable[[MaskRCNN], tuple[dict[str, float], np.ndarray | None]]
"""Judges the network in training: numbers by name and a picture (h, w, 3)."""


def learning_rate_factor(step: int, steps: int, warm_up_steps: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < warm_up_steps:
        return (step + 1) / warm_up_steps
    progress = (step - warm_up_steps) / max(1, steps - warm_up_steps)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


class DetectorTraining:
    """Trains one network; killed and resumed, it ends with the same weights on a CPU.

    With `torchrun`, every process has its share of the images and process 0 writes.

    Args:
        network: Is trained in place, on the device it is on.
        batches: What each step learns from.
        run_dir: Where curves and resume points go.
        learning_rate: Peak.
        weight_decay: Of AdamW.
        warm_up_steps: Until the peak.
        max_grad_norm: Bound on the gradient's norm.
        seed: Of the boxes that are drawn from the proposals.
        bf16: Compute in bfloat16 where that is safe.
        workers: Processes that prepare images; 0 prepares them in this one.
        log_every: Steps whose mean is one logged number.
        save_every: Steps between resume points; there is one after the last step, too.
        watch: Called at every resume point.
    """

    def __init__(
        self,
        network: MaskRCNN,
        batches: TrainingBatches,
        run_dir: Path,
        *,
        learning_rate: float,
        weight_decay: float,
        warm_up_steps: int,
        max_grad_norm: float,
        seed: int,
        bf16: bool = False,
        workers: int = 0,
        log_every: int = 20,
        save_every: int = 500,
        watch: Watch | None = None,
    ) -> None:
        if min(log_every, save_every) < 1:
            raise ValueError(f"log_every ({log_every}) and save_every ({save_every}) must be >= 1")
        self.network, self.batches, self.run_dir = network, batches, run_dir
        self._device = next(network.parameters()).device
        self._seed, self._bf16, self._workers = seed, bf16, workers
        self._log_every, self._save_every, self._watch = log_every, save_every, watch
        self._max_grad_norm = max_grad_norm
        self._rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        self._parallel: nn.Module = network
        if torch.distributed.is_initialized():
            self._parallel = DistributedDataParallel(network)
        trained = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            trained, lr=learning_rate, weight_decay=weight_decay, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            lambda step: learning_rate_factor(step, len(batches), warm_up_steps),
        )
        self.step = 0
        """Steps done."""
        self._checked = 0
        self._broken = torch.zeros(2, device=self._device)  # losses, gradients

    def run(self) -> None:
        """Train from where this run stands to the last batch."""
        remaining = range(self.step, len(self.batches))
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=list(remaining),
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
        )
        log = _Log(self.run_dir, self.step) if self._rank == 0 else None
        try:
            with tqdm(
                total=len(self.batches), initial=self.step, unit="step", disable=log is None
            ) as bar:
                for examples in loader:
                    losses = self.update(examples)
                    bar.update()
                    if log:
                        log.add(losses, len(examples))
                        self._after_step(log, bar)
        finally:
            if log:
                log.close()

    def update(self, examples: list[Example]) -> dict[str, Tensor]:
        """One step; the losses by name.

        If the loss or its gradient is not finite, the weights stay as they are; `check` tells.
        """
        self._parallel.train()
        # torchvision draws from torch's global generator; from the step, so that runs can resume.
        torch.manual_seed(self._seed * 1_000_003 + self.step)
        images = [image.to(self._device, non_blocking=True).float() / 255 for image, _ in examples]
        targets = [
            {k: v.to(self._device, non_blocking=True) for k, v in target.items()}
            for _, target in examples
        ]
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            losses = self._parallel(images, targets)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self._parallel.parameters(), self._max_grad_norm)
        broken = 1.0 - torch.stack([torch.isfinite(total), torch.isfinite(norm)]).float()
        self._broken += broken
        self._optimizer.found_inf = broken.amax()  # type: ignore[attr-defined]  # fused ones look
        self._optimizer.step()
        self._schedule.step()
        self.step += 1
        return {name: loss.detach() for name, loss in losses.items()} | {"loss": total.detach()}

    def check(self) -> None:
        """Ask whether every step since the last call was finite; a GPU is waited for here alone.

        Raises:
            FloatingPointError: If one was not; no weight has changed with it.
        """
        losses, gradients = self._broken.int().tolist()
        since, self._checked = self._checked, self.step
        self._broken.zero_()
        if losses or gradients:
            what = "loss" if losses else "gradient"
            raise FloatingPointError(
                f"the {what} of {max(losses, gradients)} steps after step {since} is not finite; "
                "no weight has changed with them; look at the images and the learning rate"
            )

    def save(self) -> None:
        """Write the resume point."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "step": self.step,
        }
        write_tensors(self.run_dir / STATE_FILE, state)

    def resume(self) -> None:
        """Go back to the last resume point.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged or of another network.
        """
        path = self.run_dir / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(f"nothing to resume: {path} does not exist")
        state = read_tensors(path)
        parts = {"network", "optimizer", "schedule", "step"}
        if not isinstance(state, dict) or not parts <= state.keys():
            raise ValueError(f"{path} is no resume point of a detector training")
        try:
            self.network.load_state_dict(state["network"])
            for group in state["optimizer"]["param_groups"]:
                group |= {"fused": True, "foreach": False}  # earlier versions were not
            self._optimizer.load_state_dict(state["optimizer"])
            self._schedule.load_state_dict(state["schedule"])
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is of another network: {error}") from error
        self.step = self._checked = state["step"]

    def _after_step(self, log: "_Log", bar: tqdm) -> None:
        saves = self.step % self._save_every == 0 or self.step == len(self.batches)
        if self.step % self._log_every == 0 or saves:
            self.check()
            rate = self._optimizer.param_groups[0]["lr"]
            bar.set_postfix(log.flush(self.step, {"learning_rate": rate}))
        if saves:
            if self._watch:
                was_training = self.network.training
                log.held_out(self.step, *self._watch(self.network))
                self.network.train(was_training)
            self.save()


class _Log:
    """Curves and pictures for TensorBoard, numbers of the images kept aside as JSON lines."""

    def __init__(self, run_dir: Path, first_step: int) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._events = SummaryWriter(str(run_dir), purge_step=first_step or None)
        self._lines = run_dir / "validation.jsonl"
        self._sums: dict[str, Tensor] = {}
        self._steps, self._images, self._started = 0, 0, time.monotonic()

    def add(self, losses: dict[str, Tensor], images: int) -> None:
        """Remember one step without waiting for the device."""
        self._sums = {k: self._sums.get(k, torch.zeros_like(v)) + v for k, v in losses.items()}
        self._steps += 1
        self._images += images

    def flush(self, step: int, extra: dict[str, float]) -> dict[str, str]:
        """Write means since the last call; what a progress bar shows."""
        means = {k: float(v) / self._steps for k, v in self._sums.items()}
        speed = self._images / (time.monotonic() - self._started)
        for name, value in (means | extra | {"time/images_per_s": speed}).items():
            self._events.add_scalar(name.replace("loss_", "loss/"), value, step)
        self._sums, self._steps, self._images = {}, 0, 0
        self._started = time.monotonic()
        shown = {"loss": means["loss"], "corners": means.get("loss_keypoint", math.nan)}
        return {name: f"{value:.3g}" for name, value in shown.items()}

    def held_out(self, step: int, numbers: dict[str, float], picture: np.ndarray | None) -> None:
        """Write what the network is worth at this step."""
        for name, value in numbers.items():
            self._events.add_scalar(f"validation/{name}", value, step)
        if picture is not None:
            self._events.add_image("validation", picture, step, dataformats="HWC")
        with self._lines.open("a") as file:
            file.write(json.dumps({"step": step} | numbers) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._events.flush()

    def close(self) -> None:
        """Flush and close."""
        self._events.close()
