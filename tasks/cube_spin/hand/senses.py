"""The sensors of a session's hand, and what its run and its person are told of them."""

from sernf_isaac.data.group_names import LOG
from sernf_isaac.deploy.hand.orca_model import detect_sensors
from sernf_isaac.deploy.hand.sensors import FINGERS, MEASURED, HandSensors
from sernf_isaac.deploy.loop.messages import HandState
from tasks.cube_spin.hand.settings import HandRun
from tasks.orca.hands import load_hand


def sensors_of(run: HandRun) -> HandSensors:
    """The sensors that a session uses: those that the configuration declares, or the twin's.

    Args:
        run: Settings, with the name of the hand in `model`.

    Raises:
        FileNotFoundError: If `hand_config` does not exist.
        ValueError: If it is no configuration of a hand.
    """
    if run.hand == "twin":
        return HandSensors(load_hand(run.model).driver.driver_names if run.twin.encoders else ())
    if not run.hand_config:  # the packaged one without sensors, or another driver's
        return HandSensors()
    return detect_sensors(run.hand_config).used(run.sensors)


def sensor_info(run: HandRun) -> dict[str, object]:
    """What `run.json` says of the sensors; nothing for a hand without."""
    sensors, hand = sensors_of(run), load_hand(run.model)
    columns = sensors.columns(hand.joint_names)
    if not columns:
        return {}
    names = dict(zip(hand.driver.driver_names, hand.joint_names, strict=True))
    return {
        "sensors": {
            "encoders": [names[joint] for joint in sensors.encoders],
            "touch": list(FINGERS) if sensors.touch else [],
        },
        "columns": {f"{LOG}{name}": found for name, found in columns.items()},
    }


def say_measured(run: HandRun, state: HandState) -> str:
    """Which joints are measured and which are inferred; empty for a hand without encoders."""
    names = load_hand(run.model).joint_names
    if MEASURED not in state.sensors:
        return ""
    by_motor = [
        name for name, measured in zip(names, state.sensors[MEASURED], strict=True) if not measured
    ]
    rest = f", by the motors on {', '.join(by_motor)}" if by_motor else ""
    return (
        f"joint angles are measured by encoders on {len(names) - len(by_motor)} of "
        f"{len(names)} joints{rest}"
    )
