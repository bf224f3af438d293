"""The flow policy behind LeRobot's interface: losses of batches, actions one by one, chunks.

LeRobot's numbers pass through in the units of the data set; the policy scales by itself. Numbering
is that of `sernf_isaac/chunk_queue.py`: a decision sees the P actions that are queued from now on,
and plans the H after them.
"""

import logging
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from lerobot.policies import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor, nn

from lerobot_policy_sernf.configuration_sernf import SernfConfig
from lerobot_policy_sernf.ranges import Ranges
from sernf_isaac.chunk_queue import ChunkQueue
from sernf_isaac.learning.losses import imitation_loss
from sernf_isaac.models.actor_critic import Observation, seen
from sernf_isaac.models.build import build_actor
from sernf_isaac.policy import ChunkPolicy


class SernfPolicy(PreTrainedPolicy):
    """The flow policy, learned by imitation (stage I).

    Args:
        config: Settings, with the features of the data.
        dataset_stats: LeRobot's statistics, whose ends are the policy's ranges; None where a
            checkpoint brings them.
        _others: What LeRobot hands to all policies, unused here.

    Raises:
        ValueError: If settings, features and statistics do not fit together.
    """

    config_class = SernfConfig
    name = "sernf"

    def __init__(
        self,
        config: SernfConfig,
        dataset_stats: dict[str, dict[str, Any]] | None = None,
        **_others: object,
    ) -> None:
        super().__init__(config)
        config.validate_features()
        self.names, self.layout, self.spec = config.names, config.layout, config.spec
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.actor = build_actor(self.layout)
        config.vision = replace(config.vision, weights=None)  # from here on, checkpoints hold them
        self.ranges = Ranges({**self.layout.features, ACTION: self.layout.action_dim})
        if dataset_stats:
            self.ranges.fit(dataset_stats, self.names, config.min_range)
        self._noise: torch.Generator | None = None
        self._draws: torch.Generator | None = None
        self._warned = False
        self.reset()

    def get_optim_params(self) -> list[nn.Parameter]:
        """What learns."""
        return [p for p in self.actor.parameters() if p.requires_grad]

    def reset(self) -> None:
        """Forget what is queued and what was seen; an episode begins."""
        self._queue: ChunkQueue | None = None
        self._past: dict[str, deque[Tensor]] = {}

    def supports_rtc(self) -> bool:
        """Whether decisions continue what is queued; `prefix` says of how much."""
        return self.spec.prefix > 0

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss of stage I (eq. 8), over the rows with a whole chunk.

        Args:
            batch: Observations and `action` (B, P + H, A) as the configuration's steps ask for, and
                `action_is_pad` (B, P + H).

        Raises:
            ValueError: If something is missing or of another shape.
        """
        observed, steps = self._observed(batch), self.spec.prefix + self.spec.horizon
        if batch[ACTION].shape[1:] != (steps, self.layout.action_dim):
            raise ValueError(
                f"action must be (B, {steps}, {self.layout.action_dim}), the queued ones and the "
                f"chunk, not of shape {tuple(batch[ACTION].shape)}"
            )
        normalizer = self.ranges.normalizer
        action = normalizer.normalize(ACTION, batch[ACTION].float())
        prefix, chunk = action[:, : self.spec.prefix], action[:, self.spec.prefix :]
        scaled = {
            name: normalizer.normalize(name, value.float())
            if name in self.layout.features
            else value
            for name, value in observed.items()
        }
        context = self.actor.flow.context(self.actor.encoder(seen(scaled, prefix)))
        self._noise = self._noise or self._generator()
        log_prob = self.actor.flow.log_prob(chunk, context, add_noise=True, generator=self._noise)
        per_number = 1 if self.config.likelihood == "sum" else chunk[0].numel()
        loss, metrics = imitation_loss(log_prob, ~batch["action_is_pad"].any(dim=1), per_number)
        return loss, {"whole_chunks": float(metrics["actor/bc_rows"])}

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **_others: object) -> Tensor:
        """The next actions (B, A) of machines that began their episodes together.

        Call it in every control step. The first P actions of an episode keep still, as `hold` says.
        """
        observed = self._observed(self._with_past(batch))
        if self._queue is None:
            self._queue = ChunkQueue(self.spec, self._holding(batch))
        if self._queue.due.all():
            prefix = self._queue.begin()
            self._queue.push(self._decide(observed, prefix))
        return self._queue.pop()

    @torch.no_grad()
    def predict_action_chunk(
        self,
        batch: dict[str, Tensor],
        inference_delay: int = 0,
        prev_chunk_left_over: Tensor | None = None,
        **_others: object,
    ) -> Tensor:
        """Actions (B, P + H, A) from now on: the P that are queued, as they are, then the chunk.

        Args:
            batch: What is observed now.
            inference_delay: Control steps that LeRobot expects this to take.
            prev_chunk_left_over: (T, A) or (B, T, A) queued actions, the next one first; LeRobot
                fills up with rows of zeros. None: an episode begins.

        Raises:
            ValueError: If fewer than P actions are given, or the policy needs a history that the
                batch lacks.
        """
        if inference_delay > self.spec.prefix and not self._warned:
            self._warned = True
            logging.warning(
                "A decision takes %d control steps, but the policy continues only %d queued ones "
                "(prefix): expect jumps between chunks",
                inference_delay,
                self.spec.prefix,
            )
        prefix = self._holding(batch)[:, None].expand(-1, self.spec.prefix, -1)
        if prev_chunk_left_over is not None:
            prefix = _queued(prev_chunk_left_over, prefix)
        return torch.cat([prefix, self._decide(self._observed(batch), prefix)], dim=1)

    @property
    def chunk_policy(self) -> ChunkPolicy:
        """The same networks as this project runs and saves them; without critics."""
        return ChunkPolicy(
            self.layout, self.actor, None, self.ranges.normalizer, sigma=self.config.sigma
        )

    def _decide(self, observed: Observation, prefix: Tensor) -> Tensor:
        self._draws = self._draws or self._generator()
        was_training = self.actor.training
        chunk = self.chunk_policy.decide(
            observed, prefix, candidates=self.config.candidates, generator=self._draws
        )
        self.actor.train(was_training)
        return chunk

    def _generator(self) -> torch.Generator:
        device = next(self.actor.parameters()).device
        return torch.Generator(device).manual_seed(self.config.seed)

    def _observed(self, batch: dict[str, Tensor]) -> Observation:
        """Groups by our names; images as bytes."""
        if missing := [name for name in self.names if name not in batch]:
            raise ValueError(f"the batch lacks {missing}; it has {sorted(batch)}")
        return {ours: self._group(ours, batch[name]) for name, ours in self.names.items()}

    def _group(self, name: str, value: Tensor) -> Tensor:
        is_camera = name in self.layout.architecture.vision.cameras
        dims = 4 if is_camera else 2
        if self.layout.features.get(name) == 1 and (value.ndim == 1 or value.shape[-1] != 1):
            value = value[..., None]  # LeRobot takes the brackets off single numbers
        if name in self.spec.history_keys:
            if value.ndim != dims + 1:
                raise ValueError(
                    f"{name} must be (B, {self.spec.history}, F): the policy sees the last "
                    f"n_obs_steps={self.spec.history} control steps, which LeRobot's asynchronous "
                    "inference does not pass on; train with n_obs_steps=1"
                )
        elif value.ndim == dims + 1:  # LeRobot fetches all features at the same steps
            value = value[:, -1]
        is_bytes = value.dtype == torch.uint8
        return (255.0 * value).round().to(torch.uint8) if is_camera and not is_bytes else value

    def _with_past(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch with histories of what `select_action` was given, the first step repeated."""
        histories = {}
        for name, ours in self.names.items():
            if ours in self.spec.history_keys and batch[name].ndim == 2:
                steps = self.spec.history
                past = self._past.setdefault(name, deque([batch[name]] * steps, maxlen=steps))
                past.append(batch[name])
                histories[name] = torch.stack(tuple(past), dim=1)
        return batch | histories

    def _holding(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, A) actions that keep still."""
        first = batch[next(iter(self.names))]
        nothing = torch.zeros(len(first), self.layout.action_dim, device=first.device)
        if self.config.hold == "zero" or not self.spec.prefix:
            return nothing
        state = batch[OBS_STATE].float()
        return (state[:, -1] if state.ndim == 3 else state)[:, : self.layout.action_dim]


def _queued(left_over: Tensor, like: Tensor) -> Tensor:
    """The first P of the queued actions (B, P, A); the last one stands for missing ones.

    A queue that has run dry is filled up with rows of zeros, which no robot would execute: it goes
    on with its last action. Where nothing else is queued, it holds still, as `like` says.
    """
    rows = left_over.expand(len(like), *left_over.shape[-2:]).to(like)
    prefix = like.shape[1]
    if rows.shape[1] < prefix or rows.shape[2] != like.shape[2]:
        raise ValueError(
            f"the policy continues prefix={prefix} queued actions of {like.shape[2]} numbers, but "
            f"was given {tuple(left_over.shape)}; set --inference.rtc.execution_horizon to at "
            f"least {prefix}"
        )
    planned = rows.ne(0).any(dim=2).any(dim=0).nonzero()
    if not len(planned):
        return like
    last = int(planned[-1])
    return rows[:, torch.arange(prefix, device=rows.device).clamp(max=last)]
