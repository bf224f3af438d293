"""Several processes that distil one student: environments of their own, gradients shared.

`torchrun` starts the processes; without it there is one, and nothing here does anything.
"""

import os
from collections.abc import Mapping

import torch
from torch import Tensor, distributed, nn


class Workers:
    """This process among those that learn together.

    Args:
        rank: Of this process; 0 writes the files.
        count: Of processes.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def from_environment(cls, device: str) -> "Workers":
        """Joins the group that torchrun announces; alone where there is none.

        Args:
            device: What gradients live on; decides how they are exchanged (NCCL or Gloo). A GPU
                becomes the one that this process uses where it names none.
        """
        if "RANK" not in os.environ:
            return cls()
        on_gpu = device.startswith("cuda")
        if on_gpu:
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if on_gpu else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def share_gradients(self, module: nn.Module) -> None:
        """From now on, every gradient is the mean over all processes as soon as it is complete.

        So that clipping, and what follows it, is the same everywhere. All processes must use the
        same parameters in the same order, which they do with the same network.
        """
        if self.count == 1:
            return
        for parameter in module.parameters():
            parameter.register_post_accumulate_grad_hook(self._average)

    def share_weights(self, module: nn.Module) -> None:
        """Everyone takes over the weights of process 0."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def mean(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Means over all processes of the numbers that all of them have."""
        if self.count == 1:
            return dict(metrics)
        gathered = self.gather(dict(metrics))
        common = [name for name in metrics if all(name in theirs for theirs in gathered)]
        return {name: sum(theirs[name] for theirs in gathered) / self.count for name in common}

    def gather[Value](self, value: Value) -> list[Value]:
        """The values of all processes, by rank; returns when all have given theirs."""
        if self.count == 1:
            return [value]
        gathered = [value] * self.count
        distributed.all_gather_object(gathered, value)
        return gathered

    def agree[Value](self, value: Value) -> Value:
        """The value of process 0, where each might have another."""
        if self.count == 1:
            return value
        shared = [value]
        distributed.broadcast_object_list(shared, src=0)
        return shared[0]

    def close(self) -> None:
        """Leave the group."""
        if self.count > 1:
            distributed.destroy_process_group()

    def _average(self, parameter: Tensor) -> None:
        assert parameter.grad is not None  # the hook runs when it has just been computed
        distributed.all_reduce(parameter.grad)
        parameter.grad /= self.count


def seed_of(seed: int, rank: int) -> int:
    """A seed of its own for each process; process 0 keeps the run's."""
    return seed + 1_000_003 * rank


def seed_noise(seed: int, rank: int) -> None:
    """Separate dropout and noise of processes whose networks were drawn from the same seed."""
    if rank:
        torch.manual_seed(seed_of(seed, rank))
