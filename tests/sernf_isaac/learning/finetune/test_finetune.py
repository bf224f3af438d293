"""A learner beside a robot: waits, learns, publishes, and survives being stopped."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tiny_finetune import CRITIC, FEATURES, MINUTES, SPEC, begin, commit, quick
from unused_settings import unused_settings

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.cli import apply_overrides
from sernf_isaac.config import ImprovementConfig
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.replay import Mixing
from sernf_isaac.data.store.channel import publish_checkpoint, silent_for_s, wanted_checkpoint
from sernf_isaac.data.store.labels import Label, add_label
from sernf_isaac.data.store.writer import create_run
from sernf_isaac.deploy.status import status_page
from sernf_isaac.learning.finetune.iterations import IterationPlan, IterationSampler
from sernf_isaac.learning.finetune.presets import preset
from sernf_isaac.learning.finetune.run import FinetuneRun, _build, finetune, load_settings
from sernf_isaac.learning.stages import ONLINE
from sernf_isaac.metrics import read_metrics
from sernf_isaac.models.build import build_critics
from sernf_isaac.policy import load_policy
from sernf_isaac.run_folder import save_settings


def no_wait(there: float, needed: float) -> None:
    raise AssertionError(f"waits with {there} of {needed} minutes")


@pytest.fixture
def run(tmp_path):
    return begin(tmp_path)


@pytest.fixture
def settings():
    return quick()


def weights(path) -> dict[str, torch.Tensor]:
    policy, _ = load_policy(path)
    return {f"a.{k}": v for k, v in policy.actor.state_dict().items()} | {
        f"j.{k}": v for k, v in policy.critics.state_dict().items()
    }


@pytest.fixture
def written(tmp_path, settings):
    """A run's folder with a learner's settings, and the text of their file."""
    path = tmp_path / "run" / "learner" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_settings(path.parent, settings)
    loaded = load_settings(tmp_path / "run")
    assert OmegaConf.to_yaml(OmegaConf.structured(loaded)) in path.read_text()
    assert loaded.updates_per_iteration == 4
    assert [file.name for file in path.parent.iterdir()] == ["config.yaml"]
    return tmp_path / "run", path, path.read_text()


def unmarked(text: str) -> str:
    """As earlier versions wrote it."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def test_settings_that_were_cut_anywhere_are_refused_and_not_filled_in(written):
    folder, path, text = written
    for cut in (*range(0, len(text), 17), *range(len(text) - 20, len(text))):
        path.write_text(text[:cut])
        with pytest.raises(ValueError, match=r"config.yaml does not hold"):
            load_settings(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "lacks seed"),
        (lambda t: t.replace("# end\n", ""), "its end is missing"),
        (lambda t: t.replace("updates_per_iteration: 4\n", ""), "lacks updates_per_iteration;"),
        (lambda t: unmarked(t).replace("seed: 0\n", ""), "lacks seed"),
        (lambda t: t.replace("  critic:\n", "  critics:\n"), r"lacks learner\.critic"),
        (lambda t: t.replace("seed: 0", "seed: zero"), "zero"),
        (lambda t: t.replace("seed: 0", "seed: [0"), "config.yaml"),
        (lambda t: t.replace("seed: 0", "seed: 0\nseeds: 1"), "seeds"),
    ],
)
def test_settings_of_which_something_is_missing_or_wrong_are_refused(written, change, message):
    folder, path, text = written
    path.write_text(change(text))
    with pytest.raises(ValueError, match=message):
        load_settings(folder)


def test_settings_of_an_earlier_version_are_read_if_all_are_there(written):
    folder, path, text = written
    before = load_settings(folder)
    path.write_text(unmarked(text))
    assert load_settings(folder) == before


def test_a_crash_while_settings_are_written_leaves_none(tmp_path, settings, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_settings(tmp_path, settings)
    assert not (tmp_path / "config.yaml").exists()


def test_each_preset_is_what_it_says():
    assert preset("paper") == FinetuneRun()
    small = preset("small")
    assert small.rl_batch_size * small.updates_per_iteration < 512 * 1000
    low, high = small.learner.critic.support
    assert low + high == 0.0, "fresh critics answer with the middle"
    with pytest.raises(ValueError, match=r"'small', 'paper'.*not 'tiny'"):
        preset("tiny")


def test_every_setting_is_used_or_refused(run, settings):
    assert unused_settings(settings, lambda: finetune(settings, run, wait=no_wait)) == []


def test_the_noise_of_sampling_is_the_first_policys_unless_given(run, settings):
    _, policy = _build(settings, load_policy(run.parent / "first.pt")[0], None, "cpu")
    assert policy.sigma == 0.3
    learner = replace(settings.learner, improvement=ImprovementConfig(sigma=0.5))
    louder = replace(settings, learner=learner)
    _, policy = _build(louder, load_policy(run.parent / "first.pt")[0], None, "cpu")
    assert policy.sigma == 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "learner.policy.width=32",
            r"policy.width = 32 .*no effect.*the run's first policy",
        ),
        (
            "learner.optimizer.imitation_learning_rate=1",
            "imitation_learning_rate = 1.0 .*no effect",
        ),
    ],
)
def test_what_fine_tuning_cannot_change_is_refused(settings, override, message):
    with pytest.raises(ValueError, match=message):
        apply_overrides(settings, [override])


