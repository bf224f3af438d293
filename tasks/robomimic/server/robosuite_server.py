"""One robosuite environment behind a socket, as robomimic shows it: `serve.py` does the talking.

Runs in an environment of its own (`requirements.txt` beside this file) and is started by
`tasks.robomimic.client` as `python -E -s robosuite_server.py FILE_DESCRIPTOR`.
"""

import copy
import os
import platform
import socket
import sys

import mujoco
import numpy as np
import robosuite  # type: ignore  # only in the other environment
from robosuite.controllers import (  # type: ignore  # the same
    load_composite_controller_config,
)
from robosuite.controllers.composite.composite_controller_factory import (  # type: ignore  # the same
    refactor_composite_controller_config,
)
from serve import serve
from wire import Arrays

ROBOSUITE_TYPE = 1
"""robomimic's number for environments of robosuite."""
DEFAULTS = {"robots": ["Panda"], "control_freq": 20, "reward_shaping": False}


class RobosuiteSimulation:
    """An environment, started from seeds and seen under robomimic's names.

    `object` is robosuite's `object-state`; images `<camera>_image` (h, w, 3) uint8 are upright.

    Args:
        settings: name, kwargs of `robosuite.make`, cameras, image_size, and keys: the observations
            to tell, none for all.
    """

    def __init__(self, settings: dict) -> None:
        self._keys = settings["keys"]
        self._cameras = settings["cameras"]
        kwargs = _kwargs(settings)
        self._env = robosuite.make(settings["name"], renderer="mujoco", **copy.deepcopy(kwargs))
        low, high = self._env.action_spec
        self.description = {
            "action_low": low.tolist(),
            "action_high": high.tolist(),
            "control_rate_hz": float(self._env.control_freq),
            "env_args": {
                "env_name": settings["name"],
                "env_version": robosuite.__version__,
                "type": ROBOSUITE_TYPE,
                "env_kwargs": kwargs,
            },
        }

    def reset(self, seed: int) -> Arrays:
        """Start an episode; the same seed gives the same one, whatever happened before."""
        fresh = np.random.default_rng(seed)
        self._env.rng.bit_generator.state = fresh.bit_generator.state  # others hold this generator
        np.random.seed(seed % 2**32)
        return self._seen(self._env.reset())

    def step(self, action: np.ndarray) -> Arrays:
        """Act; `succeeded` is about the state after the step."""
        if action.shape != self._env.action_spec[0].shape or not np.isfinite(action).all():
            raise ValueError(f"an action of shape {action.shape} or not finite: {action}")
        observation, reward, _, _ = self._env.step(action)
        success = self._env._check_success()
        success = success["task"] if isinstance(success, dict) else success
        result = {"reward": np.float64(reward), "succeeded": np.bool_(success)}
        return self._seen(observation) | result

    def model(self) -> str:
        """The scene as MJCF."""
        return self._env.sim.model.get_xml()

    def _seen(self, raw: dict) -> Arrays:
        images = [f"{camera}_image" for camera in self._cameras]
        found = {key: raw[key][::-1] for key in images}  # robosuite draws them upside down
        found["object"] = raw["object-state"]
        for robot in self._env.robots:
            start = robot.robot_model.naming_prefix
            names = [key for key in raw if key.startswith(start) and key not in found]
            found |= {
                key: raw[key] for key in names if not key.endswith(("proprio-state", "_image"))
            }
        if missing := [key for key in self._keys if key not in found]:
            raise ValueError(f"no observations {missing}; there are {sorted(found)}")
        told = {f"observation/{key}": np.asarray(found[key]) for key in self._keys or found}
        return told | {"state": np.asarray(self._env.sim.get_state().flatten())}


def _kwargs(settings: dict) -> dict:
    """Arguments of `robosuite.make`, complete, so that the same environment can be made again."""
    cameras, size = settings["cameras"], settings["image_size"]
    kwargs = DEFAULTS | settings["kwargs"]
    kwargs.pop("renderer", None)
    robots = kwargs["robots"] if isinstance(kwargs["robots"], list) else [kwargs["robots"]]
    given = kwargs.get("controller_configs") or load_composite_controller_config(robot=robots[0])
    if isinstance(given, dict):  # files of robosuite up to 1.4 describe the arm only
        given = refactor_composite_controller_config(given, robots[0], ["right"])
    drawing = {"camera_names": cameras, "camera_heights": size, "camera_widths": size}
    return kwargs | {
        "robots": robots,
        "controller_configs": given,
        "has_renderer": False,
        "has_offscreen_renderer": bool(cameras),
        "use_camera_obs": bool(cameras),
        "camera_depths": False,
        "use_object_obs": True,
        "ignore_done": True,
        **(drawing if cameras else {}),
    }


def main() -> None:
    versions = {
        "python": platform.python_version(),
        "robosuite": robosuite.__version__,
        "mujoco": mujoco.__version__,
        "numpy": np.__version__,
    }
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        os.set_inheritable(connection.fileno(), False)
        serve(connection, RobosuiteSimulation, versions)


if __name__ == "__main__":
    main()
