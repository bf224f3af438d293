"""What the method is compared with: each kind learns, data are what they should be, one table."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.online.episode_files import unpack
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.models.architecture import KINDS
from sernf_isaac.models.build import build_actor
from sernf_isaac.models.layout import PolicyLayout
from tasks.duck_bowl.environment import FEATURES
from tasks.duck_bowl.preset import simulated
from tasks.duck_bowl.table_task import DUCK_BOWL
from tasks.manipulation.actions import ACTION_DIM
from tasks.manipulation.protocol import Trial
from tasks.table import comparison as variants
from tasks.table.comparison import successful_rollouts
from tasks.table.evaluation import evaluate, load_fitting_policy
from tasks.table.experiment import Experiment
from tasks.table.report import LABELS, Result, comparison, load_result

Variant = partial(variants.Variant, DUCK_BOWL)
VARIANTS = (
    *(Variant(policy) for policy in KINDS),
    Variant(demonstrations=45),
    Variant(imitation_only=True),
    Variant(demonstrations=45, imitation_only=True),
    Variant(used="all", imitation_only=True),
    Variant(rollouts_of=Path("there"), imitation_only=True),
    Variant("gaussian", imitation_only=True),
)


def trial(succeeded: bool, time_s: float = 5.0) -> Trial:
    return Trial(2 if succeeded else 1, succeeded, time_s, "success" if succeeded else "failure")


def result(name: str, *stages: list[Trial], label: str = "flow", steps: int = 1) -> Result:
    trials = dict(zip(LABELS, stages, strict=False))
    return Result(Path(name), label, 1234, {"imitation_steps": steps}, trials)


# Variants -----------------------------------------------------------------------------------------


def test_the_method_itself_is_the_default() -> None:
    assert Variant().settings(3) == simulated(3) and Variant().learns_online
    assert Variant().folder(Path("runs"), 3) == Path("runs/seed_3") and Variant().label == "flow"


def test_no_two_variants_share_a_folder_or_a_name() -> None:
    assert len({variant.folder(Path("runs"), 0) for variant in VARIANTS}) == len(VARIANTS)
    assert len({variant.label for variant in VARIANTS}) == len(VARIANTS)


def test_a_variant_changes_what_it_says_and_nothing_else() -> None:
    method = simulated(0)
    for variant in VARIANTS:
        run = variant.settings(0)
        assert run.learner.optimizer == method.learner.optimizer
        assert run.batch_size == method.batch_size
        assert run.imitation_steps == method.imitation_steps
        assert run.successes_only == (variant.used == "successful")
        only_imitates = variant.imitation_only or variant.policy in ("act", "flow_matching")
        with_critics = (method.warm_up_steps, method.offline_steps)
        assert (run.warm_up_steps, run.offline_steps) == ((0, 0) if only_imitates else with_critics)
        assert variant.learns_online != only_imitates
        run.check()


def weights_of(run: FourStageRun) -> int:
    sizes = (run.spec, run.learner.policy, run.learner.critic, 0, run.architecture)
    actor = build_actor(PolicyLayout(FEATURES, ACTION_DIM, *sizes))
    return sum(parameter.numel() for parameter in actor.flow.parameters())


def test_baselines_have_about_the_share_of_weights_that_they_have_in_the_paper() -> None:
    counts = {kind: weights_of(simulated(0, kind)) for kind in KINDS}
    assert counts["gaussian"] == pytest.approx(counts["flow"], rel=0.01)
    layout = {"num_couplings": 6, "base": "standard", "mixing": False}  # the paper's, this wide
    run = simulated(0)
    policy = replace(run.learner.policy, **layout)
    of_paper = weights_of(replace(run, learner=replace(run.learner, policy=policy)))
    shares = {"act": 22_154_840 / 53_034_752, "flow_matching": 24_434_712 / 53_034_752}
    for kind, share in shares.items():
        assert counts[kind] / of_paper == pytest.approx(share, abs=0.1)


def test_what_is_no_variant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"demonstrations used \('some'\) must be one of"):
        Variant(used="some")
    with pytest.raises(ValueError, match=r"demonstrations \(0\) must be at least 1"):
        Variant(demonstrations=0)
    with pytest.raises(ValueError, match=r"architecture.kind \('mlp'\) must be one of"):
        Variant("mlp").settings(0)


# Data ---------------------------------------------------------------------------------------------


def test_the_first_demonstrations_are_used_and_never_fewer(two_demonstrations: Path) -> None:
    everything = load_episodes([str(two_demonstrations)], [])
    assert list(Variant(demonstrations=1).data(two_demonstrations)) == list(everything)[:1]
    assert list(Variant(demonstrations=2).data(two_demonstrations)) == list(everything)
    with pytest.raises(ValueError, match="holds 2 demonstrations, not 3"):
        Variant(demonstrations=3).data(two_demonstrations)


def test_successful_rollouts_of_a_run_become_demonstrations(
    two_demonstrations: Path, finished_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no online rollouts \(online_state.pt\)"):
        successful_rollouts(tmp_path)
    assert not successful_rollouts(finished_run)  # nothing so small succeeds
    state = read_whole(finished_run / "online_state.pt")
    assert isinstance(state, dict)
    played = unpack(state["episodes"])
    assert len(played) == 5
    for index in (1, 3):
        state["episodes"]["outcome"][index] = "success"
    write_whole(tmp_path / "online_state.pt", state)
    shown = load_episodes([str(two_demonstrations)], [])
    found = Variant(demonstrations=2, rollouts_of=tmp_path).data(two_demonstrations)
    assert list(found)[:2] == list(shown) and len(found) == 4
    for episode, index in zip(list(found.values())[2:], (1, 3), strict=True):
        assert episode.outcome == "success" and episode.is_offline
        np.testing.assert_array_equal(episode.action, played[index].action)
    write_whole(tmp_path / "online_state.pt", {"other": 1})
    with pytest.raises(ValueError, match="no resume point of an online stage"):
        successful_rollouts(tmp_path)


# Learning -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_episodes")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flow"])
def test_every_kind_learns_acts_and_comes_back_from_its_file(
    two_demonstrations: Path, tmp_path: Path, tiny, kind: str
) -> None:
    variant = Variant(kind, demonstrations=2)
    run, shown = tiny(variant), variant.data(two_demonstrations)
    options = {"episodes": 2, "label": variant.label}
    trials = Experiment(DUCK_BOWL, run, shown, tmp_path, rollouts=0, **options).go()
    assert list(trials) == ["imitation", "warm_up", "offline"][: 3 if kind == "gaussian" else 1]
    found = load_result(tmp_path)
    assert found.label == variant.label and found.stages == trials
    policy = load_fitting_policy(DUCK_BOWL, tmp_path / "policy_imitation.pt")
    assert policy.layout.architecture.kind == kind
    assert found.parameters == sum(p.numel() for p in policy.actor.flow.parameters())
    assert evaluate(DUCK_BOWL, policy, episodes=2, candidates=2) == trials["imitation"]


def test_what_has_no_likelihood_does_not_go_online(
    two_demonstrations: Path, tmp_path: Path, tiny
) -> None:
    variant = Variant("act", demonstrations=2)
    shown = variant.data(two_demonstrations)
    with pytest.raises(ValueError, match=r"'act' has no likelihood.*rollouts = 0 instead of 5"):
        Experiment(DUCK_BOWL, tiny(variant), shown, tmp_path / "run", rollouts=5)
    run = tiny(variant)
    run = replace(run, offline_steps=1)
    with pytest.raises(ValueError, match="offline_steps=0"):
        Experiment(DUCK_BOWL, run, shown, tmp_path / "run", rollouts=0)
    assert not (tmp_path / "run").exists()


# The table ----------------------------------------------------------------------------------------


def test_the_table_pools_runs_and_tells_how_far_they_are_apart() -> None:
    won, slow, lost = trial(True, 4.0), trial(True, 8.0), trial(False)
    one = result("a", [won, slow], [lost, lost], [trial(True, 3.0), lost])
    two = result("b", [lost, trial(True, 6.0)], [won, lost], [trial(True, 9.0), trial(True, 5.0)])
    act = result("c", [lost, lost], label="ACT")
    head, _, first, second, third, fourth = comparison(DUCK_BOWL, [one, act, two]).splitlines()
    assert head.startswith("| policy | parameters | stage | runs | lifted | in the bowl |")
    assert first.startswith("| flow | 1,234 | imitation (I) | 2 | 100.0 ± 0.0 % ")
    assert "| 75.0 ± 35.4 % [30, 95] (3/4) | 6.00 | 5.00 (2) |" in first
    # Stage II fails where the others succeed; times are compared without it.
    assert "| critics choose (II) | 2 |" in second and second.endswith("| 4.00 | - |")
    assert "| offline RL (III) | 2 |" in third and third.endswith("| 5.67 | 4.00 (2) |")
    assert fourth.startswith("| ACT |") and "| 0.0 % [0, 66] (0/2) | - | - (0) |" in fourth


def test_runs_that_are_not_alike_are_not_pooled() -> None:
    one = result("a", [trial(True)])
    with pytest.raises(ValueError, match=r"a and b are both called 'flow'.*more than the seed"):
        comparison(DUCK_BOWL, [one, result("b", [trial(True)], steps=2)])
    with pytest.raises(ValueError, match="went through the stages"):
        comparison(DUCK_BOWL, [one, result("b", [trial(True)], [trial(True)])])
    with pytest.raises(ValueError, match="no results"):
        comparison(DUCK_BOWL, [])


def test_results_of_before_the_label_are_of_the_method(tmp_path: Path, tiny) -> None:
    rows = [{"milestones": 2, "succeeded": True, "time_s": 5.0, "outcome": "success"}]
    content = {"seed": 0, "stages": {"online": rows, "imitation": rows}, "parameters": 7}
    (tmp_path / "result.json").write_text(json.dumps(content))
    for now in (True, False):  # version 0.1 had the settings below "offline"
        text = OmegaConf.to_yaml(OmegaConf.structured(tiny()))
        old = "offline:\n" + "".join(f"  {line}\n" for line in text.splitlines())
        (tmp_path / "settings.yaml").write_text(text if now else old)
        found = load_result(tmp_path)
        assert found.label == "flow" and list(found.stages) == ["imitation", "online"]
        assert "seed" not in found.settings.get("offline", found.settings)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no whole result"):
        load_result(tmp_path)
