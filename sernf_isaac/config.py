"""The numbers of the learner, with their source in the paper.

The defaults are the paper's in-hand rotation experiment, noise for simulated data and dropout for
real ones. Where a safeguard is ours, its docstring names the value that restores the paper.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from operator import attrgetter

CRITICS = ("chunk", "per_step")


@dataclass
class PolicyConfig:
    """The normalizing-flow policy (paper IV-B, Appendix F)."""

    token_dim: int = 512
    """Width D of observation tokens."""
    width: int = 256
    """Width inside the coupling networks."""
    num_couplings: int = 16
    """Coupling layers of the flow (IV-E: 16)."""
    num_heads: int = 8
    """Attention heads of the couplings' networks (G: 8)."""
    noise_std: float = 0.05
    """Standard deviation of the noise added to actions in training: 0.05 sim, 0.01 real (G)."""
    bound_margin: float | None = None
    """Room kept free between data at ±1 and the ends of the squashed range. Null: four noise
    standard deviations; 0 restores the paper."""
    clamp: float = 1e-3
    """Squashed actions are kept this far from ±1 before atanh; the paper is silent."""
    zero_init: bool = True
    """Start as the squash alone; false: with the layers' own initialisation, as the paper, which is
    silent."""
    base: str = "standard"
    """"standard": the latent is standard normal (paper). "affine": a Gaussian whose mean and widths
    depend on the observation lies next to it; so the flow can do what a Gaussian policy can."""
    scale_limit: float = 1.0
    """Largest log-scale of one coupling, softly. Paper: 1; with more, few couplings narrow much."""
    mixing: bool = False
    """Mix the channels of actions by a learned matrix before every coupling. Paper: no."""
    imitation_dropout: float = 0.2
    """0.5 for imitation in simulation, 0.2 on real data (G)."""
    rl_dropout: float = 0.1
    """Dropout in the stages with a critic (G)."""


@dataclass
class CriticConfig:
    """The ensemble of chunk critics (paper IV-C, Appendix G)."""

    ensemble: int = 2
    """Number of critics E; the smallest of their values counts (G: 2)."""
    support: tuple[float, float] | None = (-1.0, 21.0)
    """Range of returns the critic can tell; fixed for the life of a critic. Null, where there are
    data before there are critics: the range of the returns in the data."""
    num_bins: int = 101
    """Bins Z of the categorical value (G: 101)."""
    padding: float = 0.05
    """Part of the support added on each side; with `padding_bins`, 0 restores the paper."""
    padding_bins: int = 3
    """At least this many bins on each side."""
    head: str = "hl_gauss"
    """"hl_gauss" or "mse", for the ablation."""
    token_dim: int = 512
    """Width D of the transformer (G: 512)."""
    num_heads: int = 8
    """Attention heads (G: 8)."""
    num_layers: int = 3
    """Transformer layers (G: 3)."""
    feedforward: int = 256
    """Width of the feedforward layers (G: 256)."""
    dropout: float = 0.1
    """Inside the transformer (G: 0.1)."""
    kind: str = "chunk"
    """"chunk" or, as an ablation, "per_step": judges a chunk by its first action, learns from
    single steps."""

    def __post_init__(self) -> None:
        if self.kind not in CRITICS:
            raise ValueError(f"critic.kind ({self.kind!r}) must be one of {CRITICS}")
        if self.support is not None:  # a list, where it comes from a file or a command line
            if len(self.support) != 2:
                raise ValueError(f"critic.support ({self.support}) must be two numbers")
            self.support = (self.support[0], self.support[1])


@dataclass
class OptimizerConfig:
    """AdamW and what goes around it (paper Appendix G)."""

    imitation_learning_rate: float = 1e-4
    """Of the policy in stage I (G: 1e-4)."""
    rl_learning_rate: float = 2e-4
    """Of policy and critic, in every stage with a critic."""
    weight_decay: float = 1e-4
    """Of AdamW (G: 1e-4)."""
    max_grad_norm: float | None = 1.0
    """Bound on the gradient's norm; null restores the paper, which does not mention one."""
    averaging: float | None = None
    """Decay per update of a moving average of the policy's weights: the average acts, is tested and
    is kept, beside what learns. Null: no average; the paper does not mention one."""
    bf16: bool = False
    """Compute matrix products in bfloat16, for a GPU. Weights, optimiser, the flow's scales and
    log-determinants and the bins of the critics stay in single precision; the log-likelihood of a
    chunk is off by some 0.1 nats of 100. Decisions are not concerned."""


