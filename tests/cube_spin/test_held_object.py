"""The held object: sizes, inertia as MuJoCo's, symmetries, and refusals that say what to do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from conftest import MakeTwin
from first_hand import V1

from sernf_isaac.deploy.protocols import PoseReading
from tasks.cube_spin import terms, world_terms
from tasks.cube_spin.config import (
    CONTROL_DT_S,
    EpisodeConfig,
    TaskConfig,
    platform_height_m,
    tuned_task,
)
from tasks.cube_spin.grasps import GraspBank, bank_file, load_grasps, task_constants
from tasks.cube_spin.hand.task import CubeSpin
from tasks.cube_spin.held_object import HeldObject, object_named, refuse_other_object
from tasks.cube_spin.physics import PRESETS, RANDOMIZED, WIDE
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.rotations import random_symmetry, reduced_rotation, tilt_rad, upright_axis
from tasks.cube_spin.runs.outside import outside_training
from tasks.cube_spin.student.environment import (
    StudentEnv,
    StudentObservationConfig,
    radian_constants,
)
from tasks.cube_spin.teacher.policy import teacher_contract
from tasks.cube_spin.twin.grasp_search import GraspSearch
from tasks.cube_spin.twin.scene import twin_spec

CUBE, CYLINDER = HeldObject(size_m=0.06), HeldObject("cylinder", 0.05, height_m=0.06)
SPHERE = HeldObject("sphere", 0.05, mass_kg=0.06)
OTHERS = pytest.mark.parametrize("held", [CUBE, CYLINDER, SPHERE], ids=lambda held: held.shape)
STILL = torch.zeros(3, 17)


def task_with(held: HeldObject) -> TaskConfig:
    return replace(tuned_task(), object=held)


def far_apart(count: int = 200) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 4).double(), dim=1)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"shape": "cone"}, r"object\.shape \('cone'\) must be one of cube, cylinder, sphere"),
        ({"size_m": 0.08}, r"object\.size_m \(0\.08 m\) must be within 0\.03 to 0\.07 m"),
        ({"size_m": 60.0}, r"object\.size_m \(60 m\) must be within"),
        ({"size_m": float("nan")}, r"object\.size_m \(nan m\) must be within"),
        ({"height_m": 0.05}, r"object\.height_m is for a cylinder, not for a cube"),
        ({"shape": "cylinder", "height_m": 0.2}, r"object\.height_m \(0\.2 m\) must be within"),
        ({"mass_kg": 80.0}, r"object\.mass_kg \(80 kg\) must be within 0\.005 to 0\.5 kg"),
    ],
)
def test_an_impossible_object_is_refused_by_name(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HeldObject(**settings)


def test_settings_that_were_written_later_are_looked_at_too() -> None:
    task = tuned_task()
    task.object.size_m = 0.1
    with pytest.raises(ValueError, match=r"object\.size_m"):
        task.__post_init__()


def test_labels_tell_objects_apart_and_can_be_read_back() -> None:
    assert [held.label for held in (HeldObject(), CUBE, CYLINDER, SPHERE)] == [
        *("cube 45 mm", "cube 60 mm", "cylinder 50 x 60 mm", "sphere 50 mm")
    ]
    for held in (HeldObject(), CUBE, CYLINDER, SPHERE):
        assert object_named(held.label).label == held.label
    assert HeldObject(mass_kg=0.1).is_first and not CUBE.is_first


@OTHERS
def test_inertia_and_bounds_are_those_that_mujoco_compiles(held: HeldObject) -> None:
    model = twin_spec(V1, held).compile()
    body, geom = model.body("cube").id, model.geom("cube").id
    mass, size = held.mass_kg, held.size_m
    np.testing.assert_allclose(model.body_inertia[body], held.inertia(mass, size), rtol=1e-9)
    np.testing.assert_allclose(model.geom_rbound[geom], held.reach_m(), rtol=1e-9)
    np.testing.assert_allclose(model.geom_aabb[geom, 3:], held.half_extents_m(), rtol=1e-9)


@OTHERS
def test_a_resized_object_is_the_same_as_a_compiled_one(
    held: HeldObject, make_twin: MakeTwin
) -> None:
    mass, size = 0.03, 1.05 * held.size_m
    physics = replace(PRESETS["nominal"], cube_mass_kg=(mass, mass), cube_size_m=(size, size))
    edited = make_twin(1, task_with(held), physics).world.models[0]
    spec = twin_spec(V1, held)
    spec.geom("cube").size, spec.geom("cube").mass = held.half_sizes_m(size), mass
    compiled = spec.compile()
    for name in ("body_mass", "body_inertia", "geom_size", "geom_rbound", "geom_aabb", "bvh_aabb"):
        np.testing.assert_allclose(getattr(edited, name), getattr(compiled, name), atol=1e-12)
    for name in ("body_invweight0", "dof_invweight0", "dof_M0"):
        np.testing.assert_allclose(getattr(edited, name), getattr(compiled, name), rtol=1e-6)


@OTHERS
def test_it_rests_on_the_platform_at_its_origin(held: HeldObject, make_twin: MakeTwin) -> None:
    twin = make_twin(3, task_with(held), PRESETS["nominal"].for_object(held), auto_reset=False)
    upright = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(3, 4)
    far = torch.tensor(V1.rest_rad).float().expand(3, -1)  # fingers straight: nothing is touched
    origin = twin.constants.cube_origin.expand(3, -1)
    twin.world.write(
        np.arange(3), joint_pos=far, cube_pos=origin, cube_quat=upright, cube_vel=torch.zeros(3, 3)
    )
    for _ in range(10):
        twin.world.step(far, torch.ones(3, dtype=torch.bool))
    sunk = (twin.world.read()["cube_pos"] - origin)[:, 2]
    assert ((sunk < -0.0005) & (sunk > -0.002)).all()  # the gap of a millimetre
    top = platform_height_m(V1, held) + 0.005
    assert V1.grasp_point_m[2] - held.upright_m / 2 - top == pytest.approx(0.001)


@pytest.mark.parametrize("shape", ["cylinder", "sphere"])
def test_what_an_unmarked_object_does_not_show_is_reduced(shape: str) -> None:
    quat = far_apart()
    alike = random_symmetry(len(quat), torch.Generator().manual_seed(0), shape).double()
    reduced = reduced_rotation(quat, shape)
    torch.testing.assert_close(reduced_rotation(roma.quat_product(quat, alike), shape), reduced)
    torch.testing.assert_close(reduced_rotation(reduced, shape), reduced)
    assert (reduced[:, 3] >= 0.0).all()
    torch.testing.assert_close(reduced.norm(dim=1), torch.ones_like(reduced[:, 0]))


def test_a_reduced_cylinder_keeps_its_axis_and_no_turn_about_it() -> None:
    quat = far_apart()
    before, after = upright_axis(quat), upright_axis(reduced_rotation(quat, "cylinder"))
    torch.testing.assert_close((before * after).sum(dim=1).abs(), torch.ones(len(quat)).double())
    assert (reduced_rotation(quat, "cylinder")[:, 2] == 0.0).all()


def test_tilt_is_the_lean_of_the_axis_or_nothing() -> None:
    lean = torch.tensor([0.0, 0.3, 1.2])
    about_x = roma.rotvec_to_unitquat(torch.stack([lean, 0 * lean, 0 * lean], dim=1))
    torch.testing.assert_close(tilt_rad(about_x, "cylinder"), lean, atol=1e-3, rtol=0.0)
    assert (tilt_rad(about_x, "sphere") == 0.0).all()
    assert tilt_rad(about_x)[2] == pytest.approx(torch.pi / 2 - 1.2, abs=1e-3)


def test_drawn_symmetries_of_a_cylinder_turn_it_and_stand_it_on_either_end() -> None:
    drawn = random_symmetry(2000, torch.Generator().manual_seed(0), "cylinder")
    axis = upright_axis(drawn)
    torch.testing.assert_close(axis[:, 2].abs(), torch.ones(2000))
    assert 0.45 < (axis[:, 2] > 0).float().mean() < 0.55
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(2000))


def test_presets_are_scaled_and_measured_numbers_are_not(tmp_path: Path) -> None:
    heavy = replace(CUBE, mass_kg=0.12)
    scaled = load_physics("wide", heavy)
    assert scaled.cube_size_m == pytest.approx((0.043 * 4 / 3, 0.048 * 4 / 3))
    assert scaled.cube_mass_kg == pytest.approx((0.03, 0.225))
    assert scaled.link_friction == WIDE.link_friction
    assert load_physics("wide", HeldObject()) is WIDE
    (tmp_path / "mine.yaml").write_text("base: wide\ncube_size_m: 0.0604\n")
    measured = load_physics(str(tmp_path / "mine.yaml"), heavy)
    assert measured.cube_size_m == (0.0604, 0.0604)
    assert measured.cube_mass_kg == scaled.cube_mass_kg


def test_physics_of_another_object_are_refused(make_twin: MakeTwin) -> None:
    with pytest.raises(ValueError, match=r"cube_size_m = \[0\.045, 0\.045\] m is not around"):
        make_twin(1, task_with(CUBE), RANDOMIZED)


def test_a_teacher_is_told_sizes_and_masses_relative_to_its_object() -> None:
    drawn = {"cube_size_m": torch.tensor([0.046]), "cube_mass_kg": torch.tensor([0.05])}
    scaled = {name: value * 4 / 3 for name, value in drawn.items()}
    told = world_terms.world_terms(scaled, 1, held=replace(CUBE, mass_kg=0.08 * 4 / 3))
    torch.testing.assert_close(told, world_terms.world_terms(drawn, 1))


def test_lost_and_reaching_widen_with_the_size(tiny_bank: GraspBank) -> None:
    small, large = (task_constants(task_with(held), tiny_bank) for held in (HeldObject(), CUBE))
    pos = small.cube_origin + torch.tensor([[0.0, 0.0, -0.04], [0.0, 0.0, -0.05]])
    assert terms.cube_lost(pos, small, EpisodeConfig()).tolist() == [True, True]
    assert terms.cube_lost(pos, large, EpisodeConfig()).tolist() == [False, True]


@OTHERS
def test_the_real_hands_task_agrees_with_the_twin(
    held: HeldObject, make_twin: MakeTwin, tiny_bank: GraspBank
) -> None:
    task = task_with(held)
    constants = radian_constants(task_constants(task, tiny_bank))
    physics = PRESETS["nominal"].for_object(held)
    twin = make_twin(3, task, physics, student=True, constants=constants)
    config = StudentObservationConfig()
    config.pose_noise = config.pose_noise.none()
    seen = StudentEnv(twin, config, shape=held.shape).get_observations()["history"][:, -1]
    expected = reduced_rotation(twin.state.cube_quat, held.shape)
    torch.testing.assert_close(seen[:, -4:], expected, atol=1e-5, rtol=1e-5)
    hand = CubeSpin(V1, held=held)
    limit = 0.035 * held.ratio
    for down in (0.99 * limit, 1.01 * limit):
        position = np.array(V1.grasp_point_m) - (0.0, 0.0, down)
        told = terms.cube_lost(torch.from_numpy(position)[None].float(), constants, task.episode)
        assert hand.lost(_reading(position)) == bool(told[0])


def _reading(position: np.ndarray) -> PoseReading:
    return PoseReading(0.0, position, np.array([0.0, 0.0, 0.0, 1.0]))


@OTHERS
def test_episodes_run_and_resume_bit_for_bit(held: HeldObject, make_twin: MakeTwin) -> None:
    twin, again = (make_twin(3, task_with(held), seed=5, physics=None) for _ in range(2))
    twin.step(STILL)
    again.load_state_dict(twin.state_dict())
    for one, other in zip(twin.step(STILL)[:3], again.step(STILL)[:3], strict=True):
        assert (one == other).all()


def test_a_bank_names_its_object_and_is_refused_for_another(
    tmp_path: Path, tiny_bank: GraspBank
) -> None:
    path = tmp_path / "bank.npz"
    tiny_bank.save(path, V1, CYLINDER)
    assert len(load_grasps(V1, path, CYLINDER)) == len(tiny_bank)
    command = r"search_grasps\.py --hand orca_v1_right --object cube --size_mm 60"
    with pytest.raises(ValueError, match=rf"is for the object cylinder 50 x 60 mm.*{command}"):
        load_grasps(V1, path, CUBE)
    tiny_bank.save(path, V1)
    with pytest.raises(ValueError, match=r"is for the object cube 45 mm, not for sphere 50 mm"):
        load_grasps(V1, path, SPHERE)


def test_a_missing_bank_gives_the_command_for_its_object() -> None:
    rare = HeldObject("cylinder", 0.0333, height_m=0.04)
    assert bank_file(V1, rare).name == "grasps_orca_v1_right_cylinder_33.3_x_40mm.npz"
    with pytest.raises(
        FileNotFoundError, match=r"--object cylinder --size_mm 33\.3 --height_mm 40"
    ):
        load_grasps(V1, held=rare)


def test_policies_name_their_object_and_are_refused_on_another(tiny_bank: GraspBank) -> None:
    task = task_with(SPHERE)
    contract = teacher_contract(task, task_constants(task, tiny_bank))
    assert contract.object == "sphere 50 mm"
    with pytest.raises(ValueError, match=r"x\.pt is for the object sphere 50 mm, not for cube 45"):
        refuse_other_object(contract.object, HeldObject(), "x.pt", "give another")
    first = teacher_contract(tuned_task(), task_constants(tuned_task(), tiny_bank))
    assert first.object == "" and "object" not in first.to_dict()
    refuse_other_object(first.object, HeldObject(), "x.pt", "")


def test_a_size_outside_a_policys_training_is_told_relative_to_its_object() -> None:
    assert outside_training(task_with(CUBE), RANDOMIZED.for_object(CUBE)) == []
    (told,) = outside_training(task_with(CUBE), PRESETS["reality"].for_object(CUBE))
    assert "cube_size_m = 0.0613333" in told


@OTHERS
def test_a_fingertip_touches_where_its_surface_reaches_the_object(held: HeldObject) -> None:
    search = GraspSearch(V1, batch=1, held=held)
    across, _, up = held.half_extents_m()
    points = torch.tensor([[[across + 0.01, 0, 0], [0, 0, up + 0.02], [0, 0, 0]]]).float()
    torch.testing.assert_close(search._outside(points), torch.tensor([[0.01, 0.02, 0.0]]))
    if held.shape != "cube":  # round: a point on the diagonal is nearer to a corner than to it
        diagonal = torch.tensor([[[across, across, 0.0]]])
        expected = across * (2**0.5 - 1)
        torch.testing.assert_close(search._outside(diagonal), torch.tensor([[expected]]))


@pytest.mark.parametrize(
    "held", [CUBE, HeldObject("cylinder", 0.05), HeldObject("sphere", 0.05)], ids=lambda o: o.shape
)
def test_shipped_grasps_of_other_objects_hold_them(held: HeldObject, make_twin: MakeTwin) -> None:
    bank = load_grasps(V1, held=held)
    task = replace(task_with(held), episode=EpisodeConfig(support_s=(0.0, 0.0)))
    physics = PRESETS["nominal"].for_object(held)
    twin = make_twin(32, task, physics, bank=bank, auto_reset=False)
    kept, lost = twin.joint_target.clone(), torch.zeros(32, dtype=torch.bool)
    for _ in range(round(2.0 / CONTROL_DT_S)):
        twin.world.step(kept, torch.zeros(32, dtype=torch.bool))
        pos = twin.world.read()["cube_pos"]
        lost |= terms.cube_lost(pos, twin.constants, task.episode)
    assert lost.sum() <= 2
    assert (pos - twin.constants.cube_origin)[~lost].norm(dim=1).max() < 0.02  # a sphere rolls
