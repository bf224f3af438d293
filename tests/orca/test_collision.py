"""Fitting primitives recovers shapes that are known."""

import numpy as np
import pytest
from first_hand import ROOT_BODY, V1

from tasks.orca.collision import body_surface, distance_to_segment, fit_box, fit_capsule
from tasks.orca.official import original_spec
from tasks.orca.shapes import Capsule


def capsule_surface(capsule: Capsule, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (count, 3) all over a capsule's surface, about evenly."""
    start, end = np.array(capsule.start), np.array(capsule.end)
    directions = rng.normal(size=(20 * count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    around = start + (end - start) * rng.uniform(-0.5, 1.5, (len(directions), 1))
    points = around + capsule.radius * directions
    on_surface = np.abs(distance_to_segment(points, start, end) - capsule.radius) < 1e-4
    return points[on_surface][:count]


def test_capsule_fit_recovers_a_capsule() -> None:
    known = Capsule(start=(0.002, 0.0, 0.004), end=(-0.003, 0.001, 0.034), radius=0.0095)
    surface = capsule_surface(known, 800, np.random.default_rng(0))
    assert len(surface) == 800
    found, error = fit_capsule(surface)
    np.testing.assert_allclose(found.start, known.start, atol=3e-4)
    np.testing.assert_allclose(found.end, known.end, atol=3e-4)
    assert found.radius == pytest.approx(known.radius, abs=2e-4)
    assert error < 2e-4


def test_box_fit_recovers_a_box() -> None:
    rng = np.random.default_rng(0)
    half, centre = np.array([0.04, 0.02, 0.03]), np.array([0.01, 0.0, -0.02])
    points = centre + half * rng.uniform(-1, 1, (20_000, 3))
    box = fit_box(points, trim=0.0)
    np.testing.assert_allclose(box.centre, centre, atol=2e-4)
    np.testing.assert_allclose(box.half_size, half, atol=2e-4)


def test_fits_are_the_same_every_time() -> None:
    model = original_spec(V1).compile()
    first, second = (fit_capsule(body_surface(model, "right_index_ip"))[0] for _ in range(2))
    assert first == second


def test_fingertip_capsule_stays_near_the_mesh() -> None:
    model = original_spec(V1).compile()
    capsule, error = fit_capsule(body_surface(model, "right_index_ip"))
    assert error < 0.002
    assert 0.007 < capsule.radius < 0.012


def test_a_body_without_a_mesh_is_refused() -> None:
    spec = original_spec(V1)
    for geom in list(spec.geoms):
        if geom.parent.name == ROOT_BODY:
            spec.delete(geom)
    with pytest.raises(ValueError, match=ROOT_BODY):
        body_surface(spec.compile(), ROOT_BODY)
