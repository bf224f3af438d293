"""What the scissors have cut of N strips: a rule of geometry, since tape itself is not simulated.

A strip hangs straight down and is divided across its width into pieces. A piece lies between the
edges once the open blades were moved around it: it came within their reach, from the front or from
below, at a place between them. One that a blade met from outside was pushed aside, and stays so
until the scissors are taken away from it. Pieces between the edges give way to a blade that moves
sideways, but only by `SLACK_M`. When the blades shut, all pieces between them are cut, if the cut
is at the height of the first one. The strip is in two when all its pieces are cut. The edges are
shorter than the strip is wide, so one closure is never enough. What the rule leaves out: the tape
neither resists, nor folds, nor sticks, and a half-cut strip hangs as before.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tasks.scissors_tape.scene import EDGE_M, STRIP_BOTTOM_M, STRIP_TOP_M, STRIP_WIDTH_M

PIECES = 20
SHUT_RAD = 0.02
"""Blades with a smaller angle between them are shut: 3.6 mm at their tips."""
ADMITS_RAD = 0.06
"""Tape gets between blades that are open this far: 11 mm at their tips."""
SLACK_M = 0.03
"""The tape follows a blade sideways so far."""
MIDDLE_Z_M = (STRIP_BOTTOM_M + STRIP_TOP_M) / 2
BAND_M = 0.01
"""A cut goes on at the height where it began, give or take this."""
LEVEL = np.cos(0.5)
"""Cosine of the tilt from which on blades slide along the tape instead of cutting it."""


class Strips:
    """N strips and what is left of them.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self.cut = np.zeros((count, PIECES), bool)
        """(N, PIECES) from the near edge to the far one."""
        self._near, self._yaw, self._away = (
            np.zeros((count, 2)),
            np.zeros(count),
            np.zeros((count, 2)),
        )
        self._places = np.zeros((count, PIECES, 2))
        self._reached, self._between = (np.zeros((count, PIECES), bool) for _ in range(2))
        self._line_m = np.full(count, np.nan)
        """Height of the cut; nan before the first one."""

    @property
    def share(self) -> np.ndarray:
        """(N,) of the strips' width that is cut."""
        return self.cut.mean(axis=1)

    @property
    def ahead(self) -> np.ndarray:
        """(N, 4) where the cut is to go on: x, y, z and the yaw of the strip [m, rad].

        It lies behind as much of the width as is cut, at the height of the cut; before the first
        one at half the strip's height.
        """
        done = self.share[:, None] * STRIP_WIDTH_M * self._away
        height = np.where(np.isnan(self._line_m), MIDDLE_Z_M, self._line_m)
        return np.column_stack([self._near + done, height, self._yaw])

    def hang(self, near_xy_m: np.ndarray, yaw_rad: np.ndarray) -> None:
        """Whole strips, (N, 2) at their near edges; at yaw 0 (N,) the far edge lies along -x."""
        middle = (np.arange(PIECES) + 0.5) * STRIP_WIDTH_M / PIECES
        self._near, self._yaw = near_xy_m, yaw_rad
        self._away = -np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], axis=1)
        self._places[:] = near_xy_m[:, None] + middle[:, None] * self._away[:, None]
        for pieces in (self.cut, self._reached, self._between):
            pieces[:] = False
        self._line_m[:] = np.nan

    def meet(self, hinge: np.ndarray, opening_rad: np.ndarray, rows: np.ndarray) -> None:
        """The scissors are now at these poses; strips of other rows stay as they are.

        Args:
            hinge: (N, 7) poses of the middle between the halves, at the hinge.
            opening_rad: (N,) angle between the blades.
            rows: (N,) bool.
        """
        height, along, aside, level = self._seen_from(hinge)
        hangs = (height > STRIP_BOTTOM_M) & (height < STRIP_TOP_M) & level[:, None]
        reached = hangs & (along > EDGE_M[0]) & (along < EDGE_M[1])
        gap = along * np.tan(np.maximum(opening_rad, 0.0) / 2)[:, None]
        enters = ~self._reached & (aside < gap) & (opening_rad > ADMITS_RAD)[:, None]
        between = reached & (enters | (self._between & (aside < gap + SLACK_M)))
        new = between & (opening_rad < SHUT_RAD)[:, None] & ~self.cut
        begins = rows & np.isnan(self._line_m) & new.any(axis=1)
        for row in np.flatnonzero(begins):
            self._line_m[row] = height[row, new[row]].mean()
        with np.errstate(invalid="ignore"):  # no line yet: nothing is new there
            new &= np.abs(height - self._line_m[:, None]) < BAND_M
        chosen = rows[:, None]
        self.cut |= chosen & new
        self._reached = np.where(chosen, reached, self._reached)
        self._between = np.where(chosen, between, self._between)

    def _seen_from(
        self, hinge: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where the blades' plane meets the pieces: heights, distances along the blades and to the
        side (N, PIECES) [m]; and whether the blades are level enough to cut (N,)."""
        frame = Rotation.from_quat(hinge[:, 3:]).as_matrix()
        normal = frame[:, :, 2]
        level = normal[:, 2] > LEVEL
        away = self._places - hinge[:, None, :2]
        slope = np.einsum("nkc,nc->nk", away, normal[:, :2])
        rise = -slope / np.where(level, normal[:, 2], 1.0)[:, None]
        point = np.concatenate([away, rise[:, :, None]], axis=2)
        local = np.einsum("nkc,ncd->nkd", point, frame)
        return hinge[:, None, 2] + rise, -local[:, :, 0], np.abs(local[:, :, 1]), level
