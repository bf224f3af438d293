"""Where tensors live: getting there without waiting, and what a GPU may round."""

import torch
from torch import Tensor

Device = torch.device | str


def sent_to(tensor: Tensor, device: Device) -> Tensor:
    """The tensor on another device; nobody waits for a GPU to get it.

    From ordinary memory a copy has to be over before the program goes on, and it begins only when
    the GPU has done all it was told. So the tensor is put into pinned memory first.
    """
    target = torch.device(device)
    if target.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(target)
    return tensor.pin_memory().to(target, non_blocking=True)


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Go on with the numbers that would have come next.

    A state that was saved on another kind of device does not fit; then the numbers go on from a
    seed that is made of the state, so that two runs resumed from one file draw the same.

    Args:
        generator: Is changed.
        state: What `generator.get_state()` gave, on any device.
    """
    state = state.cpu()
    if len(state) == len(generator.get_state()):
        generator.set_state(state)
    else:
        weights = torch.arange(1, len(state) + 1, dtype=torch.long)
        generator.manual_seed(int((state.long() * weights).sum()))


def use_tensor_cores(device: Device) -> None:
    """Let matrix products on a GPU run in TF32; everything else stays in single precision.

    TF32 keeps three decimals of the factors and adds up in single precision. What has to be exact
    is no matrix product: the flow's scales, shifts and log-determinants, `atanh`, and the bins of
    the critics.
    """
    if torch.device(device).type == "cuda":
        torch.set_float32_matmul_precision("high")
