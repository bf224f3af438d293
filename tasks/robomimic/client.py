"""The learner's end of a robosuite environment, which runs in another process and environment.

robosuite 1.5.2 needs NumPy below 2 and an older MuJoCo than the twin; `server/requirements.txt`
says how to make its environment.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from sernf_isaac.data.episode import Array
from sernf_isaac.install import CLONE
from tasks.orca.cache import cache_root
from tasks.rendering import BACKENDS, choose_gl_backend
from tasks.robomimic.process import RobosuiteError, ServerProcess
from tasks.robomimic.server.wire import Arrays

__all__ = [
    "RobosuiteClient",
    "RobosuiteError",
    "RobosuiteSettings",
    "Seen",
    "describe",
    "find_python",
]

SERVER = Path(__file__).parent / "server" / "robosuite_server.py"
PYTHON_VARIABLE = "ROBOSUITE_PYTHON"
"""Environment variable that names the other environment's interpreter."""
_REQUIREMENTS = SERVER.parent / "requirements.txt"
_OBSERVATION = "observation/"


@dataclass(frozen=True)
class RobosuiteSettings:
    """Which environment, and what to see of it."""

    name: str = "Lift"
    kwargs: dict = field(default_factory=dict)
    """Of `robosuite.make`, as `env_kwargs` in a robomimic file; the server fills in the rest."""
    cameras: tuple[str, ...] = ()
    """Such as "agentview"; drawing needs EGL or OSMesa."""
    image_size: int = 84
    """Edge of images [pixels] (paper App. A)."""
    keys: tuple[str, ...] = ()
    """Observations to tell; none: all."""


@dataclass(frozen=True)
class Seen:
    """What a reset or a step showed."""

    observation: Arrays
    """By robomimic's names: numbers (F,), quaternions xyzw; images (h, w, 3) uint8, upright."""
    state: Array
    """(S,) MuJoCo's state, as robomimic stores it."""
    reward: float = 0.0
    succeeded: bool = False
    """Whether the task is done in this state."""


