"""Settings: one name in every script."""

import pytest

from docs.generate.asking import SCRIPTS, ask_settings
from docs.generate.settings import settings_of
from sernf_isaac.config import CriticConfig

LAMBDA, SIGMA = "learner.improvement.imitation_weight", "learner.improvement.sigma"
CANDIDATES, BATCH, RL_BATCH = "learner.improvement.candidates", "batch_size", "rl_batch_size"
IMITATING = {LAMBDA, SIGMA, CANDIDATES, BATCH, RL_BATCH, "spec.horizon", "learner.critic.ensemble"}
NAMES = {
    "train_offline.py": IMITATING,
    "two_doors.py": IMITATING,
    "run_ogbench.py": IMITATING,
    "duck_bowl.py": IMITATING,
    "scissors_tape.py": IMITATING,
    "finetune.py": {LAMBDA, SIGMA, CANDIDATES, RL_BATCH, "learner.critic.ensemble"},
    "rehearse.py": {LAMBDA, SIGMA, CANDIDATES, RL_BATCH, "learner.critic.ensemble"},
    "distill.py": {SIGMA, BATCH, "spec.horizon"},
}
ENDINGS = {name.rpartition(".")[2] for name in (LAMBDA, SIGMA, BATCH, RL_BATCH, "x.horizon")}


@pytest.mark.parametrize("script", NAMES)
def test_a_setting_has_one_name_in_all_scripts(script: str) -> None:
    names = {setting.key for setting in settings_of(ask_settings(SCRIPTS / script))}
    assert names >= NAMES[script]
    known = set().union(*NAMES.values())
    strange = {name for name in names if name.rpartition(".")[2] in ENDINGS} - known
    assert not strange, "the same number under another name"


@pytest.mark.parametrize("script", ["two_doors.py", "rehearse.py"])
def test_an_old_name_is_refused_with_a_hint(script: str) -> None:
    old = {"two_doors.py": f"offline.{LAMBDA}=1", "rehearse.py": f"learner.{LAMBDA}=1"}[script]
    with pytest.raises(ValueError, match=f"unknown setting.*did you mean '{LAMBDA}'"):
        ask_settings(SCRIPTS / script, [old])


def test_a_support_is_a_pair_wherever_it_comes_from() -> None:
    for arguments, expected in ((["learner.critic.support=[-2,3]"], (-2.0, 3.0)), ([], None)):
        run = ask_settings(SCRIPTS / "train_offline.py", arguments)
        assert run.learner.critic.support == expected
    with pytest.raises(ValueError, match="must be two numbers"):
        CriticConfig(support=(1.0, 2.0, 3.0))  # type: ignore[arg-type]
