"""When tape is cut: the rule of geometry, with scissors that are moved by hand."""

import numpy as np
import pytest

from tasks.scissors_tape.scene import EDGE_M, STRIP_WIDTH_M
from tasks.scissors_tape.strip import BAND_M, MIDDLE_Z_M, PIECES, Strips

OPEN, SHUT = 0.2, 0.0
NEAR = -0.08


class Scissors:
    """One pair of scissors before one strip that begins at x = `NEAR` and leads along -x."""

    def __init__(self, yaw_rad: float = 0.0) -> None:
        self.strips = Strips(1)
        self.strips.hang(np.array([[NEAR, 0.0]]), np.array([yaw_rad]))

    def at(
        self, depth_m: float, opening_rad: float = OPEN, *, aside_m: float = 0.0, **more: float
    ) -> float:
        """Move the tips so deep into the strip; returns the share that is cut by now."""
        height, tilt = more.get("height_m", MIDDLE_Z_M), more.get("tilt_rad", 0.0)
        pose = np.zeros((1, 7))
        pose[0, :3] = NEAR - depth_m + EDGE_M[1], aside_m, height
        pose[0, 3], pose[0, 6] = np.sin(tilt / 2), np.cos(tilt / 2)
        self.strips.meet(pose, np.array([opening_rad]), np.ones(1, bool))
        return float(self.strips.share[0])

    def bite(self, depth_m: float, **where: float) -> float:
        """Go there with open blades, shut them, and open them again."""
        self.at(depth_m, **where)
        self.at(depth_m, SHUT, **where)
        return self.at(depth_m, **where)


def test_open_blades_cut_nothing_however_they_are_moved() -> None:
    scissors = Scissors()
    assert [scissors.at(depth) for depth in np.linspace(-0.02, 0.06, 20)] == [0] * 20


def test_the_strip_is_cut_bite_by_bite_and_never_by_one() -> None:
    scissors = Scissors()
    scissors.at(-0.02)
    first = scissors.bite(0.03)
    assert first == pytest.approx(0.6, abs=1 / PIECES)
    assert scissors.at(0.03, SHUT) == first  # again at the same place
    assert scissors.bite(STRIP_WIDTH_M + 0.002) == 1.0
    greedy = Scissors()
    greedy.at(-0.02)
    assert greedy.bite(STRIP_WIDTH_M + 0.002) < 1.0  # the edges are too short


def test_the_strip_may_come_between_the_blades_from_below() -> None:
    scissors = Scissors()
    scissors.at(0.03, height_m=0.06)
    assert scissors.bite(0.03) > 0.5


@pytest.mark.parametrize("aside", [0.03, -0.03])
def test_tape_that_a_blade_meets_from_outside_is_pushed_aside(aside: float) -> None:
    scissors = Scissors()
    scissors.at(-0.02, aside_m=aside)
    assert scissors.bite(0.03, aside_m=aside) == 0
    assert scissors.bite(0.03) == 0  # moving over does not get it between the blades
    scissors.at(-0.02)
    assert scissors.bite(0.03) > 0.5  # coming anew does


def test_tape_gives_way_to_a_blade_but_not_for_ever() -> None:
    held = Scissors()
    held.at(-0.02)
    held.at(0.03)
    assert held.at(0.03, SHUT, aside_m=0.02) > 0.5
    lost = Scissors()
    lost.at(-0.02)
    lost.at(0.03)
    assert lost.at(0.03, SHUT, aside_m=0.05) == 0


def test_blades_that_are_shut_tilted_or_beside_the_strip_do_not_cut() -> None:
    for where in ({"tilt_rad": 0.8}, {"height_m": 0.05}, {"height_m": 0.2}):
        scissors = Scissors()
        scissors.at(-0.02, **where)
        assert scissors.bite(0.03, **where) == 0, where
    scissors = Scissors()
    scissors.at(-0.02, SHUT)
    scissors.at(0.03, SHUT)
    assert scissors.bite(0.03) == 0


def test_a_cut_goes_on_at_its_height() -> None:
    scissors = Scissors()
    scissors.at(-0.02)
    first = scissors.bite(0.03)
    assert scissors.bite(0.052, height_m=MIDDLE_Z_M + 2 * BAND_M) == first
    assert scissors.bite(0.052, height_m=MIDDLE_Z_M + BAND_M / 2) > first


def test_other_rows_stay_as_they_are() -> None:
    strips = Strips(2)
    strips.hang(np.array([[NEAR, 0.0]] * 2), np.zeros(2))
    pose = np.array([[NEAR - 0.03 + EDGE_M[1], 0, MIDDLE_Z_M, 0, 0, 0, 1.0]] * 2)
    for opening in (OPEN, SHUT):
        strips.meet(pose, np.full(2, opening), np.array([True, False]))
    assert strips.share[0] > 0.5 and strips.share[1] == 0


def test_where_the_cut_is_to_go_on_moves_with_it() -> None:
    scissors = Scissors()
    np.testing.assert_allclose(scissors.strips.ahead[0], [NEAR, 0, MIDDLE_Z_M, 0])
    scissors.at(-0.02)
    cut = scissors.bite(0.03, height_m=0.1)
    wanted = [NEAR - cut * STRIP_WIDTH_M, 0, 0.1, 0]
    np.testing.assert_allclose(scissors.strips.ahead[0], wanted, atol=1e-9)
