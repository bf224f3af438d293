"""The distiller: who acts when, what is learnt, and that nothing depends on interruptions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.config import LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.deploy.chunk_queue import ChunkQueue
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.distill import STATE_FILE, Distiller
from sernf_isaac.learning.distill_config import DistillConfig
from sernf_isaac.learning.distill_parallel import Workers
from sernf_isaac.metrics import read_metrics
from sernf_isaac.policy import ChunkPolicy, PolicyLayout

SPEC = ChunkSpec(history=2, prefix=1, horizon=4)
FEATURES = {"history": 2, "goal": 1}
ENVS = 6


class Drift:
    """Points pulled off a moving goal; the teacher knows the pull, the student sees positions."""

    num_envs = ENVS

    def __init__(self, length: int = 17, remembers: bool = True, seed: int = 0) -> None:
        self.length, self._remembers = length, remembers
        self.generator = torch.Generator().manual_seed(seed)
        self.executed: list[Tensor] = []
        self._age = torch.arange(ENVS) % length
        self._state = torch.zeros(ENVS, 2)
        self._goal = torch.zeros(ENVS, 1)
        self._history = torch.zeros(ENVS, 2, 2)
        self._see(torch.ones(ENVS, dtype=torch.bool))

    def _see(self, fresh: Tensor) -> None:
        if fresh.any():
            draws = torch.rand(ENVS, 1, generator=self.generator) - 0.5
            self._goal = torch.where(fresh[:, None], draws, self._goal)
            self._state = torch.where(fresh[:, None], 0.0, self._state)
        self._history = torch.cat([self._history[:, 1:], self._state[:, None]], dim=1)
        self._history[fresh] = self._state[fresh, None]
        self._seen = {
            "history": self._history,
            "goal": self._goal,
            "hold": self._state,
            "fresh": fresh,
        }

    def get_observations(self) -> dict[str, Tensor]:
        return self._seen

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict]:
        self.executed.append(actions)
        noise = 0.01 * torch.randn(ENVS, 2, generator=self.generator)
        self._state = (0.5 * self._state + 0.5 * actions + noise).clamp(-1, 1)
        self._age = self._age + 1
        done = self._age >= self.length
        self._age = torch.where(done, 0, self._age)
        self._see(done)
        return self._seen, torch.zeros(ENVS), done.long(), {"log": {"distance": self._state.norm()}}

    def state_dict(self) -> dict:
        if not self._remembers:
            return {}
        kept = ("_age", "_state", "_goal", "_history")
        values = {name: getattr(self, name).clone() for name in kept}
        seen = {k: v.clone() for k, v in self._seen.items()}
        return values | {"seen": seen, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        for name in ("_age", "_state", "_goal", "_history") if state else ():
            setattr(self, name, state[name].clone())
        if state:
            self._seen = state["seen"]
            self.generator.set_state(state["generator"])


def teacher(seen: dict[str, Tensor]) -> Tensor:
    """Towards the goal, from where the point is."""
    return (torch.cat([seen["goal"], -seen["goal"]], 1) - 0.5 * seen["history"][:, -1]).clamp(-1, 1)


def tiny_distiller(
    run_dir: Path,
    env: Drift | None = None,
    *,
    seed: int = 0,
    workers: Workers | None = None,
    **settings: object,
) -> Distiller:
    """A distiller of two joints that saves after every second iteration."""
    quick = {"iterations": 4, "rollout_steps": 20, "updates_per_iteration": 3, "batch_size": 16}
    learner_config = LearnerConfig(
        policy=PolicyConfig(token_dim=16, width=16, num_couplings=3, num_heads=2),
        optimizer=OptimizerConfig(imitation_learning_rate=5e-3),
    )
    learner = build_learner(learner_config, SPEC, features=FEATURES, action_dim=2, seed=seed)
    ones = np.ones(2)
    ranges = {"history": (-ones, ones), "goal": (-ones[:1], ones[:1]), ACTION: (-ones, ones)}
    layout = PolicyLayout(FEATURES, 2, SPEC, learner_config.policy, learner_config.critic, seed)
    return Distiller(
        env or Drift(),
        teacher,
        ChunkPolicy(layout, learner.actor, None, Normalizer(ranges)),
        learner,
        DistillConfig(**quick | {"save_every": 2} | settings),
        run_dir,
        action_names=("x", "y"),
        seed=seed,
        workers=workers,
    )


MakeDistiller = Callable[..., Distiller]


@pytest.fixture
def make_distiller(tmp_path: Path) -> MakeDistiller:
    def make(env: Drift | None = None, folder: str = "run", **settings: object) -> Distiller:
        return tiny_distiller(tmp_path / folder, env, **settings)

    return make


def weights(distiller: Distiller) -> Tensor:
    return torch.cat([p.detach().flatten() for p in distiller.learner.actor.parameters()])


# Who acts -----------------------------------------------------------------------------------------


def test_the_teacher_acts_alone_while_its_share_is_one(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(teacher_share=1.0, teacher_decay=1.0, iterations=1)
    wanted: list[Tensor] = []
    label = distiller.label
    distiller.label = lambda seen: wanted.append(label(seen)) or wanted[-1]
    distiller.run()
    env = distiller.env
    assert isinstance(env, Drift)
    assert torch.equal(torch.stack(env.executed), torch.stack(wanted))


def test_the_student_acts_as_a_deployed_one_bit_for_bit(make_distiller: MakeDistiller) -> None:
    """With nobody helping, collecting is: observe, decide where due, execute what is queued."""
    distiller = make_distiller(teacher_share=0.0, iterations=1, candidates=3)
    env, seen = distiller.env, []
    observe = env.get_observations()
    step = env.step

    def recorded(actions: Tensor) -> tuple:
        out = step(actions)
        seen.append({name: value.clone() for name, value in out[0].items()})
        return out

    seen.append({name: value.clone() for name, value in observe.items()})
    env.step = recorded
    distiller._collect()

    queue = ChunkQueue(SPEC, seen[0]["hold"])
    generator = torch.Generator().manual_seed(0)
    for number, executed in enumerate(env.executed):
        now = seen[number]
        envs = now["fresh"].nonzero()[:, 0]
        queue.reset(now["hold"][envs], envs)
        due = queue.due.nonzero()[:, 0]
        if len(due):
            rows = {name: now[name][due] for name in FEATURES}
            chunk = distiller.policy.decide(
                rows, queue.begin(due), candidates=3, rank="likelihood", generator=generator
            )
            queue.push(chunk, due)
        assert torch.equal(queue.pop(), executed), f"step {number}"


def test_windows_hold_what_the_deciding_student_saw(make_distiller: MakeDistiller) -> None:
    """The training input of a decision's step is the input of that decision, bit for bit."""
    distiller = make_distiller(teacher_share=0.0, iterations=1)
    decisions: list[tuple[dict[str, Tensor], Tensor]] = []
    decide = distiller._actor._decide

    def listening(observation: dict[str, Tensor], prefix: Tensor) -> Tensor:
        decisions.append((observation, prefix))
        return decide(observation, prefix)

    distiller._actor._decide = listening
    distiller._collect()
    memory = distiller._memory
    batch = memory.gather(torch.cat(memory._starts))
    found = 0
    for observation, prefix in decisions:
        for row in range(len(prefix)):
            same = (batch.observation["history"] == observation["history"][row]).all(-1).all(-1)
            same &= (batch.observation["goal"] == observation["goal"][row]).all(-1)
            for index in same.nonzero()[:, 0]:
                found += int(torch.equal(batch.prefix[index], prefix[row]))
    assert found >= ENVS * 2, "two decisions of each environment lie within windows"


