"""What to take from a ROS 2 bag, and where it goes: a YAML file of topics.

    rate_hz: 10
    observation:
      pose: [{topic: /arm/pose}]                       # PoseStamped: x y z, then xyzw
      hand: [{topic: /hand/joint_states, joints: [wrist, index_mcp]}]
      wrist_camera: [{topic: /wrist/image_raw/compressed, height: 224, width: 224}]
    action:
      - {topic: /arm/command}
      - {topic: /hand/command, joints: [wrist, index_mcp]}
    reward: {topic: /operator/reward}                  # optional: events, summed within a step

Signals of a group are put side by side, in this order. A camera is a group of its own.
"""

from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sernf_isaac.data.bags.resample import IDENTITY_XYZW
from sernf_isaac.data.group_names import is_learnable, learnable
from sernf_isaac.data.images.fit import Fit
from sernf_isaac.yaml_file import read_yaml

CLOCKS = ("header", "receive")
RULES = ("auto", "linear", "latest")
FIELDS = ("position", "velocity", "effort")
UNITS = ("", "rad", "deg", "m", "mm")


@dataclass
class Signal:
    """One topic, and how its messages become numbers or an image."""

    topic: str
    clock: str = "header"
    """"header": the stamp in the message, when it was measured. "receive": when the recorder got
    it, for drivers that do not stamp; types without a header always use it."""
    rule: str = "auto"
    """"linear": on straight lines between samples, rotations on the shortest arc. "latest": the
    newest not after the moment, as images always. "auto": latest for booleans and integers."""
    joints: list[str] = field(default_factory=list)
    """JointState: names, in the order wanted. Empty: all, in the order of the first message."""
    field: str = "position"
    """JointState: position, velocity or effort."""
    reference_xyzw: tuple[float, float, float, float] = IDENTITY_XYZW
    """Of q and -q take the one nearer to this. Choose a rotation in the middle of the workspace:
    for a gripper that points down, half a turn from the identity, the default would flip signs."""
    height: int = 224
    """Cameras: rows to resize to (paper App. B)."""
    width: int = 224
    """Cameras: columns to resize to."""
    crop: tuple[int, ...] = ()
    """Cameras: top, left, height, width to keep; empty: the middle. See `Fit`."""
    range: tuple[float, ...] = ()
    """Cameras of more than 8 bits, such as depth: the values that become black and white."""
    unit: str = ""
    """Of joints and numbers "rad" or "deg", of lengths and positions "m" or "mm"; degrees and
    millimetres are converted. Empty: as ROS has it, radians and metres, and refused where they
    cannot be."""

    def __post_init__(self) -> None:
        choices = (("clock", CLOCKS), ("rule", RULES), ("field", FIELDS), ("unit", UNITS))
        for name, allowed in choices:
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{self.topic}: {name} {value!r} is none of {', '.join(allowed)}")
        if not sum(part * part for part in self.reference_xyzw) > 0:
            raise ValueError(f"{self.topic}: reference_xyzw {self.reference_xyzw} is no rotation")
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"{self.topic}: joints name one twice: {list(self.joints)}")
        try:
            self.fit()
        except ValueError as error:
            raise ValueError(f"{self.topic}: {error}") from error

    def fit(self) -> Fit:
        """How to prepare this camera's images."""
        return Fit(self.height, self.width, tuple(self.crop), tuple(self.range))


@dataclass
class BagLayout:
    """Everything that decides how a bag becomes an episode."""

    observation: dict[str, list[Signal]]
    action: list[Signal]
    reward: Signal | None = None
    """Topic of numbers or booleans, each an event worth its value; None: label later."""
    rate_hz: float = 10.0
    """Of the episode (paper App. B)."""
    max_gap_s: float = 0.5
    """Silence that may be bridged, in a topic that is interpolated or a camera. Shorter ones are
    only reported, from two steps on."""
    max_clock_jump_s: float = 1.0
    """How far a topic's clock may leap against the recorder's."""
    max_clock_offset_s: float = 0.5
    """How far the clocks of two topics may be apart: stamps against times of receipt, where a
    camera's latency counts too. More than one step is always remarked."""

    def __post_init__(self) -> None:
        if not self.observation or not all(self.observation.values()):
            raise ValueError("layout: observation needs at least one group, each with a signal")
        if not self.action:
            raise ValueError("layout: action needs at least one signal")
        if odd := [name for name in self.observation if not is_learnable(name)]:
            better = ", ".join(learnable(name) for name in odd)
            raise ValueError(f"layout: groups cannot be called {', '.join(odd)}; {better} would do")
        for name in ("rate_hz", "max_gap_s", "max_clock_jump_s", "max_clock_offset_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"layout: {name} ({getattr(self, name)}) must be > 0")

    @property
    def signals(self) -> list[Signal]:
        """All of them; a topic may occur more than once."""
        observed = [signal for group in self.observation.values() for signal in group]
        return [*observed, *self.action, *([self.reward] if self.reward else [])]


def read_layout(path: Path | str) -> BagLayout:
    """Read a layout from YAML.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, has an unknown or impossible setting, or lacks one; names the
            file, and the nearest setting where one is misspelt.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no layout at {path}")
    content = read_yaml(path)
    try:
        return _layout(content)
    except (OmegaConfBaseException, ValueError) as error:
        key = getattr(error, "full_key", None)
        where = f"{key}: " if key else ""
        raise ValueError(f"{path}: {where}{str(error).splitlines()[0]}") from error


def _layout(content: object) -> BagLayout:
    if not isinstance(content, dict):
        raise ValueError("no settings; see the example in the documentation of the layout")
    _check_keys(content, BagLayout, "layout", needed=("observation", "action"))
    observation, action = content.pop("observation"), content.pop("action")
    reward = content.pop("reward", None)
    if not isinstance(observation, dict):
        raise ValueError("observation must be a mapping from group names to lists of topics")
    plain = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(_Numbers), content))
    assert isinstance(plain, dict)
    return BagLayout(
        observation={
            str(name): _signals(group, f"observation.{name}") for name, group in observation.items()
        },
        action=_signals(action, "action"),
        reward=None if reward is None else _signal(reward, "reward"),
        **{str(name): value for name, value in plain.items()},
    )


@dataclass
class _Numbers:
    """The settings of a layout that are plain numbers, for their types."""

    rate_hz: float = BagLayout.rate_hz
    max_gap_s: float = BagLayout.max_gap_s
    max_clock_jump_s: float = BagLayout.max_clock_jump_s
    max_clock_offset_s: float = BagLayout.max_clock_offset_s


def _signals(content: object, where: str) -> list[Signal]:
    if not isinstance(content, list):
        raise ValueError(f"{where} must be a list of topics, such as [{{topic: /arm/pose}}]")
    return [_signal(item, f"{where}[{i}]") for i, item in enumerate(content)]


def _signal(content: object, where: str) -> Signal:
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {content!r}, expected settings such as {{topic: /arm/pose}}")
    _check_keys(content, Signal, where, needed=("topic",))
    try:
        merged = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Signal), content))
    except (OmegaConfBaseException, ValueError) as error:
        raise ValueError(f"{where}: {str(error).splitlines()[0]}") from error
    assert isinstance(merged, Signal)
    return merged


def _check_keys(content: dict, settings: type, where: str, needed: tuple[str, ...]) -> None:
    known = [f.name for f in fields(settings)]
    for key in content:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
            raise ValueError(f"{where} has an unknown setting {key!r}{hint}")
    if missing := [key for key in needed if key not in content]:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
