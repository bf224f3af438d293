"""What a policy and its critics are built from: one record, which travels in the policy's file."""

from dataclasses import dataclass, field

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.models.reflex import ReflexConfig


@dataclass(frozen=True)
class PolicyLayout:
    """The sizes of the networks, the layout of time, and the seed of the flow's partitions."""

    features: dict[str, int]
    """F of each observation group of numbers, in order."""
    action_dim: int
    """A."""
    spec: ChunkSpec
    policy: PolicyConfig
    critic: CriticConfig
    seed: int
    """Of the flow's partitions."""
    architecture: Architecture = field(default_factory=Architecture)
    """The kind of the policy, and its cameras."""
    reflex: ReflexConfig = field(default_factory=ReflexConfig)
    """What corrects single actions behind the chunks; none by default."""

    @classmethod
    def from_dict(cls, values: dict) -> "PolicyLayout":
        """The inverse of `dataclasses.asdict`, for files.

        Raises:
            KeyError, TypeError, ValueError: If a field is missing, unknown or impossible.
        """
        spec = values["spec"] | {"history_keys": tuple(values["spec"]["history_keys"])}
        spec.pop("pad_with_plan", None)  # files of version 0.1 have it; it was for training only
        critic = values["critic"] | {"support": tuple(values["critic"]["support"])}
        critic.pop("veto", None)  # files of an unfinished 0.2 have it; it was null
        return cls(
            features=values["features"],
            action_dim=values["action_dim"],
            spec=ChunkSpec(**spec),
            policy=PolicyConfig(**values["policy"]),
            critic=CriticConfig(**critic),
            seed=values["seed"],
            architecture=Architecture.from_dict(values.get("architecture", {})),
            reflex=ReflexConfig(**values.get("reflex", {})),
        )
