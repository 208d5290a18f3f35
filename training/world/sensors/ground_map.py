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

"""The ground of a town, painted once as seen from above."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.town import Marking, Town
import shapely

METRES_PER_TEXEL = 0.1
_MARGIN_M = 40.0
_BITS = 4
"""Fractional bits of the positions that cv2's fills take."""
_LEVELS = 5

_GRASS, _SOIL = (88, 108, 62), (118, 100, 76)
_ASPHALT, _FRESH, _WORN = (88, 89, 91), (72, 73, 76), (98, 98, 98)
_CAR_PARK, _YARD = (100, 99, 98), (148, 142, 132)
_WALK, _KERB, _GUTTER = (150, 147, 142), (186, 184, 178), (112, 111, 110)
_WHITE, _YELLOW = (224, 224, 220), (222, 176, 52)
_DASH_M, _GAP_M = 3.0, 4.5
_STRIPE_M = 0.5


class GroundMap(NamedTuple):
    """
    Texture of the plane z = 0, in the town's own frame.

    ``texels`` uint8 [N, 3] red, green, blue of all mip levels, finest first, row by row from the
    north; ``levels`` int64 [L, 3] first texel, rows, columns; ``corner`` [2] west and north edge
    in m; ``grain`` float32 [G, G], G a power of two, a seamless pattern around 0, about -1..1.
    """

    texels: np.ndarray
    levels: np.ndarray
    corner: np.ndarray
    grain: np.ndarray


def paint_ground(town: Town, origin: np.ndarray) -> GroundMap:
    """
    Paint a town's ground.

    :param origin: [2] of the town's own frame in the map frame
    """
    bounds = np.array(town.asphalt.bounds)
    low, high = bounds[:2] - origin - _MARGIN_M, bounds[2:] - origin + _MARGIN_M
    canvas = _Canvas(low, high, origin)
    dice = Dice(np.random.SeedSequence([town.seed, 0x6A0]))
    pattern = _seamless_pattern(town.seed, 512)
    canvas.meadow(pattern)
    for building in town.buildings:
        yard = shapely.Polygon(building.footprint).buffer(4.0, join_style='mitre')
        canvas.fill(yard, _YARD)
    for walkway in town.walkways.values():
        canvas.fill(walkway, _WALK)
    canvas.fill(town.asphalt.buffer(0.18), _KERB)
    canvas.fill(town.asphalt, _GUTTER)
    canvas.fill(town.asphalt.buffer(-0.35), _ASPHALT)
    for car_park in town.car_parks.values():
        canvas.fill(car_park, _CAR_PARK)
    _wear(canvas, town, dice)
    canvas.mottle(pattern)
    for crossing in town.crossings.values():
        for stripe in _stripes(crossing.polygon, crossing.line):
            canvas.fill(stripe, _WHITE)
    for marking in town.markings:
        for line in _dashes(marking):
            canvas.band(line, marking.width, _YELLOW if marking.yellow else _WHITE)
    return canvas.finished(pattern)


def _seamless_pattern(seed: int, size: int) -> np.ndarray:
    """Float32 [size, size] of soft noise that repeats without a seam, scaled to about -1..1."""
    rng = np.random.default_rng([seed, 0x9A7])
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((8, 1.0), (16, 0.8), (32, 0.6), (64, 0.5), (128, 0.4), (256, 0.3)):
        noise = (2.0 * rng.random((cells, cells)) - 1.0).astype(np.float32)
        wide = np.pad(noise, 2, mode='wrap')
        step = size // cells
        finer = cv2.resize(wide, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += np.float32(weight) * finer[2 * step:-2 * step, 2 * step:-2 * step]
    return total / np.float32(2.0)


def _wear(canvas: '_Canvas', town: Town, dice: Dice) -> None:
    """Resurfaced stretches, wheel tracks and patches, so that no two places look the same."""
    for lane in town.lanes.values():
        baseline = np.asarray(lane.baseline)[:, :2]
        tone = dice.count(0, 4)
        if tone < 2 and not lane.is_connector:
            canvas.band(baseline, lane.width, (_FRESH, _WORN)[tone])
        left = _normals_of(baseline)
        for side in (-0.8, 0.8):
            canvas.band(baseline + side * left, 0.5, (82, 82, 83))
        for _ in range(dice.count(0, 2)):
            at = dice.count(0, len(baseline) - 1)
            middle = baseline[at] + left[at] * dice.between(-0.5, 0.5) * lane.width
            along = np.array([left[at][1], -left[at][0]]) * dice.between(0.4, 2.4)
            canvas.band(np.stack([middle - along, middle + along]),
                        dice.between(0.5, 1.5), (68, 68, 71))


def _normals_of(line: np.ndarray) -> np.ndarray:
    """Return unit vectors [M, 2] to the left of a line [M, 2]."""
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1)


