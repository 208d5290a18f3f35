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

"""The towns of a world: drawn from its seed, twenty to each city of the map format."""

from dataclasses import dataclass

import numpy as np
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.network import random_plan
from pair_drive_training.world.towns.street import StreetPlan
from pair_drive_training.world.towns.town import Control, Town, TownError
from pair_drive_training.world.towns.town_builder import build_town, NodePlan, TownPlan


@dataclass(frozen=True)
class City:
    """A city that the devkit knows: version and coordinate system of its map, and a place."""

    version: str
    crs: str
    origin: tuple[float, float]


CITIES = {
    'sg-one-north': City('9.17.1964', 'EPSG:32648', (365000.0, 143500.0)),
    'us-ma-boston': City('9.12.1817', 'EPSG:32619', (330500.0, 4690500.0)),
    'us-nv-las-vegas-strip': City('9.15.1915', 'EPSG:32611', (664500.0, 3997500.0)),
    'us-pa-pittsburgh-hazelwood': City('9.17.1937', 'EPSG:32617', (587500.0, 4475500.0)),
}
TOWNS = 80
TOWN_DISTANCE_M = 2000.0
_ATTEMPTS = 200
_IDS_PER_TOWN = 100_000


def simple_town(seed: int = 0) -> Town:
    """
    Return a junction with signals whose four arms lead, by two round trips, back to it.

    Two lanes and some bends; for tests that need a place to drive.
    """
    reach = 130.0
    square = np.array([[0.0, 0.0], [reach, 0.0], [reach, reach], [0.0, reach], [0.0, 0.0]])
    streets = tuple(
        StreetPlan((0, 0), side * square, (22.0, 30.0, 16.0), ((1, 1), (1, 1)), 3.5, limit,
                   parking=(side > 0, side > 0))
        for side, limit in ((1.0, 13.4), (-1.0, None)))
    node = NodePlan(np.zeros(2), Control.SIGNALS, 7.0)
    return build_town(TownPlan((node,), streets), seed, 'us-nv-las-vegas-strip', np.zeros(2), 1)


def random_town(seed: int, city: str, centre: np.ndarray, first_id: int) -> Town:
    """Draw plans until one fits, and build it round ``centre`` [2] of the city's map."""
    for attempt in range(_ATTEMPTS):
        try:
            plan = random_plan(Dice(np.random.SeedSequence([seed, 0, attempt])))
            return build_town(plan, seed, city, centre, first_id)
        except TownError as error:
            reason = error
    raise TownError(f'no plan of {_ATTEMPTS} for the town of seed {seed} fits; the last: {reason}')


def world_town(seed: int, number: int) -> Town:
    """
    Return one of the ``TOWNS`` towns of a world.

    Neighbours by number lie in different cities; ids are unique within a city.
    """
    names = list(CITIES)
    city, place = names[number % len(names)], number // len(names)
    centre = np.add(CITIES[city].origin, (TOWN_DISTANCE_M * place, 0.0))
    town_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return random_town(town_seed, city, centre, (place + 1) * _IDS_PER_TOWN)


def world_towns(seed: int) -> tuple[Town, ...]:
    """Return all towns of a world, in the order of their numbers."""
    return tuple(world_town(seed, number) for number in range(TOWNS))
