"""What a lab has to know to run a task on its robot, as data: cameras, rewards, ends, tests."""

from dataclasses import dataclass, field

import yaml

from sernf_isaac.data.bags.layout import BagLayout, Signal
from sernf_isaac.data.bags.made_up import Recording
from tasks.manipulation.actions import CARRIED, HAND_GROUP, POSE_GROUP

IMAGE_SIZE = 224
"""Edge of camera images (paper E.1)."""
TOOL_DOWN_XYZW = (1.0, 0.0, 0.0, 0.0)
"""Half a turn from the base's axes: of q and -q, the one nearer to this is stored."""


@dataclass(frozen=True)
class Topics:
    """Where a lab's bags hold what. The defaults are examples; the paper does not name its own."""

    arm_pose: str = "/arm/pose"
    arm_command: str = "/arm/command"
    hand_joints: str = "/hand/joint_states"
    hand_command: str = "/hand/command"
    reward: str | None = None
    """None: rewards are labelled afterwards, as in the paper."""
    cameras: dict[str, str] = field(default_factory=dict)
    """Topic of each camera."""


@dataclass(frozen=True)
class TestGrid:
    """Places of two things, all combinations of which are tested (paper E.4)."""

    first: str
    first_count: int
    second: str
    second_count: int

    @property
    def size(self) -> int:
        """Number of configurations."""
        return self.first_count * self.second_count

    def names(self) -> list[str]:
        """One name per configuration, to mark places on the table and trials in the store."""
        return [
            f"{self.first} {i + 1}, {self.second} {j + 1}"
            for i in range(self.first_count)
            for j in range(self.second_count)
        ]


@dataclass(frozen=True)
class ManipulationTask:
    """One task of an arm with the ORCA hand."""

    name: str
    instruction: str
    """In words, for data sets and people."""
    cameras: tuple[str, ...]
    rewards: tuple[str, ...]
    """What earns 1, in order; the last one is success."""
    ends: tuple[str, ...]
    """What ends an episode, besides the time limit."""
    time_limit_s: float
    tests: TestGrid

    @property
    def groups(self) -> tuple[str, ...]:
        """Observation groups: the arm's pose, the hand's joints, the cameras (paper E.3)."""
        return (POSE_GROUP, HAND_GROUP, *self.cameras)

    def bag_layout(self, topics: Topics, rate_hz: float = 10.0) -> BagLayout:
        """How `import_data.py bags` makes this task's episodes of a lab's bags.

        Raises:
            ValueError: If a camera has no topic.
        """
        if missing := [name for name in self.cameras if name not in topics.cameras]:
            raise ValueError(f"{self.name}: no topic for the cameras {missing}")
        joints = list(CARRIED.driver.driver_names)

        def pose(topic: str) -> Signal:
            return Signal(topic, reference_xyzw=TOOL_DOWN_XYZW)

        eyes = {
            name: [Signal(topics.cameras[name], height=IMAGE_SIZE, width=IMAGE_SIZE)]
            for name in self.cameras
        }
        return BagLayout(
            observation={
                POSE_GROUP: [pose(topics.arm_pose)],
                HAND_GROUP: [Signal(topics.hand_joints, joints=joints)],
                **eyes,
            },
            action=[pose(topics.arm_command), Signal(topics.hand_command, joints=joints)],
            reward=Signal(topics.reward) if topics.reward else None,
            rate_hz=rate_hz,
        )


def example_topics(task: ManipulationTask) -> Topics:
    """The default topics, with one per camera."""
    return Topics(cameras={name: f"/{name}/image_raw/compressed" for name in task.cameras})


def made_up_recording(topics: Topics) -> Recording:
    """What `write_made_up_bag` needs to write such topics; commands are 0.1 s ahead."""
    return Recording(
        poses={topics.arm_pose: 0.0, topics.arm_command: 0.1},
        joints={topics.hand_joints: 0.0, topics.hand_command: 0.1},
        joint_names=list(CARRIED.driver.driver_names),
        cameras=list(topics.cameras.values()),
    )


def layout_yaml(layout: BagLayout) -> str:
    """A layout as the YAML that `read_layout` reads; settings that are the default are left out."""

    def plain(signal: Signal) -> dict:
        found, default = (
            {k: list(v) if isinstance(v, tuple | list) else v for k, v in vars(one).items()}
            for one in (signal, Signal(signal.topic))
        )
        return {k: v for k, v in found.items() if k == "topic" or v != default[k]}

    content: dict = {
        "rate_hz": layout.rate_hz,
        "observation": {n: [plain(s) for s in group] for n, group in layout.observation.items()},
        "action": [plain(signal) for signal in layout.action],
    }
    if layout.reward:
        content["reward"] = plain(layout.reward)
    return yaml.safe_dump(content, sort_keys=False)
