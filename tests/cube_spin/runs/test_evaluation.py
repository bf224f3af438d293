"""The evaluation protocol: which episodes count, and what the metrics say about them."""

import json
import math
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from first_hand import V1
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin.config import CONTROL_DT_S, tuned_task
from tasks.cube_spin.episodes import EpisodeRecords
from tasks.cube_spin.evaluation.figures import episode_figure, evaluation_figure, training_figure
from tasks.cube_spin.evaluation.metrics import (
    METRICS,
    report_table,
    run_episodes,
    summarise,
    to_json,
)
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.teacher.policy import TeacherPolicy, save_teacher

PNG = b"\x89PNG"


def records(**values: object) -> EpisodeRecords:
    """Episodes of zeros but for the given columns."""
    count = len(next(iter(values.values())))
    zeros = {f.name: torch.zeros(count) for f in fields(EpisodeRecords)}
    return EpisodeRecords(**zeros | {k: torch.as_tensor(v).float() for k, v in values.items()})


class Metronome:
    """Environment i ends an episode every `periods[i]` steps; `length_s` numbers its episodes."""

    def __init__(self, periods: list[int]) -> None:
        self.num_envs, self.periods = len(periods), torch.tensor(periods)
        self.finished: EpisodeRecords | None = None
        self.ended = torch.zeros(self.num_envs)
        self.steps = 0

    def get_observations(self) -> TensorDict:
        return TensorDict({"teacher": torch.zeros(self.num_envs, 1)}, [self.num_envs])

    def step(self, _: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        self.steps += 1
        done = self.steps % self.periods == 0
        envs = done.nonzero()[:, 0]
        self.ended += done
        numbered = records(length_s=self.ended[envs], airborne_s=envs) if len(envs) else None
        self.finished = numbered
        return self.get_observations(), torch.zeros(self.num_envs), done.long(), {}


def counted(periods: list[int], episodes: int) -> dict[int, list[float]]:
    """Which of each environment's episodes were kept."""
    found = run_episodes(Metronome(periods), lambda seen: seen["teacher"], episodes)
    assert len(found) == episodes
    kept: dict[int, list[float]] = {env: [] for env in range(len(periods))}
    for env, number in zip(found.airborne_s.tolist(), found.length_s.tolist(), strict=True):
        kept[int(env)].append(number)
    return kept


# Counting -----------------------------------------------------------------------------------------


def test_every_environment_counts_its_first_episodes_however_long() -> None:
    assert counted([1, 3, 7], 6) == {0: [1, 2], 1: [1, 2], 2: [1, 2]}


def test_a_remainder_is_spread_before_the_start_not_after_the_end() -> None:
    """Cutting the list of ended episodes short would drop the long ones."""
    assert counted([7, 1, 1, 1], 5) == {0: [1, 2], 1: [1], 2: [1], 3: [1]}


def test_fewer_episodes_than_environments() -> None:
    assert counted([9, 1, 1], 2) == {0: [1], 1: [1], 2: []}


def test_playing_stops_with_the_last_wanted_episode() -> None:
    env = Metronome([2, 5])
    run_episodes(env, lambda seen: seen["teacher"], 4)
    assert env.steps == 10


# Metrics ------------------------------------------------------------------------------------------


@pytest.fixture
def two_episodes() -> EpisodeRecords:
    return records(
        airborne_s=[10.0, 5.0],
        length_s=[16.0, 11.0],
        turned_rad=[4 * math.pi, 2 * math.pi],
        commanded_rad=[5 * math.pi, 2.5 * math.pi],
        dropped=[0.0, 1.0],
        tilt_rad_s=[1.0, 0.5],
    )


def test_metrics_are_what_one_computes_by_hand(two_episodes: EpisodeRecords) -> None:
    summary = summarise(two_episodes)
    expected = {
        "episodes": 2,
        "rpm_in_hand": 3 / (15 / 60),
        "rpm_wall": 3 / (27 / 60),
        "turns_per_run": 1.5,
        "spin_ratio": 0.8,
        "spin_rad_s": 6 * math.pi / 15,
        "command_rad_s": 7.5 * math.pi / 15,
        "drops_per_minute": 1 / (15 / 60),
        "hold_median_s": 7.5,
        "hold_mean_s": 7.5,
        "tilt_deg": math.degrees(0.1),
        "drop_fraction": 0.5,
    }
    assert {name: summary[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    intervals = {f"{name}_ci95" for name in expected if name != "episodes"}
    assert set(summary) == set(expected) | intervals


def test_the_promised_names_are_there(two_episodes: EpisodeRecords) -> None:
    promised = ("rpm_in_hand", "rpm_wall", "turns_per_run", "drop_fraction", "spin_ratio")
    summary = summarise(two_episodes)
    for name in (*promised, "hold_median_s"):
        assert name in summary and len(summary[f"{name}_ci95"]) == 2
    assert summary["episodes"] == 2


def test_intervals_cover_the_value_and_shrink_with_more_episodes() -> None:
    widths = []
    for count in (20, 2000):
        turned = 10.0 + torch.randn(count)
        made = records(turned_rad=turned, airborne_s=torch.full((count,), 20.0))
        summary = summarise(made)
        low, high = summary["turns_per_run_ci95"]
        assert low < summary["turns_per_run"] < high
        widths.append(high - low)
    # 1.96 standard errors to each side
    assert widths[1] == pytest.approx(2 * 1.96 / math.sqrt(2000) / (2 * math.pi), rel=0.15)
    assert widths[0] > 5 * widths[1]


def test_intervals_do_not_depend_on_chance(two_episodes: EpisodeRecords) -> None:
    assert summarise(two_episodes) == summarise(two_episodes)


@pytest.mark.parametrize(
    ("dropped", "count", "low", "high"),
    [(0, 256, 0.0, 0.01478), (256, 256, 1 - 0.01478, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_the_share_of_drops_has_a_wilson_interval(
    dropped: int, count: int, low: float, high: float
) -> None:
    flags = torch.arange(count) < dropped
    summary = summarise(records(dropped=flags, airborne_s=torch.ones(count)))
    assert summary["drop_fraction"] == dropped / count
    assert summary["drop_fraction_ci95"] == pytest.approx([low, high], abs=1e-4)


@pytest.mark.filterwarnings("error")
def test_rates_are_nan_when_nothing_was_ever_in_the_air() -> None:
    summary = summarise(records(length_s=[1.0, 2.0], dropped=[1.0, 1.0]))
    for name in ("rpm_in_hand", "spin_ratio", "drops_per_minute", "tilt_deg"):
        assert math.isnan(summary[name]) and all(map(math.isnan, summary[f"{name}_ci95"]))
    strict = json.loads(to_json(summary), parse_constant=pytest.fail)
    assert strict["spin_ratio"] is None and strict["drop_fraction"] == summary["drop_fraction"]
    assert summary["rpm_wall"] == 0.0 and summary["hold_median_s"] == 0.0
    assert summary["drop_fraction"] == 1.0


def test_metrics_work_on_batches_of_resampled_episodes(two_episodes: EpisodeRecords) -> None:
    single = {f.name: getattr(two_episodes, f.name).numpy() for f in fields(EpisodeRecords)}
    batch = {name: values[None].repeat(3, axis=0) for name, values in single.items()}
    for name, metric in METRICS.items():
        assert metric(batch) == pytest.approx([float(metric(single))] * 3), name


# Reports ------------------------------------------------------------------------------------------


def test_the_table_has_a_row_per_metric_and_a_column_per_speed(
    two_episodes: EpisodeRecords,
) -> None:
    summary = summarise(two_episodes)
    result = {"policy": "teacher.pt"} | summary | {"by_speed": {"0.5": summary, "1.5": summary}}
    lines = report_table(result).splitlines()
    assert lines[0].split() == ["task", "0.5", "rad/s", "1.5", "rad/s"]
    assert {line.split()[0] for line in lines[1:]} == {*METRICS, "drop_fraction"}
    (row,) = [line for line in lines if line.startswith("turns_per_run")]
    assert row.count("1.5 [") == 3 and len({len(line) for line in lines}) == 1


def test_figures_are_written(tmp_path: Path, two_episodes: EpisodeRecords) -> None:
    summary = summarise(two_episodes)
    by_speed = {"-0.5": summary, "1.5": summary}
    evaluation_figure(tmp_path / "new" / "e.png", two_episodes, by_speed, "title")
    evaluation_figure(tmp_path / "e0.png", two_episodes, {}, "title")
    history = [{"env_steps": 1e5, "reward": 0.1}, {"env_steps": 2e5, "reward": 0.2, "hold_s": 1.0}]
    training_figure(tmp_path / "t.png", history, "title")
    names = ("time_s", "command_rad_s", "mean_spin_rad_s", "turns", "aloft")
    episode_figure(tmp_path / "p.png", {name: torch.rand(9).numpy() for name in names}, "title")
    written = list(tmp_path.rglob("*.png"))
    assert len(written) == 4 and all(path.read_bytes().startswith(PNG) for path in written)


# The protocol on a twin ---------------------------------------------------------------------------


@pytest.fixture
def still_policy(tmp_path: Path, tiny_bank) -> Path:
    """A policy that keeps still in the mean grasp."""
    task = tuned_task()
    constants = task_constants(task, tiny_bank)
    size = sum(observation_sizes(task.observation, V1).values())
    centre, scale = constants.action_centre, constants.action_scale
    policy = TeacherPolicy(task, centre, scale, (8,), observation_dim=size)
    for weight in policy.mlp.parameters():
        torch.nn.init.zeros_(weight)
    save_teacher(tmp_path / "still.pt", policy, notes={})
    return tmp_path / "still.pt"


def test_the_protocol_plays_the_papers_episode(still_policy: Path) -> None:
    request = EvaluationRequest(still_policy, episodes=3, num_envs=4, threads=1, speeds=(-0.5,))
    result, episodes = evaluate(request)
    again, _ = evaluate(request)
    assert result == again
    assert (result["policy"], result["sim"], result["horizon_s"]) == ("still.pt", "twin", 32.0)
    assert result["episodes"] == len(episodes) == result["by_speed"]["-0.5"]["episodes"] == 3
    kept = episodes.dropped == 0.0
    torch.testing.assert_close(
        episodes.airborne_s[kept],
        torch.full_like(episodes.airborne_s[kept], 26.0),
        atol=0.06,
        rtol=0,
    )
    fixed = result["by_speed"]["-0.5"]
    assert fixed["command_rad_s"] == pytest.approx(0.5) and abs(fixed["spin_rad_s"]) < 0.1
    assert episodes.length_s.max() <= 32.0 + CONTROL_DT_S


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sim": "gazebo"}, "'twin' or 'isaac', not 'gazebo'"),
        ({"physics": "realty"}, "'realty'"),
        ({"episodes": 0}, "at least 1"),
        ({"num_envs": 0}, "at least 1"),
    ],
)
def test_wrong_requests_are_refused(still_policy: Path, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(EvaluationRequest(still_policy, **settings))
