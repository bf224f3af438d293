"""Updates and decisions of every kind of policy on a GPU that is pretended: see `pretend_gpu`.

Whatever would mix devices raises by itself. Whoever would wait for the GPU is listed, and the
lists here are all there are.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretend_gpu import PretendGpu, pretend_gpu
from torch import Tensor

from sernf_isaac.config import CriticConfig, LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.acting import act, acting
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE, ONLINE, WARM_UP, unequal
from sernf_isaac.models.architecture import (
    ActConfig,
    Architecture,
    FlowMatchingConfig,
    VisionConfig,
)
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy, load_policy

A, ROWS = 8, 6
FEATURES = {"history": 5, "hand": 7}
SPEC = ChunkSpec(history=2, prefix=1, horizon=4)
CONFIG = LearnerConfig(
    policy=PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2),
    critic=CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16),
)
SMALL = {
    "act": ActConfig(num_heads=2, num_layers=1, feedforward=16, style_dim=4),
    "flow_matching": FlowMatchingConfig(num_heads=2, num_layers=1, feedforward=16, steps=2),
}
EYES = {
    "none": VisionConfig(),
    "resnet": VisionConfig("resnet18", tuning="all", cameras={"camera": [3, 64, 64]}),
    "dinov2": VisionConfig(
        variant="vit_small_patch14_reg4_dinov2", cameras={"camera": [3, 28, 28]}
    ),
}
KINDS = ("flow", "gaussian", "act", "flow_matching")
ALL_STAGES = (IMITATION, WARM_UP, OFFLINE, ONLINE)
WAITS_OF_DECISIONS = {
    # Refuses numbers that are not finite; after all work was handed over, before it is used.
    "sernf_isaac/policy.py:_require_finite",
}
WAITS_OF_POSES = {
    # Refuses quaternions of no length, in the arm tasks alone: two numbers per decision.
    "sernf_isaac/data/pose_frame.py:_unit",
}


def layout_of(kind: str = "flow", eyes: str = "none", **spec: object) -> PolicyLayout:
    architecture = Architecture(kind, **SMALL, vision=EYES[eyes])
    return PolicyLayout(
        FEATURES, A, replace(SPEC, **spec), CONFIG.policy, CONFIG.critic, 0, architecture
    )


def normalizer() -> Normalizer:
    sizes = FEATURES | {ACTION: A}
    return Normalizer({name: (-np.ones(size), np.ones(size)) for name, size in sizes.items()})


def observation_of(layout: PolicyLayout, rows: int) -> dict[str, Tensor]:
    seen = {"history": torch.rand(rows, SPEC.history, 5), "hand": torch.rand(rows, 7)}
    for name, size in layout.architecture.vision.cameras.items():
        seen[name] = torch.zeros(rows, *size, dtype=torch.uint8)
    return seen


def batch_of(layout: PolicyLayout, rows: int = ROWS) -> ChunkBatch:
    """As replay gives it: on the CPU."""
    spec = layout.spec
    return ChunkBatch(
        observation=observation_of(layout, rows),
        prefix=torch.rand(rows, spec.prefix, A),
        chunk=torch.rand(rows, spec.horizon, A),
        reward=torch.rand(rows),
        discount=torch.ones(rows),
        next_observation=observation_of(layout, rows),
        next_prefix=torch.rand(rows, spec.prefix, A),
        imitate=torch.ones(rows, dtype=torch.bool),
        is_offline=torch.ones(rows, dtype=torch.bool),
        succeeded=torch.ones(rows, dtype=torch.bool),
    )


def learner_there(layout: PolicyLayout, config: LearnerConfig = CONFIG, draw=None) -> Learner:
    return build_learner(layout, replace(config, critic=layout.critic), draw, device="cuda")


def policy_there(learner: Learner, layout: PolicyLayout, scale: Normalizer) -> ChunkPolicy:
    return ChunkPolicy(layout, learner.actor, learner.critics, scale.to(learner.device))


# Updates.


@pytest.mark.parametrize(
    ("kind", "eyes"),
    [*((kind, "none") for kind in KINDS), ("flow", "dinov2"), ("act", "resnet")],
)
def test_no_stage_waits_for_the_gpu(kind: str, eyes: str) -> None:
    layout = layout_of(kind, eyes)
    # Kinds without a likelihood have no policy to improve (stages III and IV refuse them).
    stages = ALL_STAGES if kind in ("flow", "gaussian") else (IMITATION, WARM_UP)
    stages = stages if eyes == "none" else (IMITATION, stages[-1])  # pictures: to learn, to judge
    with pretend_gpu() as gpu:
        learner = learner_there(layout)
        for stage in stages:
            gpu.forget()
            metrics = stage.update(learner, batch_of(layout))
            assert not gpu.waits, stage.name
            assert {value.device.type for value in metrics.values()} == {"cuda"}, stage.name


def test_batches_are_scaled_where_the_policy_is_without_waiting() -> None:
    layout, scale = layout_of(), normalizer()
    with pretend_gpu() as gpu:
        there = scale.to("cuda")
        gpu.forget()
        scaled = there.normalize_batch(batch_of(layout))
        assert scaled.reward.device == scaled.observation["hand"].device == scaled.prefix.device
        assert scaled.prefix.device.type == "cuda" and not gpu.waits


def test_critics_of_single_steps_do_not_wait_either() -> None:
    critic = replace(CONFIG.critic, kind="per_step")
    layout = replace(layout_of(), critic=critic)
    steps = replace(layout, spec=replace(SPEC, horizon=1))
    with pretend_gpu() as gpu:
        learner = learner_there(layout, draw=lambda count: batch_of(steps, count))
        gpu.forget()
        for stage in (WARM_UP, unequal(OFFLINE, 2)):
            stage.update(learner, batch_of(layout))
        assert not gpu.waits


def test_whether_steps_were_finite_is_asked_once_per_logged_number() -> None:
    layout = layout_of()
    with pretend_gpu() as gpu:
        learner = learner_there(layout)
        for _ in range(2):
            ONLINE.update(learner, batch_of(layout))
        gpu.forget()
        learner.check()
        assert dict(gpu.waits) == {
            "sernf_isaac/learning/descent.py:GuardedAdamW.skipped": 2  # optimisers
        }


# Decisions.


def decided(gpu: PretendGpu, policy: ChunkPolicy, rows: int = 3, **how: object) -> Tensor:
    """Chunks for what is observed there."""
    seen = {k: v.to("cuda") for k, v in observation_of(policy.layout, rows).items()}
    prefix = torch.rand(rows, policy.layout.spec.prefix, A, device="cuda")
    generator = torch.Generator(policy.device).manual_seed(0)
    gpu.forget()
    return policy.decide(seen, prefix, generator=generator, **how)


@pytest.mark.parametrize(
    ("kind", "eyes"), [*((kind, "none") for kind in KINDS), ("flow", "resnet"), ("act", "resnet")]
)
def test_a_decision_waits_once(kind: str, eyes: str) -> None:
    layout, scale = layout_of(kind, eyes), normalizer()
    with pretend_gpu() as gpu:
        policy = policy_there(learner_there(layout), layout, scale)
        for rank, candidates in (("value", 8), ("value", 1), ("likelihood", 8)):
            chunk = decided(gpu, policy, candidates=candidates, rank=rank)
            assert chunk.device.type == "cuda" and chunk.shape == (3, SPEC.horizon, A)
            assert set(gpu.waits) == WAITS_OF_DECISIONS
            assert gpu.waits.total() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_compiled_of_a_decision_is_one_graph_on_the_gpu(kind: str) -> None:
    """A CUDA graph waits for nobody and holds no tensor of the CPU."""
    layout, scale = layout_of(kind), normalizer()
    with pretend_gpu() as gpu, torch.no_grad():
        policy = policy_there(learner_there(layout), layout, scale)
        policy.actor.eval()
        scaled = {k: v.to("cuda") for k, v in observation_of(layout, 2).items()}
        scaled["prefix"] = torch.rand(2, SPEC.prefix, A, device="cuda")
        latents = policy.actor.flow.draw_latents(scaled["prefix"], 4, 0.7)
        gpu.forget()
        for by_value in (True, False):
            policy._best_of(scaled, latents, by_value=by_value)
        assert not gpu.waits and not gpu.made_here


def test_a_compiled_decision_has_no_break_and_is_the_plain_one() -> None:
    """On the CPU: what `compile` hands to its backend is one graph (`fullgraph`)."""
    layout = layout_of()
    learner = build_learner(layout, CONFIG)
    policy = ChunkPolicy(layout, learner.actor, learner.critics, normalizer())
    seen, prefix = observation_of(layout, 2), torch.rand(2, SPEC.prefix, A)
    decide = act(policy, 3, seed=0)
    plain = decide(seen, prefix)
    policy.compile(backend="eager")
    compiled = act(policy, 3, seed=0)(seen, prefix)
    torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-5)


def test_decisions_in_a_frame_of_the_hand_wait_for_the_quaternions_too() -> None:
    layout, scale = layout_of(pose_frame="hand"), normalizer()
    with pretend_gpu() as gpu:
        policy = policy_there(learner_there(layout), layout, scale)
        assert decided(gpu, policy, candidates=8).device.type == "cuda"
        assert set(gpu.waits) == WAITS_OF_DECISIONS | WAITS_OF_POSES


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_observed_elsewhere_is_answered_there(kind: str) -> None:
    """A simulator or a robot on the CPU, networks on the GPU; also with averaged plans (ACT)."""
    layout, scale = layout_of(kind), normalizer()
    with pretend_gpu():
        policy = policy_there(learner_there(layout), layout, scale)
        seen, prefix = observation_of(layout, 3), torch.rand(3, SPEC.prefix, A)
        assert act(policy, 4, seed=0)(seen, prefix).device.type == "cpu"
        decide, _ = acting(policy, 4, seed=0)
        for _ in range(2):
            assert decide(seen, prefix).device.type == "cpu"


def test_example_inputs_are_where_the_policy_is() -> None:
    layout, scale = layout_of(eyes="resnet"), normalizer()
    with pretend_gpu():
        policy = policy_there(learner_there(layout), layout, scale)
        observation, prefix = policy.example_inputs(batch=2)
        devices = {value.device.type for value in (*observation.values(), prefix)}
        assert devices == {"cuda"}


# Files and resuming.


@pytest.mark.parametrize("eyes", ["none", "dinov2"])
def test_a_policy_saved_on_the_cpu_decides_on_the_gpu(eyes: str, tmp_path) -> None:
    from sernf_isaac.learning.offline.run import contract_of

    layout, scale = layout_of(eyes=eyes), normalizer()
    learner = build_learner(layout, replace(CONFIG, critic=layout.critic))
    policy = ChunkPolicy(layout, learner.actor, learner.critics, scale)
    path = tmp_path / "policy.pt"
    policy.save(path, contract_of(layout, scale, "a task", 20.0), {})
    with pretend_gpu() as gpu:
        loaded, _ = load_policy(path, "cuda")
        there = [*loaded.actor.state_dict().values(), *loaded.normalizer.state_dict().values()]
        assert {value.device.type for value in there} == {"cuda"}
        assert decided(gpu, loaded, candidates=8).device.type == "cuda"
        assert set(gpu.waits) == WAITS_OF_DECISIONS


def test_a_training_of_the_cpu_goes_on_on_a_gpu_and_back() -> None:
    layout = layout_of()
    here = build_learner(layout, CONFIG)
    ONLINE.update(here, batch_of(layout))
    state = here.state_dict()
    with pretend_gpu() as gpu:
        there = learner_there(layout)
        there.load_state_dict(state)
        gpu.forget()
        ONLINE.update(there, batch_of(layout))
        assert not gpu.waits
        optimizers = (there.actor_optimizer, there.critic_optimizer)
        moments = [m for o in optimizers for s in o.state.values() for m in s.values()]
        assert {moment.device.type for moment in moments} == {"cuda"}
        back = build_learner(layout, CONFIG)
        back.load_state_dict(there.state_dict())
        assert next(back.actor.parameters()).device.type == "cpu"
        ONLINE.update(back, batch_of(layout))


def test_draws_after_a_state_of_another_device_are_the_same_each_time() -> None:
    """A state that does not fit the generator becomes its seed."""
    from sernf_isaac.devices import restore_generator

    state = torch.arange(16, dtype=torch.uint8)  # as long as a GPU's
    draws = []
    for _ in range(2):
        generator = torch.Generator()
        restore_generator(generator, state)
        draws.append(torch.rand(3, generator=generator))
    assert torch.equal(*draws)
    other = torch.Generator()
    restore_generator(other, state.flip(0))
    assert not torch.equal(draws[0], torch.rand(3, generator=other))


def test_draws_go_on_exactly_on_the_same_kind_of_device() -> None:
    from sernf_isaac.devices import restore_generator

    generator = torch.Generator().manual_seed(3)
    torch.rand(5, generator=generator)
    state, expected = generator.get_state(), torch.rand(3, generator=generator)
    other = torch.Generator()
    restore_generator(other, state)
    assert torch.equal(torch.rand(3, generator=other), expected)
