"""Answers requests about one simulation over a socket until the other side hangs up.

Knows nothing of robosuite. Requests and their answers:

| request | holds           | answer | holds                                |
|---------|-----------------|--------|--------------------------------------|
|         |                 | hello  | protocol, versions (JSON)            |
| make    | settings (JSON) | made   | description (JSON)                   |
| reset   | seed            | seen   | observation/<key>, state             |
| step    | action (A,)     | seen   | the same, reward, succeeded          |
| model   |                 | model  | xml                                  |
| any     |                 | error  | text; nothing happened, or it ends   |
"""

import json
import socket
from collections.abc import Callable
from typing import Protocol

import numpy as np
from wire import PROTOCOL, Arrays, receive, send


class Simulation(Protocol):
    """What is served; one that raises ValueError goes on, any other exception ends the process."""

    description: dict
    """Plain values: action_low, action_high, control_rate_hz, env_args."""

    def reset(self, seed: int) -> Arrays: ...

    def step(self, action: np.ndarray) -> Arrays: ...

    def model(self) -> str: ...


def serve(
    connection: socket.socket,
    make: Callable[[dict], Simulation],
    versions: dict[str, str],
    protocol: int = PROTOCOL,
) -> None:
    """Say hello, then answer until the connection is closed.

    Args:
        connection: To the learner's side.
        make: Builds the simulation from its settings.
        versions: Of the packages in this environment.
        protocol: What this side speaks.
    """
    _tell(connection, "hello", {"protocol": protocol, "versions": json.dumps(versions)})
    simulation: Simulation | None = None
    while True:
        try:
            request, content = receive(connection, None)
        except EOFError:
            return
        try:
            if request == "make":
                simulation = make(json.loads(str(content["settings"])))
                _tell(connection, "made", {"description": json.dumps(simulation.description)})
            elif simulation is None:
                raise ValueError(f"'{request}' came before 'make'")
            else:
                _tell(connection, *_answer(simulation, request, content))
        except Exception as error:
            _tell(connection, "error", {"text": f"{type(error).__name__}: {error}"})
            if not isinstance(error, ValueError):
                raise


def _answer(simulation: Simulation, request: str, content: Arrays) -> tuple[str, dict]:
    if request == "reset":
        return "seen", simulation.reset(int(content["seed"]))
    if request == "step":
        return "seen", simulation.step(content["action"])
    if request == "model":
        return "model", {"xml": simulation.model()}
    raise ValueError(f"unknown request '{request}'")


def _tell(connection: socket.socket, kind: str, content: dict) -> None:
    send(connection, kind, {name: np.asarray(value) for name, value in content.items()}, None)
