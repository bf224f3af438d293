"""Wide training worlds, the worlds kept for testing, and what a teacher is told of a world."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.assets import WORLDS
from tasks.cube_spin import world_terms
from tasks.cube_spin.physics import KINDS, NOMINAL, OURS, RANDOMIZED, WIDE, Physics
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs.worlds import ZOO, world_files

ZOO_FILES = world_files(ZOO)


def ends(physics: Physics, name: str) -> tuple[float, float]:
    """Smallest and largest value that is usually drawn."""
    value = getattr(physics, name)
    if isinstance(value, float):
        return value, value
    low, high = value
    return (low - 3 * high, low + 3 * high) if KINDS[name] == "gaussian" else (low, high)


def outside(physics: Physics) -> set[str]:
    """Parameters with a value that training in `wide` never draws, and on which side it lies."""
    beyond = set()
    for name in KINDS:
        (low, high), (least, most) = ends(physics, name), ends(WIDE, name)
        beyond |= {f"less {name}"} if low < least - 1e-9 else set()
        beyond |= {f"more {name}"} if high > most + 1e-9 else set()
    return beyond


def test_there_are_worlds_to_test_in() -> None:
    assert len(ZOO_FILES) >= 8 and all(file.parent == WORLDS for file in ZOO_FILES)


@pytest.mark.parametrize("file", ZOO_FILES, ids=lambda file: file.stem)
def test_no_test_world_is_one_of_the_training_worlds(file: Path) -> None:
    assert outside(load_physics(str(file)))


def test_no_two_test_worlds_leave_training_in_the_same_way() -> None:
    ways = [frozenset(outside(load_physics(str(file)))) for file in ZOO_FILES]
    assert len(set(ways)) == len(ways)


def test_wide_contains_the_papers_randomisation() -> None:
    for name in ("link_friction", "cube_friction", "damping_scale", "stiffness_scale"):
        (low, high), (inner_low, inner_high) = ends(WIDE, name), ends(RANDOMIZED, name)
        assert low <= inner_low and inner_high <= high


def test_worlds_grow_from_the_papers_to_all() -> None:
    first = WIDE.grown(0.0)
    assert all(getattr(first, name) == getattr(NOMINAL, name) for name in OURS)
    assert first.elliptic_cone == first.hull_collisions == first.action_delay_steps[1] == 0.0
    assert first.cube_friction == WIDE.cube_friction
    steps = [WIDE.grown(share / 10) for share in range(11)]
    assert steps[-1] == WIDE
    for name in OURS:
        lows, highs = zip(*(ends(physics, name) for physics in steps), strict=True)
        assert list(lows) == sorted(lows, reverse=True) and list(highs) == sorted(highs), name


def test_a_measured_value_does_not_grow() -> None:
    measured = replace(WIDE, impratio=(50.0, 50.0), joint_play_rad=(0.02, 0.02))
    assert measured.grown(0.0).impratio == (50.0, 50.0)
    assert measured.grown(0.3).joint_play_rad == (0.02, 0.02)


def test_a_teacher_is_told_every_parameter_over_its_range() -> None:
    for name, ends_told in world_terms.RANGES.items():
        if name == "contact_friction":
            continue
        at = list(world_terms.RANGES).index(name)
        at += 2 * (at > list(world_terms.RANGES).index("cube_centre_offset_m"))
        width = 3 if name == "cube_centre_offset_m" else 1
        for value, told in zip(ends_told, (-1.0, 1.0), strict=True):
            seen = world_terms.world_terms({name: torch.full((2, width), value)}, 2)
            assert seen.shape == (2, world_terms.SIZE)
            torch.testing.assert_close(seen[:, at : at + width], torch.full((2, width), told))


def test_what_lies_beyond_is_told_as_the_nearest_end() -> None:
    far = {"cube_mass_kg": torch.tensor([0.001, 0.9]), "impratio": torch.tensor([0.1, 500.0])}
    told = world_terms.world_terms(far, 2)
    assert told.abs().max() == 1.0 and told[:, 1].tolist() == [-1.0, 1.0]


def test_wide_worlds_are_told_apart() -> None:
    for name, (low, high) in world_terms.RANGES.items():
        if name in KINDS:
            assert (low, high) == pytest.approx(ends(WIDE, name))


def test_contact_friction_is_the_mean_of_hand_and_cube() -> None:
    slippery = {
        "link_friction": torch.tensor([0.4, 0.4]),
        "cube_friction": torch.tensor([0.4, 1.3]),
    }
    first, second = world_terms.world_terms(slippery, 2)[:, 0]
    assert first == -1.0 and second == pytest.approx(0.0, abs=1e-6)


def test_a_folder_without_worlds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no \*\.yaml"):
        world_files(str(tmp_path))
    assert world_files("randomized") == []
