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

"""Solids of what stands beside the streets: buildings, trees, street lamps and signals."""

import numpy as np
from pair_drive_training.world.sensors.mesh import (
    block,
    Colour,
    ellipsoid,
    faces,
    FOLIAGE,
    GLOW,
    GREEN,
    join,
    LEAVES,
    MATT,
    Mesh,
    moved,
    panel,
    polygons,
    RED,
    WALL,
)
from pair_drive_training.world.towns.town import Building, Plant, SignalHead

_WALLS: tuple[Colour, ...] = (
    (0.62, 0.56, 0.48), (0.55, 0.34, 0.27), (0.70, 0.69, 0.66), (0.46, 0.47, 0.49),
    (0.66, 0.58, 0.40), (0.42, 0.30, 0.25), (0.58, 0.62, 0.62), (0.74, 0.66, 0.56))
_GREENS: tuple[Colour, ...] = ((0.22, 0.36, 0.14), (0.28, 0.40, 0.16), (0.17, 0.31, 0.15),
                               (0.35, 0.40, 0.15), (0.40, 0.33, 0.13))
_BARK: Colour = (0.27, 0.21, 0.16)
_STEEL: Colour = (0.36, 0.38, 0.38)
_HOUSING: Colour = (0.05, 0.055, 0.05)
_RED_OFF, _AMBER_OFF, _GREEN_OFF = (0.16, 0.03, 0.03), (0.15, 0.10, 0.02), (0.02, 0.12, 0.05)
_BARK_REFLECTS, _LEAF_REFLECTS, _STEEL_REFLECTS = 45.0, 35.0, 110.0


def building_mesh(building: Building) -> Mesh:
    """Walls with rows of windows, a roof and a cornice, where the building stands."""
    footprint = np.asarray(building.footprint, np.float64)
    ahead, across = footprint[1] - footprint[0], footprint[2] - footprint[1]
    if ahead[0] * across[1] - ahead[1] * across[0] < 0.0:
        footprint = footprint[::-1]
    walls = _prism(footprint, 0.0, building.height)
    middle = footprint.mean(axis=0)
    reach = np.linalg.norm(footprint - middle, axis=1, keepdims=True)
    eaves = middle + (footprint - middle) * (1.0 + 0.25 / reach)
    cornice = _prism(eaves, building.height - 0.1, building.height + 0.4)
    colour = _WALLS[building.colour % len(_WALLS)]
    dark = tuple(0.7 * part for part in colour)
    return join([polygons(walls[:4], colour, WALL, reflects=55.0),
                 polygons(cornice, dark, casts=False, reflects=55.0)])


def plant_mesh(plant: Plant, number: int) -> Mesh:
    """
    Return a tree, or a bush where there is no stem, around its foot.

    :param number: varies the crown
    """
    green = _GREENS[plant.colour % len(_GREENS)]
    dark = tuple(0.66 * part for part in green)
    radius = float(plant.radius)
    stretch = 0.85 + 0.10 * (number % 5)
    top = plant.trunk + 0.85 * radius * stretch
    segments = 7 if plant.trunk > 0.5 else 6
    parts = [polygons(ellipsoid((0.0, 0.0, top), (radius, radius, radius * stretch), segments, 2),
                      green, LEAVES, reflects=_LEAF_REFLECTS),
             polygons(ellipsoid((0.0, 0.0, top), (0.86 * radius, 0.86 * radius,
                                                  0.87 * radius * stretch), segments, 2),
                      dark, FOLIAGE, casts=False, reflects=_LEAF_REFLECTS)]
    if plant.trunk > 0.5:
        girth = 0.10 + 0.06 * radius
        stem = block((0.0, 0.0, 0.0), (girth, girth, top), top=(0.7, 0.7))
        parts.append(polygons(faces(stem, ('front', 'left', 'rear', 'right')), _BARK,
                              reflects=_BARK_REFLECTS))
    return moved(join(parts), *plant.position, 0.7 * number)


def lamp_mesh(pole: np.ndarray) -> Mesh:
    """Street lamp at ``pole`` [3]: x, y, height."""
    height = float(pole[2])
    post = block((0.0, 0.0, 0.0), (0.16, 0.16, height), top=(0.55, 0.55))
    head = block((0.0, 0.0, height), (0.30, 0.30, 0.22), top=(1.4, 1.4))
    return moved(join([polygons(faces(post), _STEEL, reflects=_STEEL_REFLECTS),
                       polygons(faces(head), (0.75, 0.74, 0.68), casts=False,
                                reflects=_STEEL_REFLECTS)]), pole[0], pole[1])


def signal_mesh(head: SignalHead) -> Mesh:
    """
    Signal with red above amber above green, on a post.

    The lenses are 0.3 m wide, as full-size ones are, on a dark board that sets them off.
    """
    height = float(head.position[2])
    board = block((0.0, 0.0, height - 0.75), (0.03, 0.72, 1.5))
    box = block((0.10, 0.0, height - 0.62), (0.20, 0.38, 1.24))
    post = block((-0.09, 0.0, 0.0), (0.12, 0.12, height + 0.6))
    parts = [polygons(faces(board), _HOUSING, casts=False),
             polygons(faces(box), _HOUSING, reflects=30.0),
             polygons(faces(post), _STEEL, reflects=_STEEL_REFLECTS)]
    for low, colour, lit_by in ((0.69, _RED_OFF, RED), (0.37, _AMBER_OFF, 0),
                                (0.05, _GREEN_OFF, GREEN)):
        middle, half = low + 0.13, 0.13
        # An octagon: a square that glows between two trapezes.
        inner = panel(box, 'front', (0.25, 0.75), (low, low + 2 * half))
        left = panel(box, 'front', (0.09, 0.25), (middle - 0.5 * half, middle + 0.5 * half))
        right = panel(box, 'front', (0.75, 0.91), (middle - 0.5 * half, middle + 0.5 * half))
        left[0, 1], left[0, 2] = inner[0, 0], inner[0, 3]
        right[0, 0], right[0, 3] = inner[0, 1], inner[0, 2]
        parts += [polygons(inner, colour, lamps=lit_by | (GLOW if lit_by else 0), casts=False),
                  polygons(np.concatenate([left, right]), colour, MATT, lit_by, casts=False)]
    return moved(join(parts), head.position[0], head.position[1], head.heading)


def _prism(ring: np.ndarray, low: float, high: float) -> np.ndarray:
    """Four walls and the roof [5, 4, 3] over a counter-clockwise ring [4, 2]."""
    below, above = np.c_[ring, np.full(4, low)], np.c_[ring, np.full(4, high)]
    walls = [(below[i], below[(i + 1) % 4], above[(i + 1) % 4], above[i]) for i in range(4)]
    return np.array([*walls, above])
