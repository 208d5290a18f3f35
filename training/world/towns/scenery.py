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

"""What stands beside the streets: walkways, buildings, plants and lamps."""

from collections.abc import Iterator, Sequence

import numpy as np
from pair_drive_training.world.towns.curves import ahead_of, left_of, snap
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.draft import GUTTER_M
from pair_drive_training.world.towns.parking import STRIP_WIDTH_M, WALKWAY_M
from pair_drive_training.world.towns.street import Street
from pair_drive_training.world.towns.town import Building, Plant
import shapely

WALL_COLOURS, LEAF_COLOURS = 8, 5
_LOW_M, _HIGH_M, _HIGHEST_M = 3.5, 9.0, 26.0
_BETWEEN_HOUSES_M = 1.0
_SECOND_ROW_M = 22.0


def buildings(streets: Sequence[Street], taken: shapely.Geometry, dice: Dice) -> list[Building]:
    """
    Line the streets with two rows of blocks.

    :param taken: ground on which nothing may be built
    """
    shapely.prepare(taken)
    built: list[Building] = []
    footprints: list[shapely.Polygon] = []
    rounds = np.zeros((0, 3))
    for row, step in ((0, 9.0), (1, 14.0)):
        for point, heading in _frontage(streets, step):
            width, depth = dice.between(8.0, 24.0), dice.between(8.0, 18.0)
            back = (GUTTER_M + STRIP_WIDTH_M + WALKWAY_M + dice.between(1.0, 5.0)
                    + row * _SECOND_ROW_M)
            height = (dice.between(_LOW_M, _HIGH_M) if dice.chance(0.6)
                      else dice.between(_HIGH_M, _HIGHEST_M))
            colour, gap = dice.count(0, WALL_COLOURS - 1), dice.chance(0.2)
            if gap:
                continue
            ahead, left = ahead_of(heading), left_of(heading)
            middle = point + (back + depth / 2) * ahead
            corners = snap(np.array([middle + x * depth / 2 * ahead + y * width / 2 * left
                                     for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]))
            footprint = shapely.Polygon(corners)
            reach = float(np.hypot(width, depth)) / 2
            near = np.flatnonzero(np.hypot(*(rounds[:, :2] - middle).T)
                                  < rounds[:, 2] + reach + _BETWEEN_HOUSES_M)
            if taken.intersects(footprint) or any(
                    footprints[index].distance(footprint) < _BETWEEN_HOUSES_M for index in near):
                continue
            built.append(Building(corners, round(height, 2), colour))
            footprints.append(footprint)
            rounds = np.vstack([rounds, [*middle, reach]])
    return built


def plants(streets: Sequence[Street], taken: shapely.Geometry, built: Sequence[Building],
           dice: Dice) -> list[Plant]:
    """Put trees along the walkways, and trees and bushes between the buildings."""
    walls = shapely.union_all([shapely.Polygon(building.footprint) for building in built])
    blocked = shapely.union(taken, shapely.buffer(walls, 0.8))
    candidates = []
    for point, heading in _frontage(streets, 7.0):
        beyond = dice.between(1.0, 5.0) if dice.chance(0.6) else dice.between(2.0, 28.0)
        place = (point + (GUTTER_M + WALKWAY_M + beyond) * ahead_of(heading)
                 + dice.between(-2.5, 2.5) * left_of(heading))
        if dice.chance(0.65):
            trunk, radius = dice.between(1.6, 3.2), dice.between(1.3, 3.0)
        else:
            trunk, radius = 0.0, dice.between(0.4, 1.1)
        candidates.append(Plant(snap(place), round(trunk, 2), round(radius, 2),
                                dice.count(0, LEAF_COLOURS - 1)))
    places = np.array([plant.position for plant in candidates])
    shapely.prepare(blocked)
    hidden = shapely.contains_xy(blocked, places[:, 0], places[:, 1])
    return [plant for plant, away in zip(candidates, hidden, strict=True) if not away]


def lamps(streets: Sequence[Street], asphalt: shapely.Geometry, dice: Dice) -> np.ndarray:
    """Stand lamps behind the kerbs: [N, 3] place and height."""
    shapely.prepare(asphalt)
    poles = []
    for point, heading in _frontage(streets, 32.0):
        chosen, height = dice.chance(0.7), dice.between(6.0, 9.0)
        for back in (0.0, STRIP_WIDTH_M):
            place = point + (GUTTER_M + 0.5 + back) * ahead_of(heading)
            if chosen and not asphalt.dwithin(shapely.Point(place), 0.2):
                poles.append([*place, height])
                break
    return snap(np.array(poles).reshape(-1, 3))


def _frontage(streets: Sequence[Street], step: float) -> Iterator[tuple[np.ndarray, float]]:
    """Points [2] along the outer edges of the streets, each with the heading away from it."""
    for street in streets:
        for direction in (0, 1):
            sections, edge = street.side(direction)
            along = np.arange(sections.along[0], sections.along[-1], step)
            kerb = sections.at(along)
            line = kerb.line(np.interp(along, sections.along, edge))
            outward = np.pi / 2 if direction else -np.pi / 2
            yield from zip(line, (kerb.headings + outward).tolist(), strict=True)
