"""Fingertips that are missing, silent or loose, and an orca_core that is another one."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from sernf_isaac.deploy.hand.orca_encoders import measure_only
from sernf_isaac.deploy.hand.orca_touch import ZERO_SAMPLES, Fingertips
from sernf_isaac.deploy.hand.sensors import FINGERS

pytest.importorskip("orca_core", reason="needs the extra 'hand'")


@dataclass
class Board:
    """What a hand of orca_core says of its fingertips."""

    fingers: tuple[str, ...] = FINGERS
    sends: bool = True
    fails: Exception | None = None
    calls: list[tuple] = field(default_factory=list)
    frame: object = None

    def start_tactile_stream(self, *, resultant: bool, taxels: bool) -> None:
        self.calls.append((resultant, taxels))
        if self.fails:
            raise self.fails
        self.next_frame()

    def zero_tactile_sensors(self, num_samples: int) -> None:
        self.calls.append(("zero", num_samples))

    def get_tactile_configuration(self) -> SimpleNamespace:
        return SimpleNamespace(active_sensors=list(self.fingers))

    def get_tactile_forces(self) -> object:
        return self.frame

    def next_frame(self) -> None:
        from orca_core.hardware.sensing.types import ResultantReading

        forces = {finger: [0.1 * n, -0.1 * n, 1.0 * n] for n, finger in enumerate(self.fingers)}
        self.frame = ResultantReading(forces) if self.sends else None  # type: ignore[arg-type]


def tips(board: Board, *, zero: bool = True) -> Fingertips:
    return Fingertips(board, 1.0, zero=zero, sleep=lambda _: None)


def test_forces_come_finger_by_finger_with_their_age() -> None:
    board = Board()
    feeling = tips(board)
    forces, age_s = feeling.look(10.0)
    np.testing.assert_allclose(forces.reshape(5, 3)[:, 2], [0.0, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(forces.reshape(5, 3)[2], [0.2, -0.2, 2.0])
    assert age_s == 0.0 and feeling.look(10.5)[1] == 0.5
    assert feeling.warning(0.5) == "" and "silent for over 1 s" in feeling.warning(1.1)
    board.next_frame()
    assert feeling.look(11.5)[1] == 0.0


def test_fingertips_are_zeroed_once_and_only_if_asked_for() -> None:
    board = Board()
    tips(board)
    assert board.calls == [(True, True), ("zero", ZERO_SAMPLES), (True, False)]
    board = Board()
    tips(board, zero=False)
    assert board.calls == [(True, False)]


def test_a_missing_fingertip_counts_as_no_force_and_is_told() -> None:
    feeling = tips(Board(fingers=tuple(finger for finger in FINGERS if finger != "ring")))
    forces = feeling.look(0.0)[0].reshape(5, 3)
    assert not forces[3].any() and forces[4].any()
    assert feeling.warning(0.0) == "no fingertip answers on ring"


def test_no_fingertips_are_an_error_that_says_what_to_do() -> None:
    from orca_core.hardware.tactile_client import NoSensorsAvailableError

    with pytest.raises(RuntimeError, match="no fingertip answers: none; check the sensing cable"):
        tips(Board(fails=NoSensorsAvailableError("none")))
    with pytest.raises(RuntimeError, match="could not be zeroed: stalled"):
        tips(Board(fails=TimeoutError("stalled")))
    with pytest.raises(RuntimeError, match="sent no frame within 2 s"):
        tips(Board(sends=False))


def test_an_orca_core_that_opens_encoders_in_another_way_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"no _attach_encoders.*version that pyproject\.toml"):
        measure_only(SimpleNamespace(_encoder_client=None, _loop=None))
