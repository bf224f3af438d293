"""Several processes that learn one policy: batches dealt out, gradients averaged, one writer.

`torchrun` starts the processes; without it there is one, and nothing here does anything.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

NEEDED = ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets beside RANK."""


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

        Raises:
            ValueError: If torchrun's variables are there in part, or several processes of this
                machine were given one GPU.
        """
        if "RANK" not in os.environ:
            return cls()
        _check_launch(device)
        on_gpu = device.startswith("cuda")
        if on_gpu:
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if on_gpu else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def writes(self) -> bool:
        """Whether this process writes the files and talks."""
        return self.rank == 0

    def rows(self, total: int, together: int = 1) -> Tensor:
        """Which of `total` rows, numbered from 0, are this process's.

        Rows are dealt out in turn, so that whatever comes first in a batch is dealt out evenly.

        Args:
            total: A multiple of the number of processes times `together`.
            together: Neighbouring rows that stay together.
        """
        return torch.arange(total).view(-1, self.count, together)[:, self.rank].flatten()

    def average_gradients(self, module: nn.Module) -> None:
        """Every gradient becomes the mean over all processes.

        All of them must have used the same parameters, which they do with the same network.
        """
        if self.count == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= self.count
        for gradient, part in zip(
            gradients, together.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def average(self, number: Tensor) -> Tensor:
        """The mean of a number over all processes; of a float tensor without gradient."""
        if self.count == 1:
            return number
        distributed.all_reduce(number := number.clone())
        return number / self.count

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

    def once[Value](self, make: Callable[[], Value]) -> Value:
        """What process 0 makes, for all."""
        made = [make()] if self.writes else []
        return self.agree(made)[0]

    def check_same(self, marks: Mapping[str, str]) -> None:
        """An error in all processes if they did not find the same.

        Args:
            marks: By what is compared, a text that is the same where the thing is.

        Raises:
            ValueError: Naming what differs, and in which processes.
        """
        first, *others = self.gather(dict(marks))
        for name in first:
            odd = [rank for rank, theirs in enumerate(others, 1) if theirs[name] != first[name]]
            if odd:
                raise ValueError(
                    f"processes {odd} of torchrun have other {name} than process 0: start all "
                    "with the same command, on machines that see the same files"
                )

    def close(self) -> None:
        """Leave the group."""
        if self.count > 1:
            distributed.destroy_process_group()


@contextmanager
def together(device: str) -> Iterator[Workers]:
    """The processes that torchrun started, until the block ends; arguments and errors as
    `Workers.from_environment`."""
    workers = Workers.from_environment(device)
    try:
        yield workers
    finally:
        workers.close()


def seed_of(seed: int, rank: int) -> int:
    """A seed of its own for each process; process 0 keeps the run's."""
    return seed + 1_000_003 * rank


def seed_noise(seed: int, rank: int) -> None:
    """Separate dropout and noise of processes whose networks were drawn from the same seed."""
    if rank:
        torch.manual_seed(seed_of(seed, rank))


def _check_launch(device: str) -> None:
    if missing := [name for name in NEEDED if name not in os.environ]:
        raise ValueError(
            f"RANK is set, but {' and '.join(missing)} not: start several processes with "
            "torchrun --nproc_per_node N, and one with RANK unset"
        )
    _, _, named = device.partition("cuda:")
    local, others = (
        os.environ.get(f"LOCAL_{n}", d) for n, d in (("RANK", "0"), ("WORLD_SIZE", "1"))
    )
    if named and int(others) > 1 and named != local:
        raise ValueError(
            f"process {local} of torchrun was told to use GPU {named}, as the others were: leave "
            "the number out (--device cuda), then each takes one of its own"
        )