class RobosuiteClient:
    """One environment in a process of its own; end it by `close` or a `with` block.

    Requests may be begun and finished apart, so that several processes work at once.

    Args:
        settings: Of the environment.
        python: The other environment's interpreter; None: `find_python()`.
        server: What it runs.
        start_timeout_s: For importing robosuite and, again, for building the environment; the
            first time it also compiles.
        timeout_s: For any other answer.

    Raises:
        FileNotFoundError: If there is no such interpreter; says how to make its environment.
        RobosuiteError: If the process does not start, speaks another version, or refuses the
            settings.
        RuntimeError: If there are cameras and no way to draw.
    """

    def __init__(
        self,
        settings: RobosuiteSettings,
        python: Path | None = None,
        *,
        server: Path = SERVER,
        start_timeout_s: float = 300.0,
        timeout_s: float = 60.0,
    ) -> None:
        python = python or find_python()
        if not python.is_file():
            raise FileNotFoundError(f"no robosuite interpreter at {python}; {_how_to_install()}")
        self._timeout_s = timeout_s
        self._process = ServerProcess(
            python,
            server,
            environment=_environment(drawing=bool(settings.cameras)),
            start_timeout_s=start_timeout_s,
        )
        self.versions: dict[str, str] = json.loads(str(self._process.hello["versions"]))
        """Of the packages in the other environment."""
        made = self._make(settings, start_timeout_s)
        self.action_low = np.array(made["action_low"])
        """(A,)"""
        self.action_high = np.array(made["action_high"])
        """(A,)"""
        self.control_rate_hz: float = made["control_rate_hz"]
        self.env_args: dict = made["env_args"]
        """What robomimic needs to make the same environment again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the other process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the other process lives."""
        return self._process.is_running

    def reset(self, seed: int) -> Seen:
        """Start an episode; the same seed gives the same one.

        Raises:
            ValueError: If the seed is negative.
            RobosuiteError: If no answer comes.
        """
        self.begin_reset(seed)
        return self.finish()

    def step(self, action: Array) -> Seen:
        """Execute an action (A,) in the environment's own units; it clips to its bounds.

        Raises:
            ValueError: If the action has another shape or is not finite; nothing happened then.
            RobosuiteError: If no answer comes.
        """
        self.begin_step(action)
        return self.finish()

    def begin_reset(self, seed: int) -> None:
        """`reset` without its answer, which `finish` takes."""
        if seed < 0:
            raise ValueError(f"seed ({seed}) must be >= 0")
        self._process.request("reset", {"seed": np.array(seed)}, self._timeout_s)

    def begin_step(self, action: Array) -> None:
        """`step` without its answer, which `finish` takes."""
        if action.shape != self.action_low.shape:
            raise ValueError(f"an action must be {self.action_low.shape}, not {action.shape}")
        if not np.isfinite(action).all():
            index = int(np.flatnonzero(~np.isfinite(action))[0])
            raise ValueError(f"action is {action[index]} at index {index}")
        self._process.request("step", {"action": action.astype(np.float64)}, self._timeout_s)

    def finish(self) -> Seen:
        """What the request that was begun showed."""
        found = self._process.answer("seen", self._timeout_s)
        seen = {k.removeprefix(_OBSERVATION): v for k, v in found.items() if _OBSERVATION in k}
        if "reward" not in found:
            return Seen(seen, found["state"])
        return Seen(seen, found["state"], float(found["reward"]), bool(found["succeeded"]))

    def model_xml(self) -> str:
        """The scene of this episode as MJCF."""
        self._process.request("model", {}, self._timeout_s)
        return str(self._process.answer("model", self._timeout_s)["xml"])

    def close(self) -> None:
        """End the other process; harmless when it is gone."""
        self._process.close()

    def _make(self, settings: RobosuiteSettings, timeout_s: float) -> dict:
        try:
            text = np.array(json.dumps(asdict(settings)))
            self._process.request("make", {"settings": text}, timeout_s)
            return json.loads(str(self._process.answer("made", timeout_s)["description"]))
        except RobosuiteError as error:
            self.close()
            versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
            raise RobosuiteError(f"{error}\n({settings.name} in {versions})") from error


def describe(client: RobosuiteClient, seed: int = 0) -> str:
    """What an environment is and tells, in lines."""
    name, size = client.env_args["env_name"], len(client.action_low)
    seen = client.reset(seed).observation
    return "\n".join(
        [
            ", ".join(f"{package} {version}" for package, version in client.versions.items()),
            f"{name}, actions of {size} numbers at {client.control_rate_hz:g} Hz",
            *(f"  {key:28s} {value.shape} {value.dtype}" for key, value in seen.items()),
        ]
    )


def find_python() -> Path:
    """The other environment's interpreter: as `ROBOSUITE_PYTHON` says, or in the usual place."""
    named = os.environ.get(PYTHON_VARIABLE)
    return Path(named) if named else _usual_place() / "bin" / "python"


def _usual_place() -> Path:
    """The other environment: in a clone's `.cache`, or in the user's."""
    return CLONE / ".cache" / "robosuite" if CLONE else cache_root() / "robosuite"


def _how_to_install() -> str:
    place = _usual_place()
    return (
        f"make its environment once:\n  uv venv --python 3.12 {place}\n"
        f"  uv pip install --python {place}/bin/python -r {_REQUIREMENTS}\n"
        f"or name its interpreter by --python or {PYTHON_VARIABLE}"
    )


def _environment(*, drawing: bool) -> dict[str, str]:
    """Variables for the other process; robosuite itself would take EGL even where it fails."""
    if not drawing:
        return dict(os.environ)
    backend = choose_gl_backend()
    known = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend} if backend in BACKENDS else {}
    return os.environ | known
