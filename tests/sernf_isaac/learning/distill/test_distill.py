"""The distiller: who acts when, what is learnt, and that nothing depends on interruptions."""

import resource
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tiny_distiller import ENVS, FEATURES, SPEC, Drift, tiny_distiller, weights
from torch import Tensor

from sernf_isaac.chunk_queue import ChunkQueue
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.learning.distill.distiller import STATE_FILE, Distiller
from sernf_isaac.memory_use import peak_memory_gib
from sernf_isaac.metrics import read_metrics

MakeDistiller = Callable[..., Distiller]


@pytest.fixture
def make_distiller(tmp_path: Path) -> MakeDistiller:
    def make(env: Drift | None = None, folder: str = "run", **settings: object) -> Distiller:
        return tiny_distiller(tmp_path / folder, env, **settings)

    return make


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


def test_memory_counts_what_was_taken_and_given_back() -> None:
    torch.ones(2**27)  # half a GiB
    in_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory_gib() > 0.5
    assert peak_memory_gib() == pytest.approx(in_kib / 2**20, rel=0.01)


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


@pytest.mark.parametrize(("share", "exact"), [(0.6, True), (0.9, False)])
def test_windows_of_chunks_are_decisions_whose_chunk_the_teacher_executed(
    make_distiller: MakeDistiller, share: float, exact: bool
) -> None:
    """Bit for bit: what the student saw, what it had queued, and what was executed then.

    Negative control: while the teacher has more than two thirds, some begin behind its own prefix.
    """
    distiller = make_distiller(
        turns="chunks",
        teacher_share=share,
        teacher_decay=1.0,
        least_teacher_share=share,
        rollout_steps=80,
    )
    env, at_decision, queued = distiller.env, {}, {}
    assert isinstance(env, Drift)
    decide = distiller._actor._decide

    def listening(observation: dict[str, Tensor], prefix: Tensor) -> Tensor:
        step, due = len(env.executed), distiller._actor.decided.nonzero()[:, 0]
        for row, number in enumerate(due.tolist()):
            at_decision[step, number] = {name: v[row].clone() for name, v in observation.items()}
            queued[step, number] = prefix[row].clone()
        return decide(observation, prefix)

    distiller._actor._decide = listening
    distiller._collect()
    executed = torch.stack(env.executed)  # (T, N, A)
    starts = torch.cat(distiller._memory._starts)
    batch, same_prefix = distiller._memory.gather(starts), []
    for index, start in enumerate(starts.tolist()):
        step, number = divmod(start, ENVS)
        for name in FEATURES:
            seen = at_decision[step, number][name]  # no KeyError: a decision of the student
            assert torch.equal(batch.observation[name][index], seen)
        chunk = executed[step + SPEC.prefix : step + SPEC.prefix + SPEC.horizon, number]
        assert torch.equal(batch.chunk[index], chunk)
        same_prefix.append(torch.equal(batch.prefix[index], queued[step, number]))
    assert len(starts) > 12 and all(same_prefix) == exact


def test_the_share_falls_by_the_iteration(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(teacher_decay=0.5, iterations=3)
    distiller.run()
    shares = [value for _, value in read_metrics(distiller.run_dir, "distill/student_share")]
    assert shares == pytest.approx([0.0, 0.5, 0.75])
    measured = read_metrics(distiller.run_dir, "distill/student_share_executed")
    assert [value for _, value in measured] == pytest.approx(shares, abs=0.2)
    assert measured[0][1] == 0.0 and measured[1][1] != 0.5
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
    density = [value for _, value in read_metrics(distiller.run_dir, "distill/nll")]
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


def test_a_run_leaves_its_settings_as_they_were(make_distiller: MakeDistiller) -> None:
    distiller = make_distiller(final_learning_rate=0.1)
    before = deepcopy((distiller.config, distiller.learner.config, distiller.policy.layout))
    distiller.run()
    assert (distiller.config, distiller.learner.config, distiller.policy.layout) == before


@pytest.mark.parametrize(("kept", "turns"), [(1, "steps"), (3, "chunks")])
def test_an_interrupted_run_ends_with_the_same_weights(
    make_distiller: MakeDistiller, kept: int, turns: str
) -> None:
    settings = {"teacher_decay": 0.5, "kept_rollouts": kept}
    settings |= {"turns": turns, "least_teacher_share": 0.4}
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
    curves = [read_metrics(each.run_dir, "distill/nll") for each in (whole, second)]
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
        ({"candidates": 0}, r"candidates \(0\) must be >= 1"),
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
