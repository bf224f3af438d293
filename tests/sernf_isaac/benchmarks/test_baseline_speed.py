"""The table of costs counts the networks that are meant."""

import pytest

from sernf_isaac.benchmarks import baselines as speed
from sernf_isaac.learning.offline import config as offline_config
from sernf_isaac.models.architecture import KINDS


def test_the_table_has_the_papers_sizes_and_a_line_per_kind(monkeypatch) -> None:
    monkeypatch.setattr(speed, "_milliseconds", lambda call, device: 1.5)  # counts, runs nothing
    result = speed.baseline_speed(2, 1)
    assert result["flow_parameters"] == 53_034_752  # paper App. G, 24 actions
    assert result["gaussian_parameters"] == pytest.approx(53_034_752, rel=0.001)
    assert (result["act_parameters"], result["flow_matching_parameters"]) == (
        22_154_840,
        24_434_712,
    )
    table = speed.baseline_table(result)
    assert [line.split()[0] for line in table.splitlines()[1:]] == list(KINDS)
    assert table.splitlines()[1].split()[1:] == ["53,034,752", "1.5", "1.5"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_a_step_and_decides(kind: str, monkeypatch) -> None:
    small = {"token_dim": 32, "width": 16, "num_couplings": 4, "num_heads": 2}
    run = offline_config.as_baseline(offline_config.OfflineRun(spec=speed.SPEC), kind)
    for name, value in small.items():
        setattr(run.learner.policy, name, value)
    run.learner.critic.token_dim = 32
    run.architecture.act.num_layers = run.architecture.flow_matching.num_layers = 1
    learner = speed._learner(run, "cpu")
    assert learner.update_imitation(speed._random_batch(run.spec, 3))["actor/bc"].isfinite()
    chunk = speed._decide(learner, speed._random_batch(run.spec, 1), 2)
    assert chunk.shape == (1, run.spec.horizon, speed.ACTION_DIM) and chunk.abs().max() <= 1
