"""Physical parameters: the paper's ranges, honest draws, and files a lab writes by hand."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from tasks.cube_spin.held_object import CUBE_MASS_KG, CUBE_SIZE_M
from tasks.cube_spin.physics import (
    DISTILLATION,
    NOMINAL,
    PRESETS,
    RANDOMIZED,
    REALITY,
    STARTUP_PARAMETERS,
    Physics,
)
from tasks.cube_spin.physics_file import GAUSSIAN, load_physics

DRAWS = 20_000
PAPER_RANGES = {  # Appendix F.4 d)
    "link_friction": (0.5, 1.3),
    "link_mass_scale": (0.95, 1.05),
    "stiffness_scale": (0.75, 1.5),
    "damping_scale": (0.3, 3.0),
    "cube_friction": (0.5, 1.3),
    "cube_mass_kg": (0.2 * CUBE_MASS_KG, CUBE_MASS_KG),
    "gravity_m_s2": (-9.81, 0.5),
}
SWITCHES = ("elliptic_cone", "hull_collisions")
PARAMETERS = [f.name for f in fields(Physics) if f.name not in SWITCHES]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def physics_file(tmp_path: Path):
    def write(text: str) -> str:
        (tmp_path / "hand.yaml").write_text(text)
        return str(tmp_path / "hand.yaml")

    return write


def test_randomisation_has_the_papers_ranges() -> None:
    assert {name: getattr(RANDOMIZED, name) for name in PAPER_RANGES} == PAPER_RANGES
    small = ("joint_limit_offset_rad", "reset_position_m", "reset_rotation_rad")
    for name in (*small, "reset_velocity_m_s", "reset_joint_rad"):
        mean, deviation = getattr(RANDOMIZED, name)
        assert mean == 0.0 and 0.0 < deviation <= 0.02


def test_links_are_drawn_at_startup_and_the_rest_at_reset() -> None:
    assert set(STARTUP_PARAMETERS) == {"link_friction", "link_mass_scale"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_nominal_parameters_do_not_vary(name: str, generator: torch.Generator) -> None:
    draws = NOMINAL.sample(name, (50,), generator)
    assert (draws == draws[0]).all() and draws.dtype == torch.float32


def test_nominal_values_are_those_of_the_model() -> None:
    assert NOMINAL.cube_size_m == (CUBE_SIZE_M, CUBE_SIZE_M)
    assert NOMINAL.gravity_m_s2 == (-9.81, 0.0)
    for name in ("stiffness_scale", "damping_scale", "link_mass_scale"):
        assert getattr(NOMINAL, name) == (1.0, 1.0)


@pytest.mark.parametrize(
    "name", ["link_friction", "link_mass_scale", "stiffness_scale", "damping_scale", "cube_mass_kg"]
)
def test_draws_fill_their_range_and_do_not_leave_it(name: str, generator: torch.Generator) -> None:
    low, high = getattr(RANDOMIZED, name)
    draws, slack = RANDOMIZED.sample(name, (DRAWS,), generator), 0.01 * (high - low)
    assert low - 1e-6 <= draws.min() < low + slack
    assert high - slack < draws.max() <= high + 1e-6


def test_gains_are_log_uniform(generator: torch.Generator) -> None:
    draws = RANDOMIZED.sample("damping_scale", (DRAWS,), generator)
    assert draws.median() == pytest.approx((0.3 * 3.0) ** 0.5, rel=0.05)
    assert draws.log().mean() == pytest.approx(float(draws.log().median()), abs=0.05)
    assert draws.mean() > 1.1 * draws.median()  # a uniform draw would have them equal


def test_uniform_parameters_have_their_median_in_the_middle(generator: torch.Generator) -> None:
    assert RANDOMIZED.sample("link_friction", (DRAWS,), generator).median() == pytest.approx(
        0.9, abs=0.02
    )


def test_gravity_is_gaussian(generator: torch.Generator) -> None:
    draws = RANDOMIZED.sample("gravity_m_s2", (DRAWS,), generator)
    assert draws.mean() == pytest.approx(-9.81, abs=0.02)
    assert draws.std() == pytest.approx(0.5, rel=0.03)
    within = ((draws + 9.81).abs() < 0.5).float().mean()
    assert within == pytest.approx(0.683, abs=0.02)


@pytest.mark.parametrize(("low", "high"), [(0, 2), (1, 1), (1, 3)])
def test_delays_are_whole_steps_all_equally_likely(
    low: int, high: int, generator: torch.Generator
) -> None:
    physics = Physics(action_delay_steps=(float(low), float(high)))
    draws = physics.sample("action_delay_steps", (DRAWS,), generator)
    values, counts = draws.unique(return_counts=True)
    assert values.tolist() == list(range(low, high + 1))
    torch.testing.assert_close(
        counts / DRAWS, torch.full((len(counts),), 1 / len(counts)), rtol=0, atol=0.02
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (1.0, 1.0), (0.0, 2.0), (2.0, 5.0)])
def test_the_largest_uniform_number_is_not_one_step_too_late(
    low: float, high: float, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 + (1 - 2^-24) rounds to 2 in float32: one draw in 17 million indexed past the buffer."""
    largest = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    monkeypatch.setattr(torch, "rand", lambda shape, **_: largest.expand(shape).clone())
    draws = Physics(action_delay_steps=(low, high)).sample("action_delay_steps", (3,), generator)
    assert draws.tolist() == [high] * 3