@dataclass
class ImprovementConfig:
    """Selection, bootstrapping and the policy's loss (paper Algorithms 2 and 3)."""

    candidates: int = 24
    """Chunks K drawn per decision while learning; the critic picks one (Alg. 2)."""
    sigma: float | None = 0.7
    """Standard deviation of the latent when sampling (IV-B); for decisions, losses and targets.
    Null, where learning begins with a policy: the one it was made with."""
    target_candidates: int = 1
    """Chunks per bootstrap target: 1 is Alg. 3's single sample, more is best-of-K."""
    polyak: float = 0.05
    """Step of the target critics per update (G)."""
    imitation_weight: float = 0.1
    """λ: weight of the likelihood of data actions beside the critic's value (IV-E)."""
    likelihood: str = "sum"
    """"sum" over the chunk's H·A numbers (the density), or "mean" of them."""
    likelihood_rows: str = "offline"
    """What is imitated beside seeking value: "offline" rows (paper, IV-D), or the rows of
    "successes", offline and online."""
    budget: float | None = None
    """Instead of a fixed λ: how far the policy may go, as KL(first || now) in nats per number of a
    chunk. λ follows, from `imitation_weight` on. Null: λ stays (paper). Needs held-out data."""
    scaled_value: bool = False
    """Divide the value to seek by its mean size in the batch, so that λ does not depend on the
    rewards' unit. Paper: no."""
    target_critics: int | None = None
    """The least of so many critics, drawn anew for each update, counts in targets. Null: of all
    (paper)."""


@dataclass
class LearnerConfig:
    """All of the learner."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    improvement: ImprovementConfig = field(default_factory=ImprovementConfig)

    def __post_init__(self) -> None:
        improvement, critic = self.improvement, self.critic
        _require(improvement.candidates >= 1, "improvement.candidates", improvement.candidates)
        _require(
            improvement.target_candidates >= 1,
            "improvement.target_candidates",
            improvement.target_candidates,
        )
        _require(0.0 < improvement.polyak <= 1.0, "improvement.polyak", improvement.polyak)
        weight = improvement.imitation_weight
        _require(weight >= 0.0, "improvement.imitation_weight", weight)
        for name in ("imitation_dropout", "rl_dropout"):
            rate = getattr(self.policy, name)
            _require(0.0 <= rate < 1.0, f"policy.{name}", rate)
        averaging = self.optimizer.averaging
        _require(averaging is None or 0.0 < averaging < 1.0, "optimizer.averaging", averaging)
        _require(self.policy.noise_std >= 0.0, "policy.noise_std", self.policy.noise_std)
        sigma, support = improvement.sigma, critic.support
        _require(sigma is None or sigma > 0.0, "improvement.sigma", sigma)
        _require(
            improvement.likelihood in ("sum", "mean"),
            "improvement.likelihood",
            improvement.likelihood,
        )
        rows = improvement.likelihood_rows
        _require(rows in ("offline", "successes"), "improvement.likelihood_rows", rows)
        budget, drawn = improvement.budget, improvement.target_critics
        _require(budget is None or budget > 0.0, "improvement.budget", budget)
        enough = drawn is None or 1 <= drawn <= critic.ensemble
        _require(enough, "improvement.target_critics", drawn)
        _require(support is None or support[0] < support[1], "critic.support", support)
        _require(critic.head in ("hl_gauss", "mse"), "critic.head", critic.head)


def given[Value](value: Value | None, name: str) -> Value:
    """A setting that may be null elsewhere.

    Raises:
        ValueError: If it is null here, with its name.
    """
    if value is None:
        raise ValueError(f"{name} must be given here: there is nothing to take it from")
    return value


def refuse_unused(
    config: object,
    names: Iterable[str],
    why: str,
    *,
    group: str = "learner",
    default: object | None = None,
) -> None:
    """An error if a setting that a run does not use was changed.

    Args:
        config: Settings of a run, as a dataclass.
        names: Dotted names in there, of single settings or of groups.
        why: Nobody uses them.
        group: Under which the run has `config`; empty: it is the run.
        default: What they are without a change; None: a fresh `config`.

    Raises:
        ValueError: If one of them differs from its default.
    """
    default = type(config)() if default is None else default
    for name in names:
        read, key = attrgetter(name), f"{group}.{name}".lstrip(".")
        for changed, value in _changes(read(config), read(default), key):
            raise ValueError(f"{changed} = {value} would have no effect: {why}")


def _changes(value: object, default: object, key: str) -> Iterator[tuple[str, object]]:
    """Names and values of the single settings that differ."""
    if is_dataclass(value):
        for part in fields(value):
            name = part.name
            yield from _changes(getattr(value, name), getattr(default, name), f"{key}.{name}")
    elif value != default:
        yield key, value


def _require(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} = {value!r} is not a valid setting")
