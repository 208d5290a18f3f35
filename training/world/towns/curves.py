# Copyright 2026 The pair_drive_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Plane curves that roads are made of: sampled lines with headings, metres and radians.

Everything that leaves here is rounded to the millimetre: processors and library versions differ in
the last bits of sines and roots, and a town is to be the same bytes everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_training.world.towns.town import TownError

FINE_STEP_M = 0.25
BEND_STEP_M = 1.0
STRAIGHT_STEP_M = 5.0
_STRAIGHT_CURVATURE = 5e-4
_SMOOTHING_M = 6.0


def snap(points: np.ndarray) -> np.ndarray:
    """Round coordinates to the millimetre."""
    return np.round(points, 3) + 0.0


def snap_heading(heading: float) -> float:
    """Bring a heading into [-pi, pi) and round it to a microradian."""
    return round(float(wrap_angle(heading)), 6)


def headings_of(points: np.ndarray) -> np.ndarray:
    """Return the headings [M] of a line [M, 2] by central differences."""
    delta = np.gradient(points, axis=0)
    return np.arctan2(delta[:, 1], delta[:, 0])


def lengths_of(points: np.ndarray) -> np.ndarray:
    """Return the distances [M] along a line [M, 2] from its start."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def beside(points: np.ndarray, headings: np.ndarray, left: np.ndarray | float) -> np.ndarray:
    """Move the points of a line by ``left`` metres to its left."""
    return points + np.asarray(left)[..., None] * left_of(headings)


def left_of(heading: np.ndarray | float) -> np.ndarray:
    """Return the unit vector [..., 2] to the left of a heading."""
    return np.stack([-np.sin(heading), np.cos(heading)], axis=-1)


def ahead_of(heading: np.ndarray | float) -> np.ndarray:
    """Return the unit vector [..., 2] along a heading."""
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def polyline_with_bends(corners: np.ndarray, radii: Sequence[float]) -> np.ndarray:
    """
    Round the inner corners of a polyline [C, 2] by arcs of the given radii [C - 2].

    :return: [M, 2] points ``FINE_STEP_M`` apart, with the steps in curvature smoothed
    :raises TownError: when two bends do not fit on the side between them
    """
    parts = [corners[:1]]
    for before, corner, after, radius in zip(corners[:-2], corners[1:-1], corners[2:], radii,
                                             strict=True):
        come, go = corner - before, after - corner
        turn = float(wrap_angle(np.arctan2(go[1], go[0]) - np.arctan2(come[1], come[0])))
        cut = radius * np.tan(abs(turn) / 2.0)
        start = corner - cut * come / np.hypot(*come)
        if (start - parts[-1][-1]) @ come < 0.0 or cut > np.hypot(*go):
            raise TownError(f'a bend of radius {radius:.1f} m by {np.degrees(turn):.0f} degrees '
                            'does not fit between its neighbours')
        heading = np.arctan2(come[1], come[0])
        parts.append(arc(start, heading, np.sign(turn) * radius, abs(turn) * radius))
    line = evenly(np.concatenate([*parts, corners[-1:]]), FINE_STEP_M)
    width = int(_SMOOTHING_M / FINE_STEP_M) // 2
    kernel = np.bartlett(2 * width + 3)[1:-1]
    grown = np.pad(line, ((width, width), (0, 0)), mode='reflect', reflect_type='odd')
    smooth = [np.convolve(grown[:, axis], kernel / kernel.sum(), 'valid') for axis in (0, 1)]
    return evenly(np.column_stack(smooth), FINE_STEP_M)


def arc(start: np.ndarray, heading: float, radius: float, length: float) -> np.ndarray:
    """Return points [M, 2] of an arc from a pose; a positive radius turns left."""
    along = np.linspace(0.0, length, max(2, int(np.ceil(length / FINE_STEP_M)) + 1))
    centre = start + radius * left_of(heading)
    return centre - radius * left_of(heading + along / radius)


def evenly(points: np.ndarray, step: float) -> np.ndarray:
    """Sample a line [M, 2] anew at equal distances of about ``step``; its ends stay."""
    along = lengths_of(points)
    wanted = np.linspace(0.0, along[-1], max(2, round(along[-1] / step) + 1))
    return np.column_stack([np.interp(wanted, along, points[:, axis]) for axis in (0, 1)])


@dataclass(frozen=True, eq=False)
class Stations:
    """Cross sections of a curve: distance ``along`` [M], ``points`` [M, 2], ``headings`` [M]."""

    along: np.ndarray
    points: np.ndarray
    headings: np.ndarray

    def line(self, left: np.ndarray | float) -> np.ndarray:
        """Return the line ``left`` metres to the left of the curve."""
        return beside(self.points, self.headings, left)

    def at(self, places: np.ndarray) -> 'Stations':
        """Return the cross sections at other distances, interpolated."""
        points = np.column_stack([np.interp(places, self.along, self.points[:, axis])
                                  for axis in (0, 1)])
        return Stations(places, points, np.interp(places, self.along, self.headings))

    def longer(self, by: float) -> 'Stations':
        """Return the stations with the ends moved straight outward by ``by`` metres."""
        points = self.points.copy()
        points[0] -= by * ahead_of(self.headings[0])
        points[-1] += by * ahead_of(self.headings[-1])
        return Stations(self.along, points, self.headings)

    def between(self, first: float, last: float) -> 'Stations':
        """Return the stations from one distance to another; both must be stations."""
        kept = slice(int(np.argmin(np.abs(self.along - first))),
                     int(np.argmin(np.abs(self.along - last))) + 1)
        return Stations(self.along[kept], self.points[kept], self.headings[kept])


def stations(line: np.ndarray, breaks: Sequence[float],
             dense: Sequence[tuple[float, float]] = ()) -> Stations:
    """
    Choose cross sections of a finely sampled line [M, 2].

    About ``BEND_STEP_M`` apart where it bends, and in the ``dense`` intervals, and
    ``STRAIGHT_STEP_M`` where it does not; from the first to the last of the distances ``breaks``
    (rising), each of which becomes one.
    """
    along = lengths_of(line)
    headings = np.unwrap(headings_of(line))
    bends = np.abs(np.gradient(headings, along)) > _STRAIGHT_CURVATURE
    chosen = [float(breaks[0])]
    for first, last in zip(breaks[:-1], breaks[1:], strict=True):
        count = max(1, round((last - first) / BEND_STEP_M))
        places = np.linspace(first, last, count + 1)[1:]
        bend = np.interp(places, along, bends) > 0.0
        for start, end in dense:
            bend |= (places > start) & (places < end)
        near = bend | np.append(bend[1:], True) | np.insert(bend[:-1], 0, False)
        since = 0
        for place, keep in zip(places, near, strict=True):
            since += 1
            if keep or since >= STRAIGHT_STEP_M / BEND_STEP_M:
                chosen.append(float(place))
                since = 0
    return Stations(along, line, headings).at(np.array(chosen))


def connect(start: np.ndarray, end: np.ndarray, lead: float) -> np.ndarray:
    """
    Join two poses [3] by a smooth line [M, 2] with about a metre between points.

    It is straight for ``lead`` metres at either end; in between, the longer of the two tangents
    is shortened to the other's length and the corner rounded by a Bezier curve near an arc.

    :raises TownError: when there is no corner to round between the poses
    """
    come, go = ahead_of(start[2]), ahead_of(end[2])
    first, last = start[:2] + lead * come, end[:2] - lead * go
    turn = float(wrap_angle(end[2] - start[2]))
    gap = last - first
    if abs(turn) < np.radians(20.0):
        reach = np.hypot(*gap) * 0.4
        curve = _bezier(first, first + reach * come, last - reach * go, last)
    else:
        across = come[0] * go[1] - come[1] * go[0]
        before = float(gap[0] * go[1] - gap[1] * go[0]) / across
        after = float(come[0] * gap[1] - come[1] * gap[0]) / across
        if min(before, after) <= 0.0:
            raise TownError('the lines through two poses do not meet between them')
        tangent = min(before, after)
        share = 4.0 / 3.0 * np.tan(abs(turn) / 4.0) / np.tan(abs(turn) / 2.0)
        corner_in = first + (before - tangent) * come
        corner_out = last - (after - tangent) * go
        curve = np.concatenate([first[None], _bezier(
            corner_in, corner_in + share * tangent * come,
            corner_out - share * tangent * go, corner_out), last[None]])
    fine = evenly(np.concatenate([start[None, :2], curve, end[None, :2]]), FINE_STEP_M)
    return evenly(fine, BEND_STEP_M)


def _bezier(*control: np.ndarray) -> np.ndarray:
    """Points [M, 2] of a cubic Bezier curve."""
    t = np.linspace(0.0, 1.0, 65)[:, None]
    a, b, c, d = control
    return (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t ** 2 * (1 - t) * c + t ** 3 * d