def test_same_seed_same_draws_and_shapes_are_free() -> None:
    draws = [
        RANDOMIZED.sample("stiffness_scale", (3, 17), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert draws[0].shape == (3, 17)
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("physics", "expected"),
    [(NOMINAL, False), (RANDOMIZED, False), (REALITY, True), (DISTILLATION, True)],
)
def test_a_sensor_model_is_used_where_observations_differ(physics: Physics, expected: bool) -> None:
    assert physics.has_sensor_model is expected


@pytest.mark.parametrize(
    "name", [n for n in PARAMETERS if n.startswith("observation") or "noise" in n or "bias" in n]
)
def test_every_sensor_parameter_switches_the_sensor_model_on(name: str) -> None:
    assert Physics(**{name: (0.0, 1.0)}).has_sensor_model


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_found_by_name(name: str) -> None:
    assert load_physics(name) is PRESETS[name]


def test_a_single_number_pins_a_parameter(physics_file) -> None:
    physics = load_physics(physics_file("cube_mass_kg: 0.061\ncube_friction: 1\n"))
    assert physics == Physics(cube_mass_kg=(0.061, 0.061), cube_friction=(1.0, 1.0))


def test_a_single_number_for_a_gaussian_parameter_is_its_mean(physics_file) -> None:
    assert load_physics(physics_file("gravity_m_s2: -9.7")).gravity_m_s2 == (-9.7, 0.0)


def test_a_pair_is_a_range(physics_file) -> None:
    physics = load_physics(physics_file("stiffness_scale: [0.9, 1.1]\naction_delay_steps: [0, 2]"))
    assert physics.stiffness_scale == (0.9, 1.1) and physics.action_delay_steps == (0.0, 2.0)


def test_the_mean_and_deviation_of_a_gaussian_parameter_may_be_named(physics_file) -> None:
    physics = load_physics(physics_file("joint_limit_offset_rad: {mean: -0.02, std: 0.03}"))
    assert physics.joint_limit_offset_rad == (-0.02, 0.03)
    with pytest.raises(ValueError, match=r"cube_size_m must be a number or \[low, high\]"):
        load_physics(physics_file("cube_size_m: {mean: 0.04, std: 0.01}"))


@pytest.mark.parametrize("name", sorted(set(GAUSSIAN) - {"gravity_m_s2"}))
def test_a_pair_that_looks_like_a_range_is_none_where_a_gaussian_is_meant(
    physics_file, name: str
) -> None:
    with pytest.raises(ValueError, match=rf"{name} = .* looks like a range.*\[mean, std\]"):
        load_physics(physics_file(f"{name}: [-0.02, 0.01]"))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_within_the_bounds_for_files(physics_file, preset: str) -> None:
    physics = PRESETS[preset]
    lines = [f"{name}: {list(getattr(physics, name))}" for name in PARAMETERS]
    found = load_physics(physics_file("\n".join(lines)))
    assert all(getattr(found, name) == getattr(physics, name) for name in PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_has_bounds_and_says_its_unit(physics_file, name: str) -> None:
    with pytest.raises(ValueError, match=rf"hand\.yaml: {name} = 1000 .*(within|mean of|points)"):
        load_physics(physics_file(f"{name}: 1000"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gravity_m_s2: 9.81", r"points up: .* write -9\.81 m/s\^2"),
        ("gravity_m_s2: [9.81, 0.1]", "points up"),
        ("gravity_m_s2: -981", "mean of -30 to 0 m/s"),
        ("gravity_m_s2: [-9.9, 9.7]", "std of at most 3 m/s"),
        ("cube_mass_kg: 61", "within 0.001 to 1 kg; check the unit"),
        ("cube_mass_kg: [0.05, 80]", "within 0.001 to 1 kg"),
        ("cube_size_m: 45.2", "within 0.01 to 0.15 m"),
        ("cube_size_m: 4.5", "within 0.01 to 0.15 m"),
        ("action_delay_steps: 50", "within 0 to 8 control steps of 50 ms"),
        ("observation_delay_steps: [0, 20]", "within 0 to 8 control steps of 50 ms"),
        ("joint_noise_rad: 0.5", "within 0 to 0.3 rad"),
        ("reset_rotation_rad: [0, 5]", "std of at most 1 rad"),
        ("cube_position_noise_m: 2", "within 0 to 0.05 m"),
        ("stiffness_scale: 150", "within 0.05 to 20; check"),
        ("cube_mass_kg: 0.061\n\ncube_mass_kg: 0.08", "given twice, in lines 1 and 3"),
    ],
)
def test_what_no_hand_can_have_is_refused_with_its_unit(
    physics_file, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"hand\.yaml.*{message}"):
        load_physics(physics_file(text))


def test_files_in_other_encodings_are_named(tmp_path: Path) -> None:
    path, text = tmp_path / "hand.yaml", "cube_mass_kg: 0.061  # gew\u00e4hlt\n"
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(ValueError, match=r"hand\.yaml is text in UTF-16; save it as UTF-8"):
        load_physics(str(path))
    path.write_bytes(b"# 1\n" + text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"hand\.yaml is not text in UTF-8 \(line 2\)"):
        load_physics(str(path))
    path.write_bytes(text.encode("utf-8-sig"))
    assert load_physics(str(path)).cube_mass_kg == (0.061, 0.061)


def test_switches_are_read(physics_file) -> None:
    physics = load_physics(physics_file("elliptic_cone: true\ncollisions: hulls"))
    assert physics.elliptic_cone == 1.0 and physics.hull_collisions == 1.0


def test_contact_cones_may_be_mixed(physics_file) -> None:
    assert load_physics(physics_file("elliptic_cone: 0.25")).elliptic_cone == 0.25
    assert load_physics(physics_file("base: reality\nelliptic_cone: false")).elliptic_cone == 0.0


def test_a_file_may_start_from_a_preset(physics_file) -> None:
    physics = load_physics(physics_file("base: randomized\ncube_size_m: 0.044"))
    assert physics.cube_size_m == (0.044, 0.044)
    assert physics.cube_friction == RANDOMIZED.cube_friction


def test_an_empty_file_is_nominal(physics_file) -> None:
    assert load_physics(physics_file("# nothing measured yet\n")) == NOMINAL


def test_a_misspelt_parameter_gets_a_suggestion(physics_file) -> None:
    with pytest.raises(ValueError, match="'cube_mas_kg'; did you mean 'cube_mass_kg'"):
        load_physics(physics_file("cube_mas_kg: 0.06"))


def test_a_parameter_like_no_other_gets_the_list(physics_file) -> None:
    with pytest.raises(ValueError, match=r"'zzz'; known: link_friction, .*hull_collisions"):
        load_physics(physics_file("zzz: 1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cube_mass_kg: heavy", "cube_mass_kg must be a number or"),
        ("cube_mass_kg: [0.05]", "cube_mass_kg must be a number or"),
        ("cube_mass_kg: [1, 2, 3]", "cube_mass_kg must be a number or"),
        ("cube_mass_kg: true", "cube_mass_kg must be a number or"),
        ("cube_mass_kg:", "cube_mass_kg must be a number or"),
        ("cube_mass_kg: [0.05, .nan]", "cube_mass_kg = .* finite"),
        ("cube_mass_kg: .inf", "cube_mass_kg = .* finite"),
        ("cube_mass_kg: [0.05, x]", "cube_mass_kg = .* finite"),
        ("cube_mass_kg: [0.08, 0.05]", "cube_mass_kg = .*low.*high"),
        ("cube_mass_kg: 0", "cube_mass_kg = .*positive"),
        ("cube_friction: -0.5", "cube_friction = .*positive"),
        ("damping_scale: [0, 1]", "damping_scale = .*positive"),
        ("action_delay_steps: -1", "action_delay_steps = .*negative"),
        ("action_delay_steps: 0.5", "action_delay_steps = .*whole"),
        ("gravity_m_s2: [-9.9, -9.7]", r"gravity_m_s2 = .*mean, std"),
        ("joint_noise_rad: [-0.1, 0.1]", "joint_noise_rad = .*negative"),
        ("elliptic_cone: 1.5", "elliptic_cone must be true, false or a share"),
        ("elliptic_cone: [0, 1]", "elliptic_cone must be true, false or a share"),
        ("elliptic_cone: .nan", "elliptic_cone must be true, false or a share"),
        ("collisions: spheres", "collisions must be one of"),
        ("collisions: hulls\nhull_collisions: 1", "not both"),
        ("hull_collisions: 2", "hull_collisions must be true, false or a share"),
        ("base: lab\ncube_mass_kg: 0.06", "base 'lab' is not one of"),
        ("- cube_mass_kg", "expected 'parameter: value' lines"),
        ("cube_mass_kg: [0.05", "not valid YAML"),
    ],
)
def test_malformed_files_are_refused_by_name(physics_file, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)hand\.yaml.*{message}"):
        load_physics(physics_file(text))


def test_an_unknown_preset_or_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"'realty' is neither a file nor one of .*'reality'"):
        load_physics("realty")
