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

"""Roundabouts: a ring of one lane, counter-clockwise, whose traffic goes first."""

from collections.abc import Sequence

import numpy as np
from pair_drive_training.world.towns.curves import ahead_of, evenly, left_of, Stations
from pair_drive_training.world.towns.draft import (
    Draft,
    JUNCTION_MARGIN_M,
    JUNCTION_OVERLAP_M,
    junction_strip,
    strip,
    united,
)
from pair_drive_training.world.towns.junction import Arm, LEAD_M
from pair_drive_training.world.towns.town import Control, Junction, TownError, Turn

ENTRY_RADIUS_M = 13.0
RING_WIDTH_M = 4.0
_RING_STEP_M = 0.7
_RING_LIMIT = 7.0
_SMALLEST_ISLAND_M2 = 60.0


def roundabout_trim(radius: float) -> float:
    """Return how far from the middle of a roundabout its arms begin, by the radius of its ring."""
    return radius + ENTRY_RADIUS_M + LEAD_M


def build_roundabout(draft: Draft, centre: np.ndarray, radius: float,
                     arms: Sequence[Arm]) -> int:
    """
    Build the ring, its lanes between the arms and the ways in, out and past each arm.

    :param arms: with one lane in and out each, counter-clockwise
    :return: id of the junction
    :raises TownError: when neighbouring arms leave no room for a lane of the ring between them
    """
    junction = draft.new_id()
    touches = [_touch_angles(draft, arm, radius) for arm in arms]
    begin = [arm.pose[2] + touch[1] for arm, touch in zip(arms, touches, strict=True)]
    end = [arm.pose[2] - touch[0] for arm, touch in zip(arms, touches, strict=True)]
    ring, wide = [], []
    for index in range(len(arms)):
        following = (index + 1) % len(arms)
        sweep = (end[following] - begin[index]) % (2.0 * np.pi)
        if sweep > np.pi or sweep * radius < 4.0:
            raise TownError('two arms of a roundabout are too close to each other')
        part = _ring_part(centre, radius, begin[index], sweep)
        ring.append(draft.add_group(part, [0.0], RING_WIDTH_M, _RING_LIMIT)[0])
        wide.append(strip(part.points, (part.headings[0], part.headings[-1]),
                          RING_WIDTH_M / 2 + JUNCTION_MARGIN_M, JUNCTION_OVERLAP_M))
    connectors, yields = [], {}

    def add(source: int, target: int, line: np.ndarray, turn: Turn,
            headings: tuple[float, float]) -> int:
        connectors.append(draft.add_connector(source, target, line, junction, turn, headings,
                                              _RING_LIMIT))
        wide.append(junction_strip(draft, connectors[-1], headings))
        return connectors[-1]

    for index, arm in enumerate(arms):
        inward, quarter = float(arm.pose[2] + np.pi), np.pi / 2
        part = _ring_part(centre, radius, end[index], begin[index] - end[index])
        past = add(ring[index - 1], ring[index], part.points, Turn.STRAIGHT,
                   (end[index] + quarter, begin[index] + quarter))
        entry = add(arm.arriving[0], ring[index],
                    _entry(draft.lanes[arm.arriving[0]].baseline[-1], inward, centre, radius,
                           begin[index], 1.0), Turn.RIGHT, (inward, begin[index] + quarter))
        add(ring[index - 1], arm.leaving[0],
            _entry(draft.lanes[arm.leaving[0]].baseline[0], inward, centre, radius, end[index],
                   -1.0)[::-1], Turn.RIGHT, (end[index] + quarter, float(arm.pose[2])))
        yields[entry] = (past,)
    polygon = united(wide, _SMALLEST_ISLAND_M2)
    draft.paved.append(polygon)
    draft.close_junction(Junction(junction, polygon, Control.ROUNDABOUT, yields_to=yields),
                         connectors)
    return junction


def _touch_angles(draft: Draft, arm: Arm, radius: float) -> tuple[float, float]:
    """Angles from the arm at which the way out leaves the ring and the way in joins it."""
    angles = []
    for lane in (arm.leaving[0], arm.arriving[0]):
        across = draft.lanes[lane].width / 2 + ENTRY_RADIUS_M
        angles.append(float(np.arcsin(across / (radius + ENTRY_RADIUS_M))))
    return angles[0], angles[1]


def _ring_part(centre: np.ndarray, radius: float, first: float, sweep: float) -> Stations:
    count = max(2, int(np.ceil(sweep * radius / _RING_STEP_M)) + 1)
    angles = first + np.linspace(0.0, sweep, count)
    return Stations((angles - first) * radius, centre + radius * ahead_of(angles),
                    angles + np.pi / 2)


def _entry(start: np.ndarray, inward: float, centre: np.ndarray, radius: float, touch: float,
           side: float) -> np.ndarray:
    """Line [M, 2] straight from an arm, then in an arc that touches the ring from outside."""
    touching = centre + radius * ahead_of(touch)
    middle = centre + (radius + ENTRY_RADIUS_M) * ahead_of(touch)
    foot = middle + side * ENTRY_RADIUS_M * left_of(inward)
    first = np.arctan2(*(foot - middle)[::-1])
    last = np.arctan2(*(touching - middle)[::-1])
    sweep = (last - first + np.pi) % (2.0 * np.pi) - np.pi
    angles = first + np.linspace(0.0, sweep, 40)
    curve = middle + ENTRY_RADIUS_M * ahead_of(angles)
    return evenly(np.concatenate([start[None], curve]), _RING_STEP_M)