def _stripes(area: shapely.Polygon, line: np.ndarray) -> list[shapely.Polygon]:
    """Bars of a zebra crossing, across the walking line [2, 2]."""
    across = line[1] - line[0]
    length = float(np.linalg.norm(across))
    across = across / length
    along = np.array([-across[1], across[0]]) * 20.0
    bars = []
    for at in np.arange(0.3, length - _STRIPE_M, 2.0 * _STRIPE_M):
        first, last = line[0] + at * across, line[0] + (at + _STRIPE_M) * across
        bar = shapely.Polygon([first - along, last - along, last + along, first + along])
        bars.append(bar.intersection(area))
    return bars


def _dashes(marking: Marking) -> list[np.ndarray]:
    """Painted parts of a marking, as lines [M, 2]."""
    line = np.asarray(marking.line, np.float64)
    if not marking.dashed:
        return [line]
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    # A broad line across the lane, where one has to yield, has short dashes.
    dash, gap = (_DASH_M, _GAP_M) if marking.width < 0.3 else (0.5, 0.4)
    parts = []
    for start in np.arange(0.0, arc[-1], dash + gap):
        end = min(start + dash, arc[-1])
        inside = arc[(arc > start) & (arc < end)]
        at = np.concatenate([[start], inside, [end]])
        parts.append(np.stack([np.interp(at, arc, line[:, axis]) for axis in (0, 1)], axis=-1))
    return parts


class _Canvas:
    """The finest level while it is painted."""

    def __init__(self, low: np.ndarray, high: np.ndarray, origin: np.ndarray):
        # Whole texels of the coarsest level.
        unit = 1 << (_LEVELS - 1)
        columns, rows = (np.ceil((high - low) / METRES_PER_TEXEL / unit) * unit).astype(int)
        self._corner = np.array([low[0], low[1] + rows * METRES_PER_TEXEL])
        self._origin = np.asarray(origin, np.float64)
        self._image = np.empty((int(rows), int(columns), 3), np.uint8)

    def meadow(self, pattern: np.ndarray) -> None:
        """Cover everything with grass and some bare soil."""
        bare = np.clip(pattern * 0.5 - 0.1, 0.0, 1.0)[..., None]
        tile = np.array(_GRASS) * (1.0 - bare) + np.array(_SOIL) * bare
        size = pattern.shape[0]
        wide = cv2.resize(tile.astype(np.uint8), (2 * size, 2 * size))
        for part in self._tiles(2 * size):
            part[:] = wide[:part.shape[0], :part.shape[1]]

    def mottle(self, pattern: np.ndarray) -> None:
        """Vary the brightness of everything over metres."""
        size = 4 * pattern.shape[0]
        wide = cv2.resize(np.pad(pattern, 1, mode='wrap'), None, fx=4, fy=4)[4:-4, 4:-4]
        factor = np.repeat((128.0 + 9.0 * wide).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
        for part in self._tiles(size):
            part[:] = cv2.multiply(part, factor[:part.shape[0], :part.shape[1]], scale=1 / 128)

    def fill(self, area: shapely.Geometry, colour: tuple[int, int, int]) -> None:
        """Fill polygons, given in the map frame, except their holes."""
        for part in shapely.get_parts(area):
            if part.geom_type != 'Polygon' or part.is_empty:
                continue
            rings = [part.exterior, *part.interiors]
            cv2.fillPoly(self._image, [self._texels(shapely.get_coordinates(ring))
                                       for ring in rings], colour, cv2.LINE_AA, _BITS)

    def band(self, line: np.ndarray, width: float, colour: tuple[int, int, int]) -> None:
        """Fill a band of some width along a line [M, 2] of the map frame."""
        self.fill(shapely.LineString(line).buffer(width / 2.0, cap_style='flat'), colour)

    def finished(self, pattern: np.ndarray) -> GroundMap:
        """Return the map with its coarser levels."""
        levels = [self._image]
        for _ in range(_LEVELS - 1):
            rows, columns = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (columns // 2, rows // 2),
                                     interpolation=cv2.INTER_AREA))
        table, first = [], 0
        for level in levels:
            table.append((first, *level.shape[:2]))
            first += level.shape[0] * level.shape[1]
        return GroundMap(np.concatenate([level.reshape(-1, 3) for level in levels]),
                         np.array(table, np.int64), self._corner, pattern)

    def _tiles(self, size: int) -> Iterable[np.ndarray]:
        rows, columns = self._image.shape[:2]
        for row in range(0, rows, size):
            for column in range(0, columns, size):
                yield self._image[row:row + size, column:column + size]

    def _texels(self, points: np.ndarray) -> np.ndarray:
        """Fixed-point positions [N, 2] of map points [N, 2]; texel centres are whole numbers."""
        local = points[:, :2] - self._origin
        position = np.stack([local[:, 0] - self._corner[0], self._corner[1] - local[:, 1]],
                            axis=-1) / METRES_PER_TEXEL - 0.5
        return np.round(position * (1 << _BITS)).astype(np.int32)
