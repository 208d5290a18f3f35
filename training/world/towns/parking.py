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

"""Places to park at: strips beside the street and car parks with a way in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pair_drive_training.world.towns.curves import ahead_of, left_of, snap, snap_heading
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.draft import between, Draft, GRID_M, GUTTER_M
from pair_drive_training.world.towns.street import Street
from pair_drive_training.world.towns.town import Marking, Parking, TownError
import shapely

STRIP_WIDTH_M = 2.3
WALKWAY_M = 2.6
_FROM_JUNCTION_M = 14.0
_TAPER_M = 3.0
_BAY_LENGTH_M = 6.2
_SHARPEST_CURVATURE = 1.0 / 45.0
_LOT_WIDTH_M, _BAY_WIDTH_M, _BAY_DEPTH_M = 18.0, 2.6, 5.2
_DRIVEWAY_M = 6.4
_ENTRY_OVERLAP_M = 0.6
_TRIES = 80


@dataclass(frozen=True, eq=False)
class CarPark:
    """A lot beside a street: ``area`` with the way in, its own ``lot``, places and lines."""

    area: shapely.Polygon
    lot: shapely.Polygon
    places: tuple[Parking, ...]
    lines: tuple[Marking, ...]


def park_at_kerb(draft: Draft, street: Street, direction: int) -> list[Parking]:
    """Pave a strip wherever the kerb of a direction is straight enough; return its places."""
    sections, edge = street.side(direction)
    outward = 1.0 if direction else -1.0
    along = np.arange(sections.along[0] + _FROM_JUNCTION_M,
                      sections.along[-1] - _FROM_JUNCTION_M, 1.0)
    if len(along) < 3:
        return []
    kerb = sections.at(along)
    lefts = np.interp(along, sections.along, edge) + outward * GUTTER_M / 2
    fit = (np.abs(np.gradient(kerb.headings, along)) < _SHARPEST_CURVATURE) & (
        np.abs(np.gradient(lefts, along)) < 1e-6)
    places: list[Parking] = []
    for run in np.split(np.arange(len(along)), np.flatnonzero(np.diff(fit)) + 1):
        start, end = along[run[0]], along[run[-1]]
        # The addend keeps whole metres from ending just where a last bay begins to fit.
        count = int((end - start - 2.0 * _TAPER_M) / _BAY_LENGTH_M + 0.01)
        if not fit[run[0]] or count < 2:
            continue
        part = kerb.between(start, end)
        depth = STRIP_WIDTH_M * np.minimum(
            1.0, np.minimum(along[run] - start, end - along[run]) / _TAPER_M)
        inner, outer = part.line(lefts[run]), part.line(lefts[run] + outward * depth)
        draft.paved.append(between(outer, inner) if direction else between(inner, outer))
        first = (start + end - count * _BAY_LENGTH_M) / 2
        bays = sections.at(first + (np.arange(count) + 0.5) * _BAY_LENGTH_M)
        middles = bays.line(lefts[run[0]] + outward * STRIP_WIDTH_M / 2)
        headings = [snap_heading(heading + np.pi * direction) for heading in bays.headings]
        places += [Parking(np.append(snap(middle), heading), True)
                   for middle, heading in zip(middles, headings, strict=True)]
    return places


def find_car_parks(streets: Sequence[Street], roads: shapely.Geometry,
                   dice: Dice) -> list[CarPark]:
    """
    Find room for one or two car parks beside the streets.

    :raises TownError: when there is none for even one
    """
    parks: list[CarPark] = []
    wanted = dice.count(1, 2)
    taken = [shapely.buffer(roads, WALKWAY_M + 0.5)]
    for _ in range(_TRIES):
        street, direction = dice.pick(streets), dice.count(0, 1)
        place, depth = dice.between(0.15, 0.85), dice.between(24.0, 42.0)
        if len(parks) == wanted or street.plan.parking[direction]:
            continue
        sections, edge = street.side(direction)
        along = sections.along[0] + place * (sections.along[-1] - sections.along[0])
        outward = 1.0 if direction else -1.0
        section = sections.at(np.array([along]))
        left = np.interp(along, sections.along, edge) - outward * _ENTRY_OVERLAP_M
        entry = np.append(section.line(left)[0], section.headings[0] + outward * np.pi / 2)
        park = _car_park(entry, depth)
        if not any(park.lot.intersects(area) for area in taken):
            parks.append(park)
            taken.append(shapely.buffer(park.area, 2.0))
    if not parks:
        raise TownError('there is no room for a car park beside the streets')
    return parks


def _car_park(entry: np.ndarray, depth: float) -> CarPark:
    """Lay out a lot of two rows whose aisle begins at a pose [3] on the edge of the street."""
    ahead, left = ahead_of(entry[2]), left_of(entry[2])
    near = _ENTRY_OVERLAP_M + GUTTER_M + WALKWAY_M + 1.0

    def at(along: float, aside: float) -> np.ndarray:
        return entry[:2] + along * ahead + aside * left

    def box(first: float, last: float, half: float) -> shapely.Polygon:
        return shapely.Polygon(snap(np.array([at(first, -half), at(last, -half), at(last, half),
                                              at(first, half)])))

    places, lines = [], []
    count = int((depth - 1.0) // _BAY_WIDTH_M)
    for side in (-1.0, 1.0):
        for bay in range(count + 1):
            along = near + 0.5 + bay * _BAY_WIDTH_M
            line = np.array([at(along, side * (_LOT_WIDTH_M / 2 - _BAY_DEPTH_M)),
                             at(along, side * _LOT_WIDTH_M / 2)])
            lines.append(Marking(line, False, False, 0.1))
            if bay < count:
                middle = at(along + _BAY_WIDTH_M / 2, side * (_LOT_WIDTH_M - _BAY_DEPTH_M) / 2)
                heading = snap_heading(entry[2] + side * np.pi / 2)
                places.append(Parking(np.append(snap(middle), heading), False))
    lot = box(near, near + depth, _LOT_WIDTH_M / 2)
    driveway = box(0.0, near + 1.0, _DRIVEWAY_M / 2)
    area = shapely.normalize(shapely.union(lot, driveway, grid_size=GRID_M))
    return CarPark(area, lot, tuple(places), tuple(lines))
