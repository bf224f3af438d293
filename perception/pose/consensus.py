"""Which pose the corners believe in: hypotheses from three corners each, all judged at once.

A network may hesitate between places for a corner. A pose is therefore not judged by how many
corners lie within a fixed distance, but by the belief it finds where it puts the corners.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import cv2
import numpy as np

from perception.pose.projection import Array, rotations

FIRST_TRIPLES, ALL_TRIPLES = 8, 24
"""Hypotheses come from so many triples of corners; the later ones only if the first convince
nobody."""
ELSEWHERE = 0.05
"""Probability that a corner is at none of its places: one wrong corner must not veto a pose."""
FAR_AWAY_PX = 1e6


@dataclass(frozen=True)
class Places:
    """Where the corners may be: K corners, up to M places each.

    Everything is finite. Places that are not to be used have no mass and lie far away.
    """

    uv: Array
    """(K, M, 2) pixels."""
    covariance: Array
    """(K, M, 2, 2) in px², positive definite."""
    mass: Array
    """(K, M) probability that the corner is there."""


class Belief:
    """How well poses agree with the corners' places.

    Args:
        places: Where the corners may be.
        points_m: The corners (K, 3) in the cube's frame.
        intrinsics: K (3, 3); may be skewed.
        tolerance_px: Standard deviation added to every place: a pose from three noisy corners does
            not meet the others exactly.
    """

    def __init__(
        self, places: Places, points_m: Array, intrinsics: Array, tolerance_px: float
    ) -> None:
        self._uv, self._intrinsics = places.uv, intrinsics
        self._points = np.ones((len(points_m), 4))
        self._points[:, :3] = points_m
        xx = places.covariance[..., 0, 0] + tolerance_px**2
        yy = places.covariance[..., 1, 1] + tolerance_px**2
        xy = places.covariance[..., 0, 1]
        determinant = xx * yy - xy * xy
        self._precision = yy / determinant, -2.0 * xy / determinant, xx / determinant
        near = places.uv[places.mass > 0.0]
        area = float((near.max(axis=0) - near.min(axis=0)).prod()) if len(near) else 0.0
        scale = (1.0 - ELSEWHERE) * max(area, 1.0) / (2.0 * np.pi)
        self.peak = scale * places.mass / np.sqrt(determinant)
        """(K, M) belief at a place; that of a corner anywhere among the places is 1."""

    def squared_distances(self, poses: Array) -> Array:
        """(n, K, M) squared distances of the corners of poses (n, 4, 4) from their places, in units
        of the places' covariance; huge behind the camera."""
        seen = self._points @ (self._intrinsics @ poses[:, :3]).transpose(0, 2, 1)
        uv = seen[..., :2] / np.maximum(seen[..., 2:], 1e-6)
        off = uv[:, :, None] - self._uv
        x, y = off[..., 0], off[..., 1]
        by_xx, by_xy, by_yy = self._precision
        return x * (by_xx * x + by_xy * y) + by_yy * (y * y)

    def at_places(self, squared_distances: Array) -> Array:
        """(n, K, M) belief of every place in its corner."""
        return self.peak * np.exp(-0.5 * squared_distances)

    def scores(self, at_places: Array) -> Array:
        """(n,) log likelihood of poses; 0 is one that finds no corner at any of its places."""
        return np.log1p(at_places.sum(axis=2) / ELSEWHERE).sum(axis=1)