def test_critics_of_the_first_policy_are_kept_unless_fresh_ones_are_asked_for(run, settings):
    first, contract = load_policy(run.parent / "first.pt")
    first.critics = build_critics(first.layout, first.actor)
    first.save(run.parent / "judged.pt", contract, {})
    names = load_checkpoint(run.parent / "judged.pt").weights
    assert any(name.startswith("judge.critic.") for name in names), "as files always named them"
    keep = replace(settings, fresh_critics=False)
    judged, _ = load_policy(run.parent / "judged.pt")
    learner, _ = _build(keep, judged, None, "cpu")
    assert learner.critics is judged.critics
    assert learner.config.critic == CRITIC, "their own sizes, whatever the settings say"
    other = replace(CRITIC, support=(-8.0, 8.0))
    fresh = replace(settings, fresh_critics=True, learner=replace(settings.learner, critic=other))
    learner, policy = _build(fresh, judged, None, "cpu")
    assert learner.critics is not judged.critics
    assert policy.layout.critic == other


def test_the_policy_is_frozen_in_the_warm_up_and_published_after_it(run, settings):
    before, _ = load_policy(run.parent / "first.pt")
    settings.offline_iterations = settings.online_iterations = 0
    finetune(settings, run, wait=no_wait)
    assert wanted_checkpoint(run).step == 0
    shutil.rmtree(run / "learner")
    settings.offline_iterations = 1
    path = finetune(settings, run, wait=no_wait)
    assert wanted_checkpoint(run).step == 8
    after, contract = load_policy(path)
    changed = [
        name
        for name, value in after.actor.state_dict().items()
        if not torch.equal(value, before.actor.state_dict()[name])
    ]
    assert changed and after.critics is not None
    assert after.sigma == before.sigma == 0.3 and contract.task == "test"


@pytest.mark.parametrize("kind", ["chunk", "per_step"])
def test_critics_of_either_kind_choose_after_a_restart(run, settings, kind):
    settings.learner = replace(settings.learner, critic=replace(CRITIC, kind=kind))
    policy, _ = load_policy(finetune(settings, run, wait=no_wait))
    assert policy.critics is not None and policy.layout.critic.kind == kind
    seen = {"state": torch.zeros(1, SPEC.history, 3), "goal": torch.zeros(1, 1)}
    prefix, draw = torch.zeros(1, SPEC.prefix, 2), torch.Generator().manual_seed(0)
    chunk = policy.decide(seen, prefix, candidates=8, generator=draw)
    assert chunk.shape == (1, SPEC.horizon, 2)
    assert (kind == "per_step") == _looks_at_the_first_action_alone(policy.critics)


def _looks_at_the_first_action_alone(critics) -> bool:
    tokens, chunk = torch.randn(1, 3, CRITIC.token_dim), torch.rand(1, SPEC.horizon, 2)
    later = chunk.clone()
    later[:, 1:] *= -1
    critics.eval()
    return torch.equal(critics.critic.value(chunk, tokens), critics.critic.value(later, tokens))


class StoppedError(Exception):
    """The learner's process was killed."""


@pytest.mark.parametrize("at", [1, 6, 11])
def test_a_learner_that_is_killed_goes_on_to_the_same_weights(run, settings, monkeypatch, at):
    straight = run.parent / "straight"
    shutil.copytree(run, straight)
    expected = weights(finetune(settings, straight, wait=no_wait))
    draws, draw = 0, IterationSampler.draw

    def dying(self, stage):
        nonlocal draws
        draws += 1
        if draws == at + 1:
            raise StoppedError
        return draw(self, stage)

    monkeypatch.setattr(IterationSampler, "draw", dying)
    with pytest.raises(StoppedError):
        finetune(settings, run, wait=no_wait)
    monkeypatch.undo()
    again = load_settings(run)
    found = weights(finetune(again, run, resume=True, wait=no_wait))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert [step for step, _ in read_metrics(run / "learner", "critic/grad_norm")] == [
        *range(2, 13, 2)
    ]


def test_a_learner_is_not_started_over_another_by_mistake(run, settings):
    path = finetune(settings, run, wait=no_wait)
    before = {file: file.read_bytes() for file in sorted((run / "learner").iterdir())}
    with pytest.raises(ValueError, match="holds a learner already: go on with --resume, or move"):
        finetune(replace(settings, seed=1), run, wait=no_wait)
    assert {file: file.read_bytes() for file in sorted((run / "learner").iterdir())} == before
    (run / "learner").rename(run / "learner_before")
    assert finetune(settings, run, wait=no_wait) == path


@pytest.mark.parametrize("resume", [True, False])
def test_two_learners_do_not_share_a_run(run, settings, resume):
    settings.minutes_per_iteration = 2 * MINUTES
    met = []

    def other(there: float, needed: float) -> None:
        with pytest.raises(ValueError, match="is being written by another process") as caught:
            finetune(settings, run, resume=resume, wait=no_wait)
        met.append(caught.value)
        commit_all(run)

    finetune(settings, run, wait=other)
    assert len(met) == 1
    finetune(settings, run, resume=True, wait=no_wait)  # it let go


