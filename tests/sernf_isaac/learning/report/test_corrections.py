"""How long corrections last is found in actions that are made to hold them."""

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.learning.report.corrections import measure_corrections
from sernf_isaac.learning.report.findings import chunk_too_long

CHUNK, STEPS = 12, 200


def episode(action: np.ndarray, **flags: np.ndarray) -> Episode:
    return Episode(
        observation={"state": np.zeros((len(action), 1))},
        action=action,
        reward=np.zeros(len(action)),
        **flags,
    )


def reaches(seed: int) -> np.ndarray:
    """(T, 2) slow motions from place to place."""
    draw = np.random.default_rng(seed)
    times = np.linspace(0, 4, STEPS)
    return np.stack([np.sin(times + draw.uniform(0, 6)), np.cos(0.7 * times)], axis=1)


def bumps(seed: int, width: float) -> np.ndarray:
    """(T, 2) corrections of this width at half of their height, at random times."""
    draw = np.random.default_rng(seed)
    times, deviation = np.arange(STEPS), width / 2.355
    found = np.zeros((STEPS, 2))
    for dimension in range(2):
        for centre in draw.uniform(0, STEPS, 8):
            size = draw.choice([-0.3, 0.3])
            found[:, dimension] += size * np.exp(-0.5 * ((times - centre) / deviation) ** 2)
    return found


def measured(actions: list[np.ndarray]):
    return measure_corrections([episode(action) for action in actions], CHUNK)


def test_slow_motions_last_longer_than_a_chunk() -> None:
    found = measured([reaches(seed) for seed in range(4)])
    assert found.width is not None and found.width > CHUNK and chunk_too_long(found) is None


@pytest.mark.parametrize("width", [4.0, 7.0])
def test_quick_corrections_are_measured_and_told(width: float) -> None:
    found = measured([reaches(seed) + bumps(seed, width) for seed in range(8)])
    assert found.width == pytest.approx(1.41 * width, rel=0.25)
    assert (chunk_too_long(found) is not None) == (found.width < CHUNK)


def test_sensor_noise_neither_hides_nor_makes_corrections() -> None:
    draw = np.random.default_rng(0)
    noise = [0.03 * draw.normal(size=(STEPS, 2)) for _ in range(8)]
    with_bumps = measured([bumps(s, 4.0) + noise[s] for s in range(8)])
    assert with_bumps.width == pytest.approx(5.6, rel=0.3)
    assert measured(noise).width is None


def test_dimensions_that_switch_or_rest_are_left_out() -> None:
    gripper = np.repeat([0.0, 1.0], STEPS // 2)[:, None]
    rest = np.zeros((STEPS, 1))
    assert measured([np.concatenate([gripper, rest], axis=1)]).width is None
    moving = measured([np.concatenate([gripper, rest, reaches(s)], axis=1) for s in range(3)])
    assert len(moving.autocovariance) == 2


def test_short_episodes_do_not_count() -> None:
    assert measured([reaches(0)[: 2 * CHUNK - 1]]).width is None


def test_interventions_are_measured_in_pieces() -> None:
    flag = np.zeros(STEPS, bool)
    flag[[0, 1, 5, 6, 7, STEPS - 1]] = True
    found = measure_corrections([episode(reaches(0), intervened=flag)], CHUNK)
    assert found.interventions == (2, 3, 1)
