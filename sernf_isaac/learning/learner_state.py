"""Networks from a learner's state, or an error that says what does not fit."""

from torch import Tensor, nn


def load_network(network: nn.Module, state: dict[str, Tensor] | None, name: str) -> None:
    """Give a network the weights of a state.

    Args:
        network: Is changed.
        state: Of a network of the same parts in the same order.
        name: For errors.

    Raises:
        ValueError: If the state lacks this network, or it has other parts or sizes.
    """
    if state is None:
        raise ValueError(f"this state lacks '{name}': it is of another version")
    # Optimisers know parameters by number only: the order must be the same too.
    if list(network.state_dict()) != list(state):
        raise ValueError(f"this state has other networks: parts of '{name}' or their order")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"this state has another '{name}': {error}") from error
