"""Scripted faults of sensors and motors on orca_core's v2 mocks, through driver, guard and states.

    python tests/helpers/orca_mock_faults.py FOLDER

Prints a line of JSON per scene. In a process of its own: orca_core keeps the joint names of the
first version it meets.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orca_core
from orca_core.hardware.mock_dynamixel_client import MockDynamixelClient

from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.health import HealthLimits
from sernf_isaac.deploy.hand.orca import OrcaDriver
from sernf_isaac.deploy.hand.orca_model import detect_sensors
from sernf_isaac.deploy.hand.sensors import MEASURED, SensorOptions
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.hand_checks import check_hand_health, check_hand_sensors
from sernf_isaac.deploy.loop.states import Request, SafetyTiming
from tasks.orca.hands import driven_hand, load_hand

MODELS = Path(orca_core.__file__).parent / "models/v2"
FULL, JOINT = (MODELS / f"orcahand-{kind}-right/config.yaml" for kind in ("full", "joint"))
V2 = load_hand("orca_v2_right")
MIDDLE = np.array(V2.rest_rad) / 2 + (V2.lower_rad + V2.upper_rad) / 4
INDEX = V2.driver.driver_names.index("index_mcp")
TIMING = SafetyTiming(hold_s=0.2, relax_s=0.2)


class Scene:
    """A hand that follows actions at rest, until something happens to it."""

    def __init__(self, config: Path, options: SensorOptions | None = None) -> None:
        self.clock = VirtualClock()
        sensors = detect_sensors(config).used(options := options or SensorOptions())
        self.driver = OrcaDriver(
            V2.driver,
            mock=True,
            config_path=str(config),
            clock=self.clock.now,
            sensors=sensors,
            options=options,
            health=HealthLimits(temperatures_every_s=0.1),
        )
        self.driver.connect()
        self.client = self.driver._orca.motor_client
        self.client.read_temperature = lambda: np.full(17, 40.0)
        server = HandServer(
            self.driver,
            V2.driver,
            limits=GuardLimits(ramp_speed_rad_s=3.0),
            timing=TIMING,
            open_pose=np.array(V2.rest_rad),
            sensors=sensors.sizes(17),
        )
        self.hand = InProcessHand(server, self.clock)
        self.states: list[str] = []
        self.goes_on(0.2)
        self.hand.send(Request.RAMP, MIDDLE)
        self.goes_on(1.5)
        self.hand.send(Request.FOLLOW, MIDDLE)
        self.goes_on(0.1)

    def goes_on(self, seconds: float) -> None:
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s - 1e-9:
            self.hand.alive()
            self.clock.sleep_until(self.clock.now() + 0.025)
            if (state := self.hand.state().state.name) not in self.states[-1:]:
                self.states.append(state)

    def happens(self, seconds: float = 1.5) -> dict:
        """What came of it."""
        self.goes_on(seconds)
        state = self.hand.state()
        measured = state.sensors.get(MEASURED)
        found = {
            "states": self.states,
            "reason": state.reason.name,
            "error": state.error,
            "torque": any(self.client._torque_enabled.values()),
            "measured": None if measured is None else measured.tolist(),
            "off_by": float(np.abs(state.joint_pos - state.sent).max()),
            "index": float(state.joint_pos[INDEX] - state.sent[INDEX]),
        }
        self.hand.close()
        return found


def nothing() -> dict:
    return Scene(FULL).happens()


def silent_link() -> dict:
    scene = Scene(FULL)
    scene.driver.senses.mock.silent = True
    return scene.happens()


def dead_port() -> dict:
    scene = Scene(JOINT)
    scene.driver._orca._encoder_link.simulate_port_death()
    scene.driver.senses.mock.silent = True
    return scene.happens()


def flagged_joint() -> dict:
    scene = Scene(JOINT)
    scene.driver.senses.mock.flagged = {"index_mcp"}
    return scene.happens()


def small_slip() -> dict:
    scene = Scene(JOINT)
    scene.driver.senses.mock.slipped_degrees = {"index_mcp": 15.0}
    return scene.happens(3.0)


def slip() -> dict:
    scene = Scene(JOINT)
    scene.driver.senses.mock.slipped_degrees = {"index_mcp": 30.0}
    return scene.happens()


def warm_motor() -> dict:
    scene = Scene(FULL)
    scene.client.read_temperature = lambda: np.full(17, 65.0)
    return scene.happens()


def hot_motor() -> dict:
    scene = Scene(FULL)
    scene.client.read_temperature = lambda: np.where(np.arange(17) == 2, 70.0, 40.0)
    return scene.happens()


def strong_motor() -> dict:
    scene = Scene(FULL)
    scene.client._cur[3] = 900.0
    return scene.happens(12.0)


def overload() -> dict:
    scene = Scene(FULL)
    scene.client.latched_errors[3] = 0x20
    asked, ask = [], scene.client.read_hardware_error
    scene.client.take_hardware_alerts = lambda: {3: 0x80}  # with every answer
    scene.client.read_hardware_error = lambda motor: (asked.append(motor), ask(motor))[1]
    return scene.happens() | {"asked": len(asked)}


def cleared() -> dict:
    """A person looks after the encoder came back."""
    scene = Scene(JOINT)
    scene.driver.senses.mock.flagged = {"index_mcp"}
    scene.goes_on(1.5)
    scene.hand.clear()
    scene.goes_on(0.1)
    still = scene.hand.state().reason.name
    scene.driver.senses.mock.flagged = set()
    scene.goes_on(0.1)
    scene.hand.clear()
    scene.goes_on(0.1)
    scene.hand.send(Request.RAMP, MIDDLE)
    return scene.happens() | {"still": still}


def silent_fingertips() -> dict:
    scene = Scene(MODELS / "orcahand-touch-right/config.yaml")
    scene.driver.senses.mock.silent = True
    return scene.happens()


def without_encoders() -> dict:
    return Scene(JOINT, SensorOptions(encoders=False)).happens()


def some_encoders(folder: Path) -> dict:
    config = folder / "config.yaml"
    text = JOINT.read_text().replace(
        "joint_encoder_joints:\n- all", "joint_encoder_joints:\n- wrist"
    )
    config.write_text(text)
    return Scene(config).happens()


def said(check: Callable[[], str]) -> dict:
    try:
        return {"said": check(), "verdict": "ok"}
    except Exception as error:
        return {"said": str(error), "verdict": getattr(error, "verdict", type(error).__name__)}


def doctor(folder: Path) -> dict:
    health = lambda config: said(  # noqa: E731
        lambda: check_hand_health(config, driven_hand, mock=True, sleep=lambda _: None)
    )
    MockDynamixelClient.read_temperature = lambda _: np.full(17, 40.0)  # type: ignore[method-assign]
    found = {f"health of {kind}": health(path) for kind, path in (("full", FULL), ("joint", JOINT))}
    MockDynamixelClient.read_temperature = lambda _: np.full(17, 65.0)  # type: ignore[method-assign]
    found["health of hot"] = health(FULL)
    MockDynamixelClient.read_hardware_error = lambda _, motor: 0x20 * (motor == 3)  # type: ignore[method-assign]
    found["health of faulty"] = health(FULL)
    config = folder / "doctor" / "config.yaml"
    config.parent.mkdir()
    shutil.copy(FULL, config)
    calibration = config.with_name("calibration.yaml")
    calibration.write_text("calibrated: true\n")
    found["no anchor"] = said(lambda: check_hand_sensors(config))
    calibration.write_text("joint_encoder_calibration: {wrist: {enc_at_anchor_count: 5}}\n")
    found["one anchor"] = said(lambda: check_hand_sensors(config))
    joints = V2.driver.driver_names
    rows = ", ".join(f"{joint}: {{enc_at_anchor_count: 5}}" for joint in joints)
    calibration.write_text(f"joint_encoder_calibration: {{{rows}}}\n")
    found["anchors"] = said(lambda: check_hand_sensors(config))
    found["plain"] = said(lambda: check_hand_sensors(MODELS / "orcahand-right/config.yaml"))
    return found


if __name__ == "__main__":
    for scene in (
        nothing,
        silent_link,
        dead_port,
        flagged_joint,
        small_slip,
        slip,
        warm_motor,
        hot_motor,
        strong_motor,
        overload,
        cleared,
        silent_fingertips,
        without_encoders,
    ):
        print("played", json.dumps({"scene": scene.__name__} | scene()))
    for scene in (some_encoders, doctor):
        print("played", json.dumps({"scene": scene.__name__} | scene(Path(sys.argv[1]))))
