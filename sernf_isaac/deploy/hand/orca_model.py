"""Which ORCA hand a configuration of orca_core is of: version, side and sensors.

Read from the file alone: orca_core's classes remember the joint names of the first hand they meet,
so building one to look at it would spoil the next.
"""

from dataclasses import dataclass
from pathlib import Path

from sernf_isaac.deploy.hand.sensors import HandSensors
from sernf_isaac.yaml_file import read_yaml

SIDES = ("left", "right")
TELLING_JOINT = {"v1": "thumb_pip", "v2": "thumb_cmc"}
"""A joint that only this version has."""

EVERY_JOINT = "all"
"""What stands in `joint_encoder_joints` for every joint; so it does on all packaged models."""


@dataclass(frozen=True)
class OrcaModel:
    """A version and a side."""

    version: str
    """ "v1" or "v2"."""
    side: str
    """ "left" or "right"."""

    def __str__(self) -> str:
        return f"ORCA {self.version}, {self.side}"


def detect_hand(config_path: Path | str) -> OrcaModel:
    """The hand that a `config.yaml` describes; version by its joints, side by its `type`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no configuration of a hand, or of one that is not known; names what is
            there.
    """
    path = Path(config_path)
    content = _content(path)
    joints = content["joint_roms"]
    found = [version for version, joint in TELLING_JOINT.items() if joint in joints]
    if len(found) != 1:
        raise ValueError(
            f"{path} is of no known ORCA hand: of {', '.join(TELLING_JOINT.values())} exactly one "
            f"must be a joint; it has {', '.join(map(str, joints))}"
        )
    if (side := content.get("type")) not in SIDES:
        raise ValueError(f"{path} says type: {side}; write type: left or type: right")
    return OrcaModel(found[0], str(side))


def detect_sensors(config_path: Path | str) -> HandSensors:
    """The sensors that a `config.yaml` declares, as orca_core reads it.

    Encoders count if `joint_encoder_joints` names any and `use_joint_feedback` does not forbid
    them; fingertips if there is a block `sensors`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no configuration of a hand.
    """
    content = _content(Path(config_path))
    wanted = content.get("use_joint_feedback") in (True, None)
    named = [str(joint) for joint in content.get("joint_encoder_joints") or ()]
    every = any(joint.lower() == EVERY_JOINT for joint in named)
    joints = tuple(joint for joint in content["joint_roms"] if every or joint in named)
    return HandSensors(joints if wanted else (), touch="sensors" in content)


def _content(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"no hand's configuration at {path}")
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("joint_roms"), dict):
        raise ValueError(f"{path} is no config.yaml of orca_core: it has no joint_roms")
    return content
