"""A server with robosuite's manners and none of its physics: a hand without mass, a sticky cube.

NumPy only, as in the other environment. Misbehaves as `settings["kwargs"]["fault"]` says.
"""

import os
import socket
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tasks" / "robomimic" / "server"))

from serve import serve
from wire import PROTOCOL

TABLE_M, LIFTED_M, REACH_M = 0.83, 0.04, 0.01
RATE_HZ = 20.0


class FakeLift:
    def __init__(self, settings: dict) -> None:
        self._settings, self._fault = settings, settings["kwargs"].get("fault")
        if self._fault == "refuse":
            raise ValueError("no environment called so")
        if self._fault == "crash":
            print("about to crash")
            raise ArithmeticError("mesh is broken")
        size = settings["kwargs"].get("actions", 7)
        self.description = {
            "action_low": [-1.0] * size,
            "action_high": [1.0] * size,
            "control_rate_hz": settings["kwargs"].get("rate_hz", RATE_HZ),
            "env_args": {
                "env_name": settings["name"],
                "env_version": "0",
                "type": 1,
                "env_kwargs": settings["kwargs"] | {"control_freq": RATE_HZ},
            },
        }

    def reset(self, seed: int) -> dict:
        draw = np.random.default_rng(seed)
        self._hand = np.array([-0.1, 0.0, 1.0]) + draw.uniform(-0.02, 0.02, 3)
        self._cube = np.array([*draw.uniform(-0.03, 0.03, 2), TABLE_M])
        self._closed_steps, self._held = 0, False
        return self._seen()

    def step(self, action: np.ndarray) -> dict:
        if self._fault == "die":
            os.abort()
        if self._fault == "leave":
            print("the table is on fire")
            sys.exit(7)
        if self._fault == "hang":
            time.sleep(60)
        assert np.abs(action).max() <= 1, "who sends actions beyond their bounds?"
        self._hand = self._hand + 0.05 * action[:3]
        self._closed_steps = self._closed_steps + 1 if action[6] > 0 else 0
        near = bool(np.linalg.norm(self._hand - self._cube) < REACH_M)
        self._held = self._closed_steps > 3 and (self._held or near)
        self._cube = self._hand.copy() if self._held else self._cube
        success = self._cube[2] > TABLE_M + LIFTED_M
        return self._seen() | {"reward": np.float64(success), "succeeded": success}

    def model(self) -> str:
        return "<mujoco model='fäke'/>"

    def _seen(self) -> dict:
        along = np.array([0.0, 0, 0, 1])
        told = {
            "object": np.concatenate([self._cube, along, self._cube - self._hand]),
            "robot0_eef_pos": self._hand,
            "robot0_eef_quat": along,
        }
        for camera in self._settings["cameras"]:
            edge = self._settings["image_size"]
            told[f"{camera}_image"] = np.zeros((edge, edge, 3), np.uint8)
            told[f"{camera}_image"][: edge // 2, :, 0] = 200
        keys = self._settings["keys"] or told
        seen = {f"observation/{key}": told[key] for key in keys}
        return seen | {"state": np.concatenate([self._hand, self._cube])}


def main(protocol: int = PROTOCOL) -> None:
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection, FakeLift, {"fake": "1.0"}, protocol)


if __name__ == "__main__":
    main()
