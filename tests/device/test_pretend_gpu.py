"""The pretended GPU is as strict as a real one, and sees whoever waits for it."""

import pytest
import torch
from pretend_gpu import pretend_gpu


def test_tensors_of_different_devices_cannot_be_mixed() -> None:
    with pretend_gpu():
        there = torch.ones(3, device="cuda")
        assert (there + 1.0).device.type == "cuda"
        with pytest.raises(RuntimeError, match="two different devices"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="two different devices"):
            torch.nn.Linear(3, 3)(there)


def test_numbers_are_drawn_where_their_generator_is() -> None:
    with pretend_gpu():
        torch.empty(3, device="cuda").normal_(generator=torch.Generator("cuda"))
        torch.rand(3, generator=torch.Generator())
        with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator"):
            torch.empty(3, device="cuda").normal_(generator=torch.Generator())
        with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator"):
            torch.rand(3, generator=torch.Generator("cuda"))


def test_states_of_generators_fit_their_kind_of_device() -> None:
    with pretend_gpu():
        ours, theirs = torch.Generator("cuda"), torch.Generator()
        ours.set_state(torch.Generator("cuda").get_state())
        with pytest.raises(RuntimeError, match="size"):
            ours.set_state(theirs.get_state())


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        ("a number", lambda x: bool((x > 0).any())),
        ("a number", lambda x: float(x.sum())),
        ("a number", lambda x: x.mean().item()),
        ("a number", lambda x: x[0].tolist()),
        ("a number", lambda x: 1 if x.sum() > 0 else 2),
        ("a number", lambda x: torch.equal(x, x)),
        ("a copy to the CPU", lambda x: x.cpu()),
        ("a copy to the CPU", lambda x: torch.zeros(3, 2).copy_(x)),
        ("a shape", lambda x: x.nonzero()),
        ("a shape", lambda x: x[x > 0]),
        ("indices that are on the CPU", lambda x: x[torch.tensor([0, 1])]),
        ("a copy to the GPU that is waited for", lambda x: x + torch.tensor([1.0, 2.0]).to(x)),
        ("a copy to the GPU that is waited for", lambda x: x.new_tensor([1.0, 2.0])),
    ],
)
def test_whoever_waits_is_listed(kind: str, ask) -> None:
    with pretend_gpu() as gpu:
        x = torch.ones(3, 2, device="cuda")
        ask(x)
    (kinds,) = gpu.kinds.values()
    assert kinds == {kind}


def test_what_needs_no_number_is_not_listed() -> None:
    with pretend_gpu() as gpu:
        x = torch.ones(3, 2, device="cuda", requires_grad=True)
        index = torch.zeros(2, dtype=torch.long, device="cuda")
        torch.zeros(3, 2).to("cuda", non_blocking=True)
        (x[index] * torch.full_like(x[index], 2.0)).where(x[index] > 0, 0.0).sum().backward()
        assert x.grad is not None and x.grad.device.type == "cuda"
    assert not gpu.waits


def test_a_tensor_there_is_no_array() -> None:
    with pretend_gpu(), pytest.raises(RuntimeError, match="numpy"):
        torch.ones(3, device="cuda").numpy()
