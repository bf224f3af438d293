"""Settings of the policy in LeRobot: `--policy.type=sernf --policy.prefix=3 ...`."""

from dataclasses import dataclass, field, replace

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.group_names import rename
from sernf_isaac.data.lerobot.format import group_name
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.models.layout import PolicyLayout

HOLDS = ("state", "zero")
KINDS_OF_FEATURES = ("VISUAL", "STATE", "ENV", "ACTION")


@PreTrainedConfig.register_subclass("sernf")
@dataclass
class SernfConfig(PreTrainedConfig):
    """The flow, what a decision is cut out of, and how it is learned; as in `train_offline.py`.

    `n_obs_steps` is O. What is observed comes from the data set.

    Raises:
        ValueError: If the numbers do not fit together; names the setting.
    """

    history_keys: list[str] = field(default_factory=lambda: ["observation.state"])
    """Features that are seen as history, where `n_obs_steps` is more than 1; others as of now."""
    prefix: int = 0
    """P: actions that are queued while a decision is computed. Real-time inference needs some:
    as many control steps as a decision takes, plus one."""
    horizon: int = 10
    """H: actions predicted per decision; even."""
    hold: str = "state"
    """What is queued when an episode begins. "state": actions are targets for the first numbers of
    `observation.state`, which are repeated. "zero": 0 keeps still, as for velocities."""
    flow: PolicyConfig = field(default_factory=PolicyConfig)
    """Sizes, noise and dropout of the flow."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    """What reads camera images."""
    seed: int = 0
    """Of weights, noise and candidates."""
    min_range: float = 1e-3
    """Numbers that move less than this, in their own units, are not blown up to [-1, 1]."""
    candidates: int = 24
    """Chunks drawn per decision, of which the likeliest is executed; 1 executes what was drawn."""
    sigma: float = 0.7
    """Standard deviation of the latent when chunks are drawn."""
    likelihood: str = "sum"
    """The loss: "sum" over the chunk's H·A numbers (the density), or "mean" of them."""
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    """Bound on the gradient's norm; 0: none."""
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(KINDS_OF_FEATURES, NormalizationMode.IDENTITY)
    )
    """Of LeRobot's processors; leave it. The policy scales by itself, and keeps its ranges."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (("hold", HOLDS), ("likelihood", ("sum", "mean"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} ({getattr(self, name)!r}) must be one of {choices}")
        if self.candidates < 1:
            raise ValueError(f"candidates ({self.candidates}) must be at least 1")
        scaled = [k for k, m in self.normalization_mapping.items() if NormalizationMode(m) != _NONE]
        if scaled:
            raise ValueError(
                f"normalization_mapping scales {scaled}, but the policy does that by itself; leave "
                "all of it at IDENTITY"
            )
        _ = self.spec  # raises where P, H and O do not fit

    @property
    def names(self) -> dict[str, str]:
        """Our names of the observed features, by LeRobot's; sorted as `train_offline.py` does."""
        plain = {name: group_name(name) or name for name in self.input_features or {}}
        ours = rename(plain.values())
        return dict(sorted(((n, ours[p]) for n, p in plain.items()), key=lambda pair: pair[1]))

    @property
    def spec(self) -> ChunkSpec:
        """How a decision is cut out of time."""
        past = self.history_keys if self.n_obs_steps > 1 else []
        keys = tuple(rename([group_name(key) or key for key in past]).values())
        return ChunkSpec(self.n_obs_steps, self.prefix, self.horizon, history_keys=keys)

    @property
    def layout(self) -> PolicyLayout:
        """What the networks are built from."""
        shapes = {ours: list(self._input(name).shape) for name, ours in self.names.items()}
        cameras = {name: shape for name, shape in shapes.items() if len(shape) == 3}
        return PolicyLayout(
            features={name: shape[0] for name, shape in shapes.items() if len(shape) == 1},
            action_dim=self._action_dim,
            spec=self.spec,
            policy=self.flow,
            critic=CriticConfig(),
            seed=self.seed,
            architecture=Architecture(vision=replace(self.vision, cameras=cameras)),
        )

    @property
    def drop_n_last_frames(self) -> int:
        """Frames at an episode's end from which no whole chunk is left to imitate."""
        return self.prefix + self.horizon - 1

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """Steps of each observation, from now."""
        return list(range(1 - self.n_obs_steps, 1)) if self.n_obs_steps > 1 else None

    @property
    def action_delta_indices(self) -> list[int]:
        """Steps of the actions, from now: those queued, then the chunk."""
        return list(range(self.prefix + self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """Rewards are for the stages with critics, which LeRobot's training has no place for."""
        return None

    def get_optimizer_preset(self) -> AdamWConfig:
        """AdamW as in stage I."""
        return AdamWConfig(
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            grad_clip_norm=self.max_grad_norm,
        )

    def get_scheduler_preset(self) -> None:
        """The learning rate stays."""
        return None

    def validate_features(self) -> None:
        """An error where the data lack something that the settings ask for.

        Raises:
            ValueError: Naming the feature.
        """
        if self.action_feature is None:
            raise ValueError("the policy needs a feature 'action'; the data have none")
        given = self.input_features or {}
        odd = {name: f.shape for name, f in given.items() if len(f.shape) not in (1, 3)}
        if not given or odd:
            raise ValueError(f"features must be numbers (F,) or images (3, h, w); odd are: {odd}")
        past = self.history_keys if self.n_obs_steps > 1 else []
        if missing := [key for key in past if key not in given or len(given[key].shape) != 1]:
            raise ValueError(f"history_keys {missing} are no numbers of the data: {sorted(given)}")
        state = given.get("observation.state")
        if (
            self.prefix
            and self.hold == "state"
            and (not state or state.shape[0] < self._action_dim)
        ):
            raise ValueError(
                "hold='state' repeats the first numbers of observation.state as actions, but "
                f"there are fewer than the {self._action_dim} of an action; take hold='zero' if 0 "
                "keeps still"
            )

    @property
    def _action_dim(self) -> int:
        assert self.action_feature is not None, "asked before `validate_features`"
        return self.action_feature.shape[0]

    def _input(self, name: str):  # noqa: ANN202  # LeRobot's PolicyFeature
        assert self.input_features is not None
        return self.input_features[name]


_NONE = NormalizationMode.IDENTITY