@dataclass(frozen=True)
class Hypotheses:
    """Poses that three corners each agree on."""

    poses: Array
    """(n, 4, 4)."""
    scores: Array
    """(n,) as `Belief.scores`."""

    @property
    def best(self) -> Array:
        """(4, 4)."""
        return self.poses[self.scores.argmax()]

    def best_near(self, pose: Array, distance_m: float, angle_rad: float) -> Array | None:
        """The best of the poses (4, 4) that are near a given one; None if there is none."""
        apart = np.linalg.norm(self.poses[:, :3, 3] - pose[:3, 3], axis=1)
        near = (apart <= distance_m) & (self._cosine_to(pose) >= np.cos(angle_rad))
        if not near.any():
            return None
        return self.poses[np.where(near, self.scores, -np.inf).argmax()]

    def unlike_each_other(self, angle_rad: float, most: int) -> list[Array]:
        """The best poses (4, 4), each turned by more than an angle from all better ones."""
        left, found = self.scores.copy(), []
        while len(found) < most and np.isfinite(left).any():
            found.append(self.poses[left.argmax()])
            left[self._cosine_to(found[-1]) >= np.cos(angle_rad)] = -np.inf
        return found

    def best_unlike(self, pose: Array, angle_rad: float) -> float:
        """Score of the best pose turned by more than an angle from a given one; 0 without any."""
        unlike = self._cosine_to(pose) < np.cos(angle_rad)
        return float(self.scores.max(where=unlike, initial=0.0))

    def _cosine_to(self, pose: Array) -> Array:
        """(n,) cosine of the angle between each pose and a given one (4, 4)."""
        return self.poses[:, :3, :3].reshape(-1, 9) @ pose[:3, :3].ravel() / 2.0 - 0.5


def hypothesize(
    places: Places, points_m: Array, intrinsics: Array, belief: Belief, convincing: int
) -> Hypotheses | None:
    """Poses from the triples of places with the highest belief (P3P), judged by all corners.

    Args:
        places: Where the corners may be.
        points_m: The corners (K, 3) in the cube's frame.
        intrinsics: K (3, 3); may be skewed.
        belief: Judges.
        convincing: If the best of the first poses finds so many corners at their places, the later
            ones are not needed.

    Returns:
        None if no triple gives a pose.
    """
    peak = belief.peak.ravel()
    triples = _triples(*places.mass.shape)
    value = peak[triples].prod(axis=1)
    order = np.argsort(-value, kind="stable")[:ALL_TRIPLES]
    triples = triples[order[value[order] > 0.0]]
    rays = (places.uv - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T
    rays = rays.reshape(-1, 2)[triples]
    points = points_m[triples // places.mass.shape[1]]
    poses, scores = np.zeros((0, 4, 4)), np.zeros(0)
    for some in (slice(FIRST_TRIPLES), slice(FIRST_TRIPLES, None)):
        new = _p3p(points[some], rays[some])
        at_places = belief.at_places(belief.squared_distances(new))
        poses = np.concatenate([poses, new])
        scores = np.concatenate([scores, belief.scores(at_places)])
        found = (at_places.sum(axis=2) > 1.0).sum(axis=1)
        if len(new) and found[scores[-len(new) :].argmax()] >= convincing:
            break
    return Hypotheses(poses, scores) if len(poses) else None


def _p3p(points_m: Array, rays: Array) -> Array:
    """(n, 4, 4) up to four poses each that put points (T, 3, 3) on rays (T, 3, 2) at depth one."""
    vectors: list[Array] = []
    positions: list[Array] = []
    for points, ray in zip(points_m, rays, strict=True):
        _, turned, moved = cv2.solveP3P(points, ray, _NO_CAMERA, None, flags=cv2.SOLVEPNP_AP3P)
        vectors += turned
        positions += moved
    poses = np.zeros((len(vectors), 4, 4))
    if vectors:
        poses[:, :3, :3] = rotations(np.array(vectors)[:, :, 0])
        poses[:, :3, 3], poses[:, 3, 3] = np.array(positions)[:, :, 0], 1.0
    return poses[np.isfinite(poses).all(axis=(1, 2))]


_NO_CAMERA = np.eye(3)


@cache
def _triples(corners: int, places: int) -> Array:
    """(T, 3) places, counted over all corners, of three different corners; in mixed order, so that
    of equally believed triples not all share their first corner."""
    every = [
        [corner * places + place for corner, place in zip(chosen, at, strict=True)]
        for chosen in combinations(range(corners), 3)
        for at in product(range(places), repeat=3)
    ]
    return np.random.default_rng(0).permutation(np.array(every))
