"""A GPU that is not there: PyTorch's fake tensors on "cuda", and a list of what waits for it.

Fake tensors have shapes, types and devices, but no numbers. So all of the networks' code runs as on
a GPU: tensors of different devices cannot be mixed, and whatever needs a number, or a shape that
depends on numbers, is noticed. It gets a made-up answer and is listed by the place that asked, for
a real GPU would have been waited for there.
"""

import copy
import functools
import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch
import torchvision  # noqa: F401  # brings its operators
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parents[2]
GPU = "cuda"
aten = torch.ops.aten


@dataclass
class PretendGpu:
    """What happened while the pretended GPU was in use."""

    mode: FakeTensorMode
    waits: Counter[str] = field(default_factory=Counter)
    """How often each place, as `folder/file.py:Class.function`, waited for the GPU."""
    kinds: dict[str, set[str]] = field(default_factory=dict)
    """Why, by place."""
    made_here: Counter[str] = field(default_factory=Counter)
    """Places that made tensors on the CPU; a CUDA graph has none."""
    nothing_wrong: tuple[str, ...] = ()
    """Beginnings of places that ask whether `any` of something is wrong: it is not. All others hear
    that there is some."""

    def wait(self, kind: str) -> None:
        """Remember who asks."""
        place = _place()
        self.waits[place] += 1
        self.kinds.setdefault(place, set()).add(kind)

    def moved[Thing](self, thing: Thing) -> Thing:
        """A fake copy of a network, a batch or anything else that holds tensors, on the GPU."""
        with FakeCopyMode(self.mode):
            fake = copy.deepcopy(thing)
        return fake.to(GPU)  # type: ignore[attr-defined]  # whatever can be moved

    def forget(self) -> None:
        """Begin a new list."""
        self.waits.clear()
        self.kinds.clear()
        self.made_here.clear()


@contextmanager
def pretend_gpu() -> Iterator[PretendGpu]:
    """All tensors made inside are fake; "cuda" exists, and those who wait for it are listed."""
    # Networks built before are real; they become fake when they are moved.
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    gpu = PretendGpu(mode)
    state = torch.zeros(16, dtype=torch.uint8)
    with ExitStack() as stack:
        # Python crashes when it collects cycles of these: torch asks a tensor for its device that
        # has lost its attributes. So nothing is collected in here, and what is left over never is.
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        stack.callback(gc.freeze)
        for place, stand_in in (
            ("torch.Generator", _Generator),
            ("torch.cuda.get_rng_state", lambda *_: state),
            ("torch.cuda.set_rng_state", lambda *_: None),
            ("torch.cuda.mem_get_info", lambda *_: (0, 2**30)),
            ("torch.Tensor.pin_memory", lambda tensor: tensor),
            ("torch.nn.Module._apply", _apply),
        ):
            stack.enter_context(mock.patch(place, stand_in))
        # One kernel for attention in evaluation, which fake tensors cannot be given.
        stack.callback(torch.backends.mha.set_fastpath_enabled, True)
        torch.backends.mha.set_fastpath_enabled(False)
        # Gradients otherwise flow in a thread for each GPU, which torch then looks for.
        alone = torch.autograd.set_multithreading_enabled(False)
        for context in (alone, mode, _Waits(gpu), _Generators()):
            stack.enter_context(context)
        yield gpu


