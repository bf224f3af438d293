"""Pictures while the task goes on: they show the moment, and policies that see can be tried."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.policy import ChunkPolicy, load_policy
from tasks.duck_bowl import environment
from tasks.duck_bowl.configurations import Configuration
from tasks.duck_bowl.environment import DuckBowl
from tasks.duck_bowl.preset import offline_run
from tasks.duck_bowl.table_task import DUCK_BOWL
from tasks.manipulation.protocol import as_rows
from tasks.manipulation.settings import SPEC
from tasks.table.evaluation import evaluate, evaluate_files, load_fitting_policy
from tasks.table.live_pictures import WatchedTable
from tasks.table.pictures import TableCameras, draw_run
from tasks.table.scene import VIEWS

SIZE, KEYS = 32, ["pose", "hand", *VIEWS]
LEFT = Configuration((-0.15, 0.05), 0.2, (0.15, 0.04))
RIGHT = Configuration((-0.08, -0.03), -0.4, (0.11, -0.02))


class Notebook:
    """Stands where cameras are: pictures of one grey, which counts what was drawn."""

    size, views = 4, ("front",)

    def __init__(self) -> None:
        self.drawn = 0

    def images(self, observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert set(observation) == {"pose", "hand", "duck", "bowl"}
        self.drawn += 1
        return {"front": np.full((3, self.size, self.size), self.drawn, np.uint8)}


@pytest.fixture(scope="module")
def cameras() -> Iterator[TableCameras]:
    try:
        found = TableCameras(DUCK_BOWL, SIZE)
    except RuntimeError as error:
        pytest.skip(f"no way to draw on this machine: {error}")
    yield found
    found.close()


@pytest.fixture(scope="module")
def drawn(
    cameras: TableCameras, two_demonstrations: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A store with the first of the demonstrations, and pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    return draw_run(DUCK_BOWL, two_demonstrations, folder / "seen", size=SIZE, count=1)


@pytest.fixture(scope="module")
def seeing_policy(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy file after two steps of imitation from pictures, with a ResNet of random weights."""
    pytest.importorskip("torchvision", reason="needs the extra 'vision'")
    run, learner = offline_run(), offline_run().learner
    policy = replace(learner.policy, token_dim=16, width=16, num_couplings=4, num_heads=2)
    critic = replace(learner.critic, token_dim=16, num_heads=2, num_layers=1, feedforward=16)
    run = replace(
        run,
        data=[str(drawn)],
        keys=KEYS,
        learner=replace(learner, policy=policy, critic=critic),
        architecture=Architecture(vision=VisionConfig("resnet18", tuning="frozen")),
        successes_only=False,
        batch_size=4,
        rl_batch_size=4,
        imitation_steps=2,
        warm_up_steps=1,
        offline_steps=0,
        log_every=2,
        save_every=2,
    )
    with pytest.warns(UserWarning, match="random weights"):
        return offline.train(run, tmp_path_factory.mktemp("seeing"))


# Drawing ------------------------------------------------------------------------------------------


def test_only_what_moved_is_drawn_again() -> None:
    notebook = Notebook()
    env = DuckBowl(2, starts=lambda _: [LEFT, RIGHT], threads=1)
    watched = WatchedTable(env, notebook)  # type: ignore[arg-type]  # it has all that is used
    first = watched.reset()
    assert notebook.drawn == 2 and [int(g.max()) for g in first["front"]] == [1, 2]
    env._over[0] = True  # the first table waits for the next reset
    second, *_ = watched.step(env.hold.expand(2, -1))
    assert notebook.drawn == 3 and [int(g.max()) for g in second["front"]] == [1, 3]
    assert int(first["front"][1].max()) == 2, "what was given out before does not change"
    watched.reset()
    assert notebook.drawn == 4, "the first table still looks as it was drawn"


def test_the_watched_table_is_the_table() -> None:
    starts = [LEFT, RIGHT]
    plain = DuckBowl(2, starts=lambda _: starts, threads=1)
    env = DuckBowl(2, starts=lambda _: starts, threads=1)
    watched = WatchedTable(env, Notebook())  # type: ignore[arg-type]  # as above
    assert watched.num_envs == 2 and torch.equal(watched.hold, plain.hold)
    seen, expected = watched.reset(), plain.reset()
    for _ in range(3):
        assert set(seen) - set(expected) == {"front"}
        assert all(torch.equal(seen[name], value) for name, value in expected.items())
        seen, *outcome = watched.step(plain.hold.expand(2, -1))
        expected, *wanted = plain.step(plain.hold.expand(2, -1))
        assert all(torch.equal(a, b) for a, b in zip(outcome, wanted, strict=True))
    env.succeeded[1] = True
    watched.step(plain.hold.expand(2, -1))
    assert watched.succeeded.tolist() == [False, True]
    watched.load_state_dict(plain.state_dict())
    assert watched.state_dict() == plain.state_dict()


