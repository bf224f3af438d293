"""Critics reach the exact values of a small world that is acted in by chunks with a prefix."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.config import LearnerConfig, OptimizerConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.windows import make_batch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.models.actor_critic import Actor, Critics, seen
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.flow import FlowContext

STATES, GOAL, WIDTH = 3, 2, 32
SPEC = ChunkSpec(history=1, prefix=1, horizon=2, discount=0.9, history_keys=())
SUPPORT, BINS = (-3.0, 4.0), 51


def step(state: int, action: float) -> tuple[int, float, bool]:
    """Walk left or right on three states; passing 1 costs, the goal pays and ends it."""
    after = int(np.clip(state + (1 if action > 0 else -1), 0, GOAL))
    return after, (3.0 if after == GOAL else -1.0 * after), after == GOAL


def policy(state: int, queued: float) -> list[float]:
    """The chunk that the frozen policy decides on, given the action already queued."""
    return [1.0, -1.0] if queued > 0 and state == 0 else [-1.0, 1.0]


def exact_value(state: int, queue: list[float], depth: int = 40) -> float:
    """Value of a decision by playing it out: `queue` is the prefix and the chunk."""
    value, weight, decided = 0.0, 1.0, state
    while depth:
        for action in queue[: SPEC.horizon]:
            state, reward, ended = step(state, action)
            value += weight * reward
            weight *= SPEC.discount
            if ended:
                return value
        decided, left = state, queue[SPEC.horizon :]
        queue = [*left, *policy(decided, left[0])]
        depth -= 1
    return value


class ScriptedFlow(torch.nn.Module):
    """Stands in for the flow: decodes every latent to the scripted policy's chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def context(self, tokens: Tensor) -> FlowContext:
        return FlowContext((tokens,), len(tokens))  # type: ignore[arg-type]

    def draw_latents(self, context: FlowContext, count: int, *_: object) -> Tensor:
        return torch.zeros(context.batch, count, SPEC.horizon, 1)

    def decode(self, latents: Tensor, context: FlowContext) -> tuple[Tensor, Tensor]:
        tokens = context.couplings[0]
        chunks = [policy(int(t[0, :STATES].argmax()), float(t[0, STATES])) for t in tokens]
        return torch.tensor(chunks)[:, None, :, None], torch.zeros(len(chunks), 1)


class Plain(torch.nn.Module):
    """The one-hot state and the queued action as one token, as they are."""

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        return torch.cat([observation["state"], observation["prefix"].flatten(1)], dim=1)[:, None]


class Embedded(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain, self.linear = Plain(), torch.nn.Linear(STATES + 1, WIDTH)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        return self.linear(self.plain(observation))


def random_episode(draw: np.random.Generator, longest: int = 14) -> Episode:
    states, actions, rewards, ended = [int(draw.integers(2))], [], [], False
    while not ended and len(actions) < longest:
        actions.append(float(draw.choice([-1.0, 1.0])))
        state, reward, ended = step(states[-1], actions[-1])
        states.append(state)
        rewards.append(reward)
    one_hot = np.eye(STATES, dtype=np.float32)[states]
    flags = np.zeros(len(actions), bool)
    flags[-1] = ended
    return Episode(
        observation={"state": one_hot[:-1]},
        action=np.array(actions, np.float32)[:, None],
        reward=np.array(rewards, np.float32),
        terminated=flags,
        final_observation={"state": one_hot[-1]},
        planned=draw.choice([-1.0, 1.0], size=(3, 1)),  # queued, never executed
    )


def joined(batches: list[ChunkBatch]) -> ChunkBatch:
    def cat(get: Callable[[ChunkBatch], Tensor]) -> Tensor:
        return torch.cat([get(batch) for batch in batches])

    return ChunkBatch(
        observation={"state": cat(lambda b: b.observation["state"])},
        next_observation={"state": cat(lambda b: b.next_observation["state"])},
        **{
            name: cat(lambda b, name=name: getattr(b, name))
            for name in (
                *("prefix", "chunk", "reward", "discount"),
                *("next_prefix", "imitate", "is_offline", "succeeded"),
            )
        },
    )


def rows(batch: ChunkBatch, index: Tensor) -> ChunkBatch:
    kept = {name: value[index] for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return ChunkBatch(
        observation={"state": batch.observation["state"][index]},
        next_observation={"state": batch.next_observation["state"][index]},
        **kept,
    )


@pytest.fixture(scope="module")
def data() -> ChunkBatch:
    draw = np.random.default_rng(0)
    return joined([make_batch(random_episode(draw), SPEC) for _ in range(300)])


@pytest.mark.parametrize("head", ["hl_gauss", "mse"])
def test_chunked_values_with_a_prefix_are_exact(data: ChunkBatch, head: str) -> None:
    critic = ChunkCritic(
        1,
        SPEC.horizon,
        support=SUPPORT,
        num_bins=BINS,
        token_dim=WIDTH,
        num_heads=2,
        num_layers=1,
        feedforward=64,
        dropout=0.0,
        head=head,
    )
    config = LearnerConfig(optimizer=OptimizerConfig(rl_learning_rate=1e-3))
    actor, critics = Actor(Plain(), ScriptedFlow()), Critics(Embedded(), critic)  # type: ignore[arg-type]
    learner = Learner(actor, critics, config)
    draw = torch.Generator().manual_seed(0)
    for _ in range(400):
        learner.update_critic(rows(data, torch.randint(len(data), (64,), generator=draw)))
    learner.critics.eval()
    found = critic.value(data.chunk, critics.encoder(seen(data.observation, data.prefix))).detach()
    exact = torch.tensor(
        [
            exact_value(int(s.argmax()), [float(p[0]), float(c[0]), float(c[1])])
            for s, p, c in zip(
                data.observation["state"],
                data.prefix.squeeze(-1),
                data.chunk.squeeze(-1),
                strict=True,
            )
        ]
    )
    width = (SUPPORT[1] - SUPPORT[0]) / BINS
    assert exact.max() - exact.min() > 15 * width, "values that are all alike prove nothing"
    assert (found - exact).abs().max() < width
