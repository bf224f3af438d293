"""RL in simulation: it improves, continues exactly, and several processes learn one policy."""

from pathlib import Path

import pytest
import torch
from tiny_polisher import EDGE, Line, tiny_polisher, weights
from torchrun import run_together

from sernf_isaac.learning.online.episode_files import load_episodes
from sernf_isaac.learning.online.polishing import (
    EPISODES,
    SIMULATED_FILE,
    Polisher,
    PolishPlan,
)
from sernf_isaac.metrics import read_metrics

HELPERS = Path(__file__).resolve().parents[3] / "helpers"
PAIR = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from sernf_isaac.learning.workers import together
from tiny_polisher import Line, tiny_polisher, weights
torch.set_num_threads(1)
out = Path(sys.argv[1])
with together("cpu") as workers:
    polisher = tiny_polisher(out / "run", Line(8), workers=workers)
    polisher.resume()
    began = weights(polisher)
    polisher.run()
    told = {{"began": began, "ended": weights(polisher), "seeds": polisher.env.seeds}}
    torch.save(told, out / f"{{workers.rank}}.pt")
"""


def stopped_after(polisher: Polisher, rounds: int) -> None:
    """Run until the resume point of so many rounds is written."""
    save = polisher.save

    def save_and_stop() -> None:
        save()
        if polisher.round == rounds:
            raise InterruptedError

    polisher.save = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        polisher.run()


def test_the_policy_earns_more_than_it_came_with(tmp_path: Path) -> None:
    polisher = tiny_polisher(
        tmp_path, Line(32), warm_up_rounds=2, online_rounds=4, updates_per_round=40
    )
    polisher.run()
    earned = [value for _, value in read_metrics(tmp_path, "rollout/reward_per_step")]
    assert sum(earned[-2:]) / 2 > sum(earned[:2]) / 2 + 0.2


def test_the_warm_up_changes_the_critics_alone(tmp_path: Path) -> None:
    polisher = tiny_polisher(tmp_path, online_rounds=0)
    before = {name: value.clone() for name, value in polisher.learner.actor.state_dict().items()}
    critics = [p.clone() for p in polisher.learner.critics.parameters()]
    polisher.run()
    after = polisher.learner.actor.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    now = polisher.learner.critics.parameters()
    assert any(not torch.equal(was, is_) for was, is_ in zip(critics, now, strict=True))


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = tiny_polisher(tmp_path / "whole", dropout=0.2)
    whole.run()
    stopped_after(tiny_polisher(tmp_path / "cut", dropout=0.2), 3)
    resumed = tiny_polisher(tmp_path / "cut", dropout=0.2)
    resumed.resume()
    assert resumed.round == 3
    resumed.run()
    assert torch.equal(weights(resumed), weights(whole))
    assert read_metrics(tmp_path / "cut", "rollout/reward") == read_metrics(
        tmp_path / "whole", "rollout/reward"
    )


def test_episodes_that_failed_are_not_imitated(tmp_path: Path) -> None:
    env = Line(16)
    env.reset = lambda: {"place": place_near_the_edge(env)}  # type: ignore[method-assign]
    polisher = tiny_polisher(tmp_path, env, warm_up_rounds=1, online_rounds=0)
    polisher.run()
    failed = read_metrics(tmp_path, "rollout/failed")[0][1]
    assert failed == 0.5
    replay = polisher._replay
    assert 0 < replay.num_offline < len(replay)


def place_near_the_edge(env: Line) -> torch.Tensor:
    env.place = torch.zeros(env.num_envs, 1)
    env.place[::2] = EDGE / 0.9 + 1.0
    return env.place


@pytest.mark.parametrize(("imitated", "more"), [("first", False), ("best", True)])
def test_what_is_imitated(tmp_path: Path, imitated: str, more: bool) -> None:
    polisher = tiny_polisher(tmp_path, imitated=imitated, warm_up_rounds=1, online_rounds=1)
    polisher.run()
    replay = polisher._replay
    assert replay.num_online == (0 if more else replay.num_offline)


def test_a_pair_goes_on_where_one_stopped_and_learns_one_policy(tmp_path: Path) -> None:
    alone = tiny_polisher(tmp_path / "run", Line(16))
    stopped_after(alone, 2)
    run_together(PAIR.format(tests=str(HELPERS)), tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first["began"], weights(alone))
    assert torch.equal(first["ended"], second["ended"])
    assert not torch.equal(first["began"], first["ended"])
    assert not set(first["seeds"]) & set(second["seeds"])


def test_missing_episodes_are_named(tmp_path: Path) -> None:
    tiny_polisher(tmp_path, online_rounds=0).run()
    (tmp_path / EPISODES / "0001.000.pt").unlink()
    with pytest.raises(FileNotFoundError, match="round 2 are gone"):
        tiny_polisher(tmp_path).resume()


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"plan\.imitated must be one of"):
        PolishPlan(imitated="all")
    with pytest.raises(ValueError, match="cannot be dealt out"):
        PolishPlan(batch_size=30, critic_updates=4)


def test_the_newest_rounds_are_kept_for_fine_tuning(tmp_path: Path) -> None:
    polisher = tiny_polisher(tmp_path, Line(5), kept_rounds=2)
    polisher.run()
    kept = load_episodes(tmp_path / SIMULATED_FILE)
    assert [episode.policy for episode in kept] == ["round 3"] * 5 + ["round 4"] * 5
    assert all(set(episode.observation) == {"place"} for episode in kept)