def test_the_share_falls_by_the_iteration(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(teacher_decay=0.5, iterations=3)
    distiller.run()
    shares = [value for _, value in read_metrics(distiller.run_dir, "distill/student_share")]
    assert shares == pytest.approx([0.0, 0.5, 0.75])
    assert DistillConfig().teacher_share_at(200) == pytest.approx(0.999**200)


def test_collecting_noise_takes_turns_and_leaves_the_policy_alone(
    make_distiller: MakeDistiller,
) -> None:
    distiller = make_distiller(sigmas=[0.0, 0.4], iterations=3, teacher_share=0.0)
    used: list[float] = []
    collect = distiller._collect

    def listening() -> dict[str, float]:
        used.append(distiller.policy.sigma)
        return collect()

    distiller._collect = listening
    own = distiller.policy.sigma
    distiller.run()
    assert used == [0.0, 0.4, 0.0] and distiller.policy.sigma == own
    with pytest.raises(ValueError, match="must not be negative"):
        DistillConfig(sigmas=[-0.1])


# Learning -----------------------------------------------------------------------------------------


def test_the_student_comes_to_act_like_the_teacher(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(
        iterations=3, updates_per_iteration=40, teacher_decay=0.5, kept_rollouts=3, candidates=8
    )
    distiller.run()
    errors = [value for _, value in read_metrics(distiller.run_dir, "distill/action_error")]
    density = [value for _, value in read_metrics(distiller.run_dir, "actor/bc")]
    assert errors[-1] < 0.4 * errors[0] and density[-1] < density[0] - 1.5
    per_joint = [read_metrics(distiller.run_dir, f"action_error/{name}")[-1][1] for name in "xy"]
    assert sum(per_joint) / 2 == pytest.approx(errors[-1])


def test_labels_of_somebody_else_are_not_learnt(make_distiller: MakeDistiller) -> None:
    """Negative control: with labels that have nothing to do with the state, errors stay."""
    distiller = make_distiller(iterations=3, updates_per_iteration=30, candidates=8)
    draws = torch.Generator().manual_seed(5)
    distiller.label = lambda seen: 2 * torch.rand(ENVS, 2, generator=draws) - 1
    distiller.run()
    errors = [value for _, value in read_metrics(distiller.run_dir, "distill/action_error")]
    assert errors[-1] > 0.5 * errors[0]


def test_the_learning_rate_follows_its_cosine(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(iterations=4, final_learning_rate=0.1)
    distiller.run()
    rates = [value for _, value in read_metrics(distiller.run_dir, "actor/learning_rate")]
    assert rates[0] == pytest.approx(5e-3) and rates[2] == pytest.approx(0.55 * 5e-3)
    assert rates == sorted(rates, reverse=True)


# Resume -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 3])
def test_an_interrupted_run_ends_with_the_same_weights(
    make_distiller: MakeDistiller, kept: int
) -> None:
    settings = {"teacher_decay": 0.5, "kept_rollouts": kept}
    whole = make_distiller(folder="whole", **settings)
    whole.run()

    first = make_distiller(folder="parts", **settings)
    interrupted = iter(range(3))

    def collect() -> dict[str, float]:
        if next(interrupted) == 2:
            raise KeyboardInterrupt
        return Distiller._collect(first)

    first._collect = collect
    with pytest.raises(KeyboardInterrupt):
        first.run()
    torch.rand(7)  # whatever happened in between
    second = make_distiller(folder="parts", **settings)
    second.resume()
    assert second.iteration == 2
    second.run()
    assert torch.equal(weights(whole), weights(second))
    curves = [read_metrics(each.run_dir, "actor/bc") for each in (whole, second)]
    assert curves[0] == curves[1] and len(curves[0]) == 4


def test_where_the_simulator_cannot_tell_its_state_new_episodes_begin(
    make_distiller: MakeDistiller,
) -> None:
    make_distiller(Drift(remembers=False), iterations=2).run()
    again = make_distiller(Drift(remembers=False), iterations=3)
    again.resume()
    again.run()
    assert again.iteration == 3


def test_time_runs_out(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(iterations=100)
    distiller.run(max_wall_s=1e-6)
    assert distiller.iteration == 1 and (distiller.run_dir / STATE_FILE).is_file()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher_decay": 1.1}, r"teacher_decay \(1.1\) must be in 0..1"),
        ({"batch_size": 0}, r"batch_size \(0\) must be >= 1"),
        ({"rollout_steps": 4}, r"rollout_steps \(4\) must be >= prefix \+ horizon \(5\)"),
    ],
)
def test_impossible_settings_are_refused(
    make_distiller: MakeDistiller, settings: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_distiller(**settings)


def test_resuming_needs_a_resume_point(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller()
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        distiller.resume()
    distiller.run_dir.mkdir()
    torch.save({"something": 1}, distiller.state_file)
    with pytest.raises(ValueError, match="no resume point of a distillation"):
        distiller.resume()
