"""What a machine runs: observations in physical units in, chunks in physical units out.

Normaliser, networks and chunk layout travel together in one file under a contract, so that a policy
cannot be run with the wrong scaling, order or timing.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from sernf_isaac.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.pose_frame import absolute_from, pose_in, relative_to
from sernf_isaac.devices import sent_to
from sernf_isaac.models.actor_critic import Actor, Critics, Observation, seen
from sernf_isaac.models.build import build_actor, build_critics, build_reflex
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import Reflex
from sernf_isaac.models.selection import best_by_likelihood, best_by_value
from sernf_isaac.spec import Contract

KIND = "chunk_policy"
RANKS = ("value", "likelihood")
CRITICS = "judge."
"""What names of the critics' weights begin with in files; the first version called them so."""
REFLEX = "reflex."
"""The same of the reflex's."""


class ChunkPolicy:
    """Decides on chunks; the best by value (paper Alg. 2) or the most likely (IV-D-a).

    Args:
        layout: What it was built with.
        actor: The flow policy and its encoder.
        critics: The critics; None for a policy that has none yet.
        normalizer: Of all observation groups and of actions.
        sigma: Standard deviation of the latent when sampling.
        reflex: Corrects single actions behind the chunks; None: nothing does.
    """

    def __init__(
        self,
        layout: PolicyLayout,
        actor: Actor,
        critics: Critics | None,
        normalizer: Normalizer,
        *,
        sigma: float = 0.7,
        reflex: Reflex | None = None,
    ) -> None:
        self.reflex = reflex
        self.layout, self.actor, self.critics = layout, actor, critics
        self.normalizer, self.sigma = normalizer, sigma
        self.scores: Tensor | None = None
        """(B, K) what the candidates of the newest decision were ranked by, for people to see."""
        self._best: Callable[..., tuple[Tensor, Tensor]] = self._best_of

    def compile(self, backend: str = "inductor", *, graphs: bool = True) -> None:
        """Let `torch.compile` fuse decisions; equal to within 1e-5.

        The first decision of each number of observations and candidates then takes a minute.

        Args:
            backend: Of `torch.compile`.
            graphs: On a GPU, replay each decision as one CUDA graph instead of launching its parts.
        """
        on_gpu = self.device.type == "cuda" and backend == "inductor"
        self._best = torch.compile(
            self._best_of,
            fullgraph=True,
            dynamic=False,
            backend=backend,
            mode="reduce-overhead" if on_gpu and graphs else None,
        )

    @property
    def device(self) -> torch.device:
        """Where the networks are, and so the generator of candidates must be."""
        return next(self.actor.parameters()).device

    @torch.no_grad()
    def decide(
        self,
        observation: Observation,
        prefix: Tensor,
        *,
        candidates: int,
        rank: str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Chunks (B, H, A) in the units of the data, on the device of `prefix`.

        A GPU is waited for once, after all of its work was handed over.

        Args:
            observation: Groups (B, O, F) or (B, F), in the units of the data; cameras
                (B, 3, h, w) of bytes. On any device.
            prefix: (B, P, A) actions already queued, in the units of the data.
            candidates: K chunks drawn per observation; 1 executes what was drawn.
            rank: "value" or "likelihood"; None: by value if the policy has critics.
            generator: Source of the candidates, on the policy's device.

        Raises:
            ValueError: For another rank, for "value" without critics, for a group or camera that is
                missing or of another size, for values that are not finite, for poses that are none.
        """
        if rank is None:
            rank = "likelihood" if self.critics is None else "value"
        if rank not in RANKS:
            raise ValueError(f"rank must be one of {RANKS}, not '{rank}'")
        if rank == "value" and self.critics is None:
            raise ValueError("this policy has no critics yet; rank by likelihood")
        observation = {name: sent_to(value, self.device) for name, value in observation.items()}
        asked, prefix = prefix.device, sent_to(prefix, self.device)
        frame = self.layout.spec.pose_frame
        pose = None if frame is None else pose_in(observation, frame)
        queued = prefix if pose is None else relative_to(pose, prefix)
        cameras = self.layout.architecture.vision.cameras
        scaled = seen(
            {name: self._scaled(name, observation) for name in self.layout.features}
            | {name: _images(name, observation, size) for name, size in cameras.items()},
            self.normalizer.normalize(ACTION, queued.float()),
        )
        self.actor.eval()
        if self.critics is not None:
            self.critics.eval()
        by_value = rank == "value" and candidates > 1
        latents = self.actor.flow.draw_latents(prefix, candidates, self.sigma, generator)
        chunk, scores = self._best(scaled, latents, by_value=by_value)
        self.scores = scores.clone()  # a graph writes the next ones over these
        chunk = self.normalizer.denormalize(ACTION, chunk)
        _require_finite({name: observation[name] for name in self.layout.features}, queued)
        return (chunk if pose is None else absolute_from(pose, chunk)).to(asked)

    @torch.no_grad()
    def correct(self, observation: Observation, action: Tensor) -> Tensor:
        """The actions (B, A) to execute now in the place of those that chunks have queued.

        A policy without a reflex leaves them as they are.

        Args:
            observation: Newest groups (B, O, F) or (B, F), in the units of the data.
            action: (B, A) next actions of the chunks, in the units of the data.
        """
        if self.reflex is None:
            return action
        here = {name: sent_to(observation[name], self.device) for name in self.layout.features}
        scaled = {name: self._scaled(name, here) for name in here}
        queued = self.normalizer.normalize(ACTION, sent_to(action, self.device).float())
        return action + self.reflex(scaled, queued).to(action)

    def with_networks(
        self, layout: PolicyLayout, actor: Actor, critics: Critics | None, sigma: float
    ) -> "ChunkPolicy":
        """A policy of these networks; scaling and reflex are this one's."""
        layout = replace(layout, reflex=self.layout.reflex)
        return ChunkPolicy(layout, actor, critics, self.normalizer, sigma=sigma, reflex=self.reflex)

    def describe(self) -> str:
        """What the policy takes and gives, a line per group, for a person."""
        layout, spec = self.layout, self.layout.spec
        kind = f"{layout.architecture.kind} policy, {'with' if self.critics else 'without'} critics"
        lines = [kind]
        for name, size in layout.features.items():
            steps = f"{spec.history}, " if name in spec.history_keys else ""
            lines.append(f"  takes {name} (B, {steps}{size})")
        for name, size in layout.architecture.vision.cameras.items():
            lines.append(f"  takes {name} (B, {', '.join(map(str, size))}) uint8")
        lines.append(f"  after a prefix (B, {spec.prefix}, {layout.action_dim}) of queued actions")
        lines.append(f"  gives chunks (B, {spec.horizon}, {layout.action_dim})")
        if self.reflex is not None:
            lines.append(f"  and corrects each action by up to {layout.reflex.bound:g}")
        return "\n".join(lines)

    def example_inputs(
        self, batch: int = 1, generator: torch.Generator | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """An observation and a prefix for `decide`, uniform over what the policy's data covered.

        Args:
            batch: B.
            generator: Source of the numbers, on the CPU.
        """
        layout, spec = self.layout, self.layout.spec

        def uniform(group: str, *shape: int) -> Tensor:
            unit = 2.0 * torch.rand((batch, *shape), generator=generator) - 1.0
            return self.normalizer.denormalize(group, unit.to(self.device))

        observation = {
            name: uniform(name, *((spec.history,) if name in spec.history_keys else ()), size)
            for name, size in layout.features.items()
        }
        for name, size in layout.architecture.vision.cameras.items():
            image = torch.randint(256, (batch, *size), generator=generator, dtype=torch.uint8)
            observation[name] = image.to(self.device)
        prefix = uniform(ACTION, spec.prefix, layout.action_dim)
        if spec.pose_frame is not None:  # the range is that of relative poses, the queue's are not
            prefix = absolute_from(pose_in(observation, spec.pose_frame), prefix)
        return observation, prefix

    def save(self, path: Path | str, contract: Contract, notes: dict[str, object]) -> None:
        """Write the policy; `notes` say where it came from.

        Raises:
            ValueError: If the contract is of another kind, or a weight is not finite.
        """
        if contract.kind != KIND:
            raise ValueError(f"the contract is of a '{contract.kind}', not of a '{KIND}'")
        layout = asdict(self.layout)
        weights = {f"actor.{k}": v for k, v in self.actor.state_dict().items()}
        weights |= {f"normalizer.{k}": v for k, v in self.normalizer.state_dict().items()}
        if self.critics is not None:
            weights |= {CRITICS + k: v for k, v in self.critics.state_dict().items()}
        if self.reflex is not None:
            weights |= {REFLEX + k: v for k, v in self.reflex.state_dict().items()}
        config = {"layout": layout, "sigma": self.sigma, "notes": notes}
        save_checkpoint(path, contract=contract, config=config, weights=weights)

    def _best_of(
        self, scaled: Observation, latents: Tensor, *, by_value: bool
    ) -> tuple[Tensor, Tensor]:
        """Of candidates with these latents (B, K, H, A) the best (B, H, A); all scores (B, K)."""
        flow = self.actor.flow
        context = flow.context(self.actor.encoder(scaled))
        if by_value and self.critics is not None:
            tokens = self.critics.encoder(scaled)
            choice = best_by_value(flow, self.critics.critic, context, tokens, latents)
            return choice.chunk, choice.candidate_values
        return best_by_likelihood(flow, context, latents)

    def _scaled(self, name: str, observation: Observation) -> Tensor:
        return self.normalizer.normalize(name, _entry(name, observation).float())


def load_policy(
    path: Path | str, device: torch.device | str = "cpu"
) -> tuple[ChunkPolicy, Contract]:
    """A policy and the contract it must be run under; the caller compares it with the machine's.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another kind, or lacks weights or a normaliser.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.contract.kind != KIND:
        raise ValueError(f"{path} holds a '{checkpoint.contract.kind}', not a '{KIND}'")
    try:
        layout = PolicyLayout.from_dict(checkpoint.config["layout"])
        vision = replace(layout.architecture.vision, weights=None)  # they are in this file
        built = replace(layout, architecture=replace(layout.architecture, vision=vision))
        actor = build_actor(built)
        actor.load_state_dict(_below(checkpoint, "actor."))
        critics = None
        if weights := _below(checkpoint, CRITICS):
            critics = build_critics(built, actor)
            critics.load_state_dict(weights)
        if (reflex := build_reflex(layout)) is not None:
            reflex.load_state_dict(_below(checkpoint, REFLEX))
            reflex.to(device).eval()
        normalizer = Normalizer.from_state_dict(_below(checkpoint, "normalizer."))
        if missing := {*layout.features, ACTION} - set(normalizer.groups):
            raise ValueError(f"no normaliser for {sorted(missing)}")
        sigma = float(checkpoint.config["sigma"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} does not fit together: {error}") from error
    actor, critics = actor.to(device), critics.to(device) if critics else None
    return ChunkPolicy(
        layout, actor, critics, normalizer.to(device), sigma=sigma, reflex=reflex
    ), checkpoint.contract


def _below(checkpoint: Checkpoint, start: str) -> dict[str, Tensor]:
    weights = checkpoint.weights.items()
    return {name.removeprefix(start): value for name, value in weights if name.startswith(start)}


def _entry(name: str, observation: Observation) -> Tensor:
    if name not in observation:
        raise ValueError(f"the observation lacks '{name}'; it has {sorted(observation)}")
    return observation[name]


def _images(name: str, observation: Observation, size: list[int]) -> Tensor:
    images = _entry(name, observation)
    if images.dtype != torch.uint8 or list(images.shape[1:]) != size:
        raise ValueError(
            f"{name} must be images (B, {', '.join(map(str, size))}) uint8, not of shape "
            f"{tuple(images.shape)} and {images.dtype}"
        )
    return images


def _require_finite(observation: Observation, prefix: Tensor) -> None:
    """All in one question, since a GPU has to be waited for to answer it."""
    given = observation | {"prefix": prefix}
    if torch.stack([torch.isfinite(value).all() for value in given.values()]).all():
        return
    for name, value in given.items():
        if len(bad := (~torch.isfinite(value)).nonzero()):
            index = tuple(bad[0].tolist())
            raise ValueError(f"{name} is {float(value[index])} at index {index}")
