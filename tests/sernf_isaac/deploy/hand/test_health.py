"""What is told and what stops, with scripted numbers."""

import numpy as np
import pytest

from sernf_isaac.deploy.hand.health import CEILINGS, PAIRS, Health, HealthLimits

MOTORS = ("motor 1 (wrist)", "motor 2 (index_mcp)")
JOINTS = ("index_mcp",)


@pytest.fixture
def health() -> Health:
    return Health(HealthLimits(), MOTORS, JOINTS)


class After:
    """What is said once something has been so for a while."""

    def __init__(self, health: Health, see: str) -> None:
        self._health, self._see, self._now_s = health, getattr(health, see), 0.0

    def __call__(self, value: list[float], seconds: float) -> tuple[str, str]:
        """Warning and fault."""
        until_s = self._now_s + seconds
        while self._now_s < until_s:
            self._see(np.array(value), self._now_s)
            self._now_s += 0.025
        return self._health.warning, self._health.fault


def test_a_new_hand_is_well(health: Health) -> None:
    assert health.warning == health.fault == ""


@pytest.mark.parametrize(
    ("celsius", "warning", "fault"),
    [(60.0, "", ""), (61.0, "over 60", ""), (69.0, "over 60", "over 68")],
)
def test_a_hot_motor_is_told_then_stops_the_hand(
    health: Health, celsius: float, warning: str, fault: str
) -> None:
    health.see_temperatures(np.array([20.0, celsius]))
    told = [limit and f"{limit} degrees Celsius: {MOTORS[1]}" for limit in (warning, fault)]
    assert [health.warning, health.fault] == told
    health.see_temperatures(np.array([20.0, 40.0]))
    assert health.warning == health.fault == "", "it has cooled"


def test_a_hot_hand_is_told_in_one_line() -> None:
    health = Health(HealthLimits(), [f"motor {number}" for number in range(17)])
    health.see_temperatures(np.full(17, 65.0))
    assert health.warning == "over 60 degrees Celsius: motor 0, motor 1, motor 2 and 14 more"


def test_a_motor_without_a_temperature_is_told(health: Health) -> None:
    health.see_temperatures(np.array([np.nan, 30.0]))
    assert health.warning == "no temperature is known of motor 1 (wrist)" and health.fault == ""


def test_currents_count_only_if_they_last(health: Health) -> None:
    after = After(health, "see_currents")
    assert after([0.0, -3.0], 1.0) == ("", ""), "a push"
    told = "over 1.2 times the allowed current: motor 2 (index_mcp)"
    assert after([0.0, -1.5], 30.0) == (told, "")
    assert after([2.5, 0.0], 30.0)[1] == "over 2 times the allowed current: motor 1 (wrist)"


def test_a_slipping_tendon_is_told_then_stops_the_hand(health: Health) -> None:
    after = After(health, "see_drift")
    assert after([0.2], 0.05) == ("", ""), "motors lead in quick moves"
    warning, fault = after([0.2], 3.0)
    assert "over 10 degrees between encoder and motor of index_mcp" in warning and not fault
    assert "over 20 degrees between encoder and motor of index_mcp" in after([-0.4], 3.0)[1]
    health.forget_drift()
    assert health.warning == health.fault == "", "without torque tendons are slack"


def test_moves_to_and_fro_are_no_drift(health: Health) -> None:
    for time_s in np.arange(0.0, 5.0, 0.025):
        health.see_drift(np.array([0.3 * np.sin(2 * np.pi * 4.0 * time_s)]), time_s)
        assert health.warning == health.fault == ""


def test_what_a_motor_reports_stays_until_a_person_looked(health: Health) -> None:
    health.see_error("motor 2 (index_mcp)", "reports overload")
    health.see_temperatures(np.zeros(2))
    assert health.fault == "motor 2 (index_mcp): reports overload"
    health.forget()
    assert health.fault == ""


@pytest.mark.parametrize("name", vars(HealthLimits()))
def test_no_limit_can_be_off(name: str) -> None:
    for value in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"health.{name} .* must be positive"):
            HealthLimits(**{name: value})


@pytest.mark.parametrize("name", CEILINGS)
def test_no_limit_can_be_absurd(name: str) -> None:
    with pytest.raises(ValueError, match=f"health.{name} .* must be at most"):
        HealthLimits(**{name: 1.01 * CEILINGS[name]})


@pytest.mark.parametrize(("warns", "stops"), PAIRS)
def test_what_stops_is_told_before(warns: str, stops: str) -> None:
    most = getattr(HealthLimits(), stops)
    HealthLimits(**{warns: most})
    with pytest.raises(ValueError, match=f"health.{warns} .* must be at most health.{stops}"):
        HealthLimits(**{warns: 1.01 * most})
