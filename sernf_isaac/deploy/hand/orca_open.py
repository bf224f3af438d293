"""Opens the bus of an ORCA hand, and the links of its sensors; motors stay as they are."""

from typing import Any

from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.hand.orca_config import check_calibration, check_config
from sernf_isaac.deploy.hand.orca_encoders import measure_only
from sernf_isaac.deploy.hand.sensors import HandSensors
from sernf_isaac.deploy.protocols import HandDescription
from sernf_isaac.install import install_command


def open_orca(
    hand: HandDescription, *, mock: bool, config_path: str | None, sensors: HandSensors
) -> tuple[Any, JointMap]:
    """A connected hand of orca_core, and how its joints are ours; the caller disconnects it.

    Args:
        hand: Its joints in this project, its version and side.
        mock: Use orca_core's mock.
        config_path: `config.yaml` of this very hand; the packaged one by default.
        sensors: Which of its sensors to open.

    Raises:
        RuntimeError: If orca_core is missing, no hand answers or a motor of it is missing, a sensor
            cannot be opened, or `check_config` or `check_calibration` find something.
    """
    try:
        from orca_core import load_hand
    except ImportError as error:
        raise RuntimeError(f"orca_core is not installed: {install_command('hand')}") from error
    opened: dict[str, Any] = {"mock": mock}
    opened |= {"engage_feedback": bool(sensors.encoders), "engage_sensors": sensors.touch}
    if config_path:
        orca = load_hand(config_path=config_path, **opened)
    else:
        model = f"orcahand-{hand.side}"
        orca = load_hand(model_version=hand.model, model_name=model, **opened)
    joints = check_config(hand, orca.config)
    if sensors.encoders:
        measure_only(orca)
    try:
        connected, message = orca.connect(interactive=False)
        if not connected:
            raise RuntimeError(f"no ORCA hand: {message}")
        if absent := orca.absent_joints:  # orca_core would leave them out without a word
            raise RuntimeError(f"no motor answers for {', '.join(absent)}; check its cable")
        if not mock:
            check_calibration(orca.config, orca.calibration)
    except BaseException:
        orca.disconnect()
        raise
    return orca, joints


def motor_errors(orca: Any) -> list[str]:  # noqa: ANN401  # orca_core is not typed
    """The motors that report a fault or do not answer, with the bits; takes a read of the bus.

    Raises:
        RuntimeError: If the bus is closed.
    """
    if orca.motor_client is None:
        raise RuntimeError("the motor bus is closed")
    names, errors = motor_names(orca.config), orca.motor_client.read_hardware_errors
    return [
        f"{names.get(motor, f'motor {motor}')}: "
        + ("does not answer" if bits is None else f"error bits {bits:#04x}")
        for motor, bits in errors(orca.config.motor_ids).items()
        if bits != 0
    ]


def motor_names(config: Any) -> dict[int, str]:  # noqa: ANN401  # orca_core is not typed
    """What to call each motor, by its id, in the order of orca_core's readings."""
    joint_of = config.motor_to_joint_dict
    return {motor: f"motor {motor} ({joint_of.get(motor)})" for motor in config.motor_ids}