def test_live_pictures_are_those_drawn_afterwards(cameras: TableCameras, monkeypatch) -> None:
    monkeypatch.setattr(environment, "MAX_STEPS", 8)
    env = DuckBowl(2, starts=lambda _: [LEFT, RIGHT], threads=1)
    draw = torch.Generator().manual_seed(0)

    def wander(observation: dict[str, torch.Tensor], queue: torch.Tensor) -> torch.Tensor:
        away = torch.zeros(2, 10, 24)
        away[..., :3] = 0.1 * torch.randn(2, 1, 3, generator=draw)
        return env.hold + away

    episodes = collect(WatchedTable(env, cameras), wander, SPEC, hold=env.hold)
    for episode in episodes:
        numbers = {n: v for n, v in episode.observation.items() if n not in VIEWS}
        final = {n: v for n, v in episode.final_observation.items() if n not in VIEWS}
        again = cameras.with_images(replace(episode, observation=numbers, final_observation=final))
        for view in VIEWS:
            live = episode.observation[view]
            assert live.shape == (8, 3, SIZE, SIZE) and live.dtype == np.uint8
            np.testing.assert_array_equal(live, again.observation[view])
            np.testing.assert_array_equal(
                episode.final_observation[view], again.final_observation[view]
            )
        assert (episode.observation["front"][0] != episode.observation["front"][-1]).any()
    one, other = (episode.observation["front"][0] for episode in episodes)
    assert (one != other).any()


def test_some_cameras_may_be_left_out(cameras: TableCameras) -> None:
    now = {name: value[0].numpy() for name, value in DuckBowl(1, threads=1).reset().items()}
    front = TableCameras(DUCK_BOWL, SIZE, ["front"])
    seen = front.images(now)
    front.close()
    assert list(seen) == ["front"]
    np.testing.assert_array_equal(seen["front"], cameras.images(now)["front"])


def test_only_as_many_demonstrations_are_drawn_as_asked_for(
    drawn: Path, two_demonstrations: Path
) -> None:
    first = next(iter(load_episodes([str(two_demonstrations)], []).values()))
    (episode,) = load_episodes([str(drawn)], KEYS).values()
    np.testing.assert_array_equal(episode.action, first.action)
    assert all(episode.observation[v].shape == (len(first), 3, SIZE, SIZE) for v in VIEWS)


# Acting by pictures -------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_episodes")
def test_a_policy_that_sees_is_tried_on_live_pictures(seeing_policy: Path, tmp_path: Path) -> None:
    policy, numbers = load_fitting_policy(DUCK_BOWL, seeing_policy), tmp_path / "trials.json"
    assert policy.critics is not None and sorted(policy.layout.features) == ["hand", "pose"]
    trials = evaluate_files(DUCK_BOWL, [seeing_policy], numbers, episodes=2, candidates=2)
    (rows,) = json.loads(numbers.read_text()).values()
    assert rows == as_rows(trials[str(seeing_policy)]) and len(rows) == 2
    assert as_rows(evaluate(DUCK_BOWL, policy, episodes=2, candidates=2)) == rows


@pytest.mark.usefixtures("short_episodes")
def test_what_it_decides_depends_on_the_pictures(
    cameras: TableCameras, seeing_policy: Path
) -> None:
    policy = load_fitting_policy(DUCK_BOWL, seeing_policy)
    seen = WatchedTable(DuckBowl(1, starts=lambda _: [LEFT], threads=1), cameras).reset()
    prefix = DuckBowl(1, threads=1).hold.expand(1, 3, 24)

    def decide(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        draw = torch.Generator().manual_seed(0)
        return policy.decide(observation, prefix, candidates=2, rank="likelihood", generator=draw)

    chunk = decide(seen)
    assert torch.equal(chunk, decide(seen))
    assert not torch.equal(chunk, decide(seen | {"front": 255 - seen["front"]}))
    assert torch.equal(chunk, decide({name: v for name, v in seen.items() if name != "duck"}))
    with pytest.raises(ValueError, match="lacks 'front'"):
        decide({name: value for name, value in seen.items() if name != "front"})


def test_policies_for_something_else_are_refused(seeing_policy: Path, tmp_path: Path) -> None:
    policy, contract = load_policy(seeing_policy)
    other = tmp_path / "other.pt"
    policy.save(other, replace(contract, task="scissors_tape", control_rate_hz=20.0), {})
    with pytest.raises(
        ValueError,
        match=r"other.pt is no policy for this table: task is 'scissors_tape', expected "
        r"'duck_bowl'; control_rate_hz is 20.0, expected 10.0",
    ):
        load_fitting_policy(DUCK_BOWL, other)
    with pytest.raises(FileNotFoundError, match="no policy file"):
        evaluate_files(DUCK_BOWL, [tmp_path / "none.pt"], episodes=1, candidates=1)

    def with_layout(features: dict[str, int], sizes: dict[str, list[int]]) -> ChunkPolicy:
        architecture = policy.layout.architecture
        vision = replace(architecture.vision, cameras=sizes)
        layout = replace(
            policy.layout,
            features=features,
            architecture=replace(architecture, vision=vision),
        )
        return ChunkPolicy(layout, policy.actor, None, policy.normalizer)

    square = [3, SIZE, SIZE]
    for bad, message in (
        (with_layout({"pose": 6}, {}), "observes numbers {'pose': 6}"),
        (with_layout({"wrench": 6}, {}), "observes numbers {'wrench': 6}"),
        (with_layout({"pose": 7}, {"left": square}), r"sees through \['left'\]"),
        (with_layout({"pose": 7}, {"front": [3, 32, 40]}), "not squares of one size"),
        (
            with_layout({"pose": 7}, {"front": square, "under_hand": [3, 16, 16]}),
            "not squares of one size",
        ),
    ):
        with pytest.raises(ValueError, match=f"cannot act on this table: .*{message}"):
            evaluate(DUCK_BOWL, bad, episodes=1, candidates=1)