def _apply(module: nn.Module, move: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """As torch's, which wants to exchange a tensor's inside and cannot with these."""
    for part in module.modules() if recurse else [module]:
        for name, weight in part._parameters.items():
            if weight is not None:
                moved = move(weight.detach())
                part._parameters[name] = nn.Parameter(moved, requires_grad=weight.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else move(buffer)
    return module


class _Generator(torch.Generator):
    """A generator that says it is on the GPU, where there is none."""

    claimed: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> "_Generator":
        made = super().__new__(cls, "cpu")
        made.claimed = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        """Where it says it is."""
        return self.claimed

    def get_state(self) -> Tensor:
        """On the CPU, as the states of all generators are; as long as theirs."""
        return torch.zeros(16 if self.claimed.type == GPU else 5056, dtype=torch.uint8)

    def set_state(self, state: Tensor) -> "_Generator":
        """Takes what such a generator takes."""
        if state.device.type != "cpu" or state.dtype != torch.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if len(state) != len(self.get_state()):
            raise RuntimeError("RNG state is wrong size")
        return self


class _Generators(TorchFunctionMode):
    """An error where numbers are drawn on another device than the generator's, as on a GPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (generator := kwargs.get("generator")) is not None:
            there = next((a.device for a in args if isinstance(a, Tensor)), kwargs.get("device"))
            there, mine = torch.device(there or "cpu").type, generator.device.type
            if there != mine:
                raise RuntimeError(
                    f"Expected a '{there}' device type for generator but found '{mine}'"
                )
        return func(*args, **kwargs)


class _Waits(TorchDispatchMode):
    """Lists those who wait and answers in the GPU's place."""

    def __init__(self, gpu: PretendGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if str(kwargs.get("device")) == "meta":
            kwargs["device"] = torch.device(GPU)
        first = args[0] if args else None
        if func is torch.ops.prim.device.default and first.fake_device.type == GPU:
            return torch.device("meta")
        on_gpu = isinstance(first, Tensor) and first.device.type == GPU
        if func is aten._local_scalar_dense.default:
            return self._number(first, on_gpu)
        if func is aten.equal.default:
            if on_gpu:
                self._gpu.wait("a number")
            return False
        if func is aten._to_copy.default:
            self._copied(first, kwargs.get("device"), kwargs.get("non_blocking", False))
        elif func is aten.copy_.default:
            other = args[1]
            asynchronous = kwargs.get("non_blocking", False) or (len(args) > 2 and args[2])
            self._copied(other, first.device, asynchronous)
        elif func is aten.nonzero.default:
            if on_gpu:
                self._gpu.wait("a shape")
            return first.new_zeros((first.numel(), first.ndim), dtype=torch.long)
        elif func is torch.ops.torchvision.nms.default:
            if on_gpu:
                self._gpu.wait("a shape")
            return first.new_zeros(len(first), dtype=torch.long)
        elif func is aten.index.Tensor:
            args = (first, self._indices(args[1], on_gpu))
        elif func in (aten.index_put_.default, aten.index_put.default):
            one = args[2].numel() == 1  # is filled in under a mask
            args = (first, self._indices(args[1], on_gpu and not one), *args[2:])
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.device.type == "cpu":
            self._gpu.made_here[_place()] += 1
        if func in (aten.all.default, aten.all.dim):
            result.pretends = True
        elif func in (aten.any.default, aten.any.dim):
            result.pretends = not _place().startswith(self._gpu.nothing_wrong or "nobody")
        return result

    def _number(self, tensor: Tensor, on_gpu: bool) -> bool | int | float:
        """All of something is right, some of it is there, nothing is less than allowed."""
        if on_gpu:
            self._gpu.wait("a number")
        if tensor.dtype == torch.bool:
            return getattr(tensor, "pretends", False)
        return 0.0 if tensor.is_floating_point() else 0

    def _copied(self, source: object, target: object, asynchronous: bool) -> None:
        if not isinstance(source, Tensor) or target is None:
            return
        here, there = source.device.type, torch.device(target).type
        if here == GPU and there == "cpu":
            self._gpu.wait("a copy to the CPU")
        elif here == "cpu" and there == GPU and not asynchronous:
            self._gpu.wait("a copy to the GPU that is waited for")

    def _indices(self, indices: list[Tensor | None], on_gpu: bool) -> list[Tensor | None]:
        """Masks become as many indices as they could let through."""
        found: list[Tensor | None] = []
        for index in indices:
            if index is None or index.dtype != torch.bool:
                if index is not None and on_gpu and index.device.type != GPU and index.ndim:
                    self._gpu.wait("indices that are on the CPU")
                found.append(index)
                continue
            if on_gpu:
                self._gpu.wait("a shape")
            chosen = index.new_zeros((index.numel(),), dtype=torch.long)
            found += [chosen] * index.ndim
        return found


def _place() -> str:
    """The innermost function on the stack that is neither torch's nor of this file."""
    frame = sys._getframe(1)
    while frame is not None:
        if file := _file_of(frame.f_code.co_filename):
            return f"{file}:{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "?"


@functools.cache
def _file_of(filename: str) -> str | None:
    """A file as places name it; None if it is torch's, Python's own, or this one."""
    path = Path(filename)
    if "site-packages" in path.parts:
        parts = path.parts[path.parts.index("site-packages") + 1 :]
    elif path.is_relative_to(ROOT):
        parts = path.relative_to(ROOT).parts
    else:
        return None
    return None if parts[0] == "torch" or parts[-1] == Path(__file__).name else "/".join(parts)