def test_it_waits_for_the_robot_and_takes_what_came_meanwhile(run, settings):
    settings.minutes_per_iteration = 2 * MINUTES  # 2, 4 and 6 episodes; there are 3
    asked = []

    def robot(there: float, needed: float) -> None:
        asked.append((round(there / MINUTES), round(needed / MINUTES)))
        commit(run, 10 + len(asked), is_offline=False)

    finetune(settings, run, wait=robot)
    assert asked == [(3, 4), (4, 6), (5, 6)]
    minutes = [value for _, value in read_metrics(run / "learner", "data/minutes")]
    assert np.round(np.array(minutes) / MINUTES).tolist() == [3, 4, 6]


@pytest.fixture
def make_sampler(run):
    def make() -> IterationSampler:
        ones = {name: (-np.ones(size), np.ones(size)) for name, size in FEATURES.items()}
        return IterationSampler(
            run,
            keys=list(FEATURES),
            spec=SPEC,
            normalizer=Normalizer(ones | {ACTION: (-np.ones(2), np.ones(2))}),
            plan=IterationPlan(updates=3, minutes=MINUTES, control_rate_hz=20.0, batch_size=16),
            mixing=Mixing("uniform"),
            seed=0,
            wait=no_wait,
        )

    return make


def test_new_data_and_new_labels_count_from_the_next_iteration(run, make_sampler):
    sampler = make_sampler()
    sampler.draw(ONLINE)
    state = sampler.state_dict()
    expected = sampler.draw(ONLINE)
    for name in sorted(path.stem for path in run.glob("commits/*.json")):
        add_label(run, name, Label("ann", events=((0, 50.0, "person"),)))
    commit(run, 9, is_offline=False)
    resumed = make_sampler()
    resumed.load_state_dict(state)
    batch = resumed.draw(ONLINE)
    torch.testing.assert_close(batch.chunk, expected.chunk)
    torch.testing.assert_close(batch.reward, expected.reward)
    resumed.draw(ONLINE)
    assert resumed.iteration == 0 and resumed.data_minutes == pytest.approx(3 * MINUTES)
    later = torch.cat([resumed.draw(ONLINE).reward for _ in range(3)])
    assert resumed.iteration == 1 and resumed.data_minutes == pytest.approx(4 * MINUTES)
    assert later.max() > 10.0 > expected.reward.max()


def test_a_lost_episode_is_an_error(run, make_sampler):
    sampler = make_sampler()
    sampler.draw(ONLINE)
    state = sampler.state_dict()
    next(run.glob("commits/*.json")).unlink()
    with pytest.raises(ValueError, match="lost episodes"):
        make_sampler().load_state_dict(state)


def test_a_run_without_a_policy_or_a_learner_says_so(tmp_path, settings):
    create_run(tmp_path, {"task": "test"})
    with pytest.raises(ValueError, match="no first policy"):
        finetune(settings, tmp_path, wait=no_wait)
    with pytest.raises(FileNotFoundError, match="no learner to resume"):
        load_settings(tmp_path)


def test_the_status_page_tells_what_both_are_doing(run, settings):
    finetune(settings, run, wait=no_wait)
    page = status_page(run)
    assert "3 failure" in page and "0.1 minutes" in page
    for words in ("critic loss", "clipped actions", "latest", "the robot takes", "never"):
        assert words in page, words
    assert silent_for_s(run, "learner") < 60.0


@pytest.mark.parametrize("aligned", [True, False])
def test_windows_begin_where_the_robot_decided_unless_told_otherwise(
    run, settings, monkeypatch, aligned
):
    specs = []
    whole = IterationSampler.__init__

    def note(self, *args, **kwargs):
        specs.append(kwargs["spec"])
        whole(self, *args, **kwargs)

    monkeypatch.setattr(IterationSampler, "__init__", note)
    settings = replace(settings, align_to_decisions=aligned)
    policy, _ = load_policy(finetune(settings, run, wait=lambda *_: commit_all(run)))
    assert [spec.align_to_decisions for spec in specs] == [aligned]
    assert policy.layout.spec == SPEC  # how data are cut is no property of the policy


def commit_all(run):
    """More data whenever the learner waits."""
    for number in range(3, 12):
        commit(run, number, is_offline=False)


def test_a_batch_is_dealt_out_in_equal_parts():
    with pytest.raises(ValueError, match="10 rows cannot be dealt out among 4 critic_updates"):
        FinetuneRun(rl_batch_size=10, critic_updates=4)


def test_a_run_at_another_rate_than_the_policys_is_refused(run, tmp_path, settings):
    other = tmp_path / "other"
    create_run(other, {"task": "test", "control_rate_hz": 10.0})
    publish_checkpoint(other, tmp_path / "first.pt", 0)
    for number in range(3):
        commit(other, number, is_offline=True)
    with pytest.raises(ValueError, match=r"control_rate_hz is 20, but the steps of .* at 10 Hz"):
        finetune(settings, other, wait=no_wait)
