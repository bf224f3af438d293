"""The whole experiment with scissors, tiny: all stages run, and a finished run is not run again."""

from functools import partial
from pathlib import Path

import pytest
from tiny_table import shrunk

from sernf_isaac.data.sources import load_episodes
from tasks.scissors_tape import configurations, environment
from tasks.scissors_tape.table_task import SCISSORS_TAPE
from tasks.table.comparison import Variant
from tasks.table.demonstrations import record_demonstrations
from tasks.table.evaluation import evaluate, load_fitting_policy
from tasks.table.experiment import Experiment
from tasks.table.report import comparison, load_result

SHORT_STEPS, TESTS = 15, 12


def test_all_stages_run_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "MAX_STEPS", SHORT_STEPS)  # nothing tiny gets anywhere
    store = record_demonstrations(SCISSORS_TAPE, tmp_path / "shown", 2)
    shown = load_episodes([str(store)], [])
    run = shrunk(Variant(SCISSORS_TAPE).settings(0))
    folder = tmp_path / "seed_0"
    first = Experiment(SCISSORS_TAPE, run, shown, folder, rollouts=0, episodes=TESTS)
    assert list(first.go()) == ["imitation", "warm_up", "offline"]
    rollouts = SCISSORS_TAPE.rollouts_per_round
    on = partial(Experiment, SCISSORS_TAPE, run, shown, folder, rollouts=rollouts, episodes=TESTS)
    trials = on().go()
    assert set(trials) == {"imitation", "warm_up", "offline", "online"}  # what was known is sorted
    assert all(len(stage) == TESTS for stage in trials.values())
    state = (folder / "online_state.pt").read_bytes()
    assert on().go() == trials
    assert (folder / "online_state.pt").read_bytes() == state

    result = load_result(folder)
    assert result.stages == trials
    text = comparison(SCISSORS_TAPE, [result])
    fixed, others = text.split("The other tests:")
    assert f"first {configurations.FIXED} tests" in fixed and "(0/10)" in fixed
    assert "(0/2)" in others and "| grasped | cut |" in others
    policy = load_fitting_policy(SCISSORS_TAPE, folder / "policy_online.pt")
    found = evaluate(SCISSORS_TAPE, policy, episodes=TESTS, candidates=2)
    assert found == trials["online"]


def test_rollouts_come_in_tens(tmp_path: Path) -> None:
    run = shrunk(Variant(SCISSORS_TAPE).settings(0))
    with pytest.raises(ValueError, match="multiple of 10"):
        Experiment(SCISSORS_TAPE, run, {}, tmp_path, rollouts=5)
