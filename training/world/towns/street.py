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

"""Streets: lanes in both directions along a bending line, lane ends and lane beginnings."""

from dataclasses import dataclass

import numpy as np
from pair_drive_training.world.towns.curves import (
    FINE_STEP_M,
    headings_of,
    lengths_of,
    polyline_with_bends,
    Stations,
    stations,
)
from pair_drive_training.world.towns.draft import (
    between,
    Draft,
    GUTTER_M,
    JUNCTION_MARGIN_M,
    JUNCTION_OVERLAP_M,
)
from pair_drive_training.world.towns.town import Control, Junction, Marking, TownError, Turn

CHANGE_LENGTH_M = 36.0
"""Length over which a lane ends or begins."""
SHARPEST_CHANGE = 1.0 / 50.0
"""Curvature, 1/m, up to which it may do so."""
SHORTEST_M = 12.0
"""Least length of a lane."""


@dataclass(frozen=True, eq=False)
class StreetPlan:
    """
    A street to be built between two nodes.

    ``corners`` [C, 2] from node to node with bends of ``radii`` [C - 2] at the inner ones;
    ``lanes`` of the direction from the first node and of the one back: how many lanes there are
    at its beginning and at its end; ``changes`` where in between, as a share of its length;
    ``parking`` whether cars may park at each direction's kerb.
    """

    ends: tuple[int, int]
    corners: np.ndarray
    radii: tuple[float, ...]
    lanes: tuple[tuple[int, int], tuple[int, int]]
    width: float
    speed_limit: float | None
    changes: tuple[float, float] = (0.5, 0.5)
    parking: tuple[bool, bool] = (False, False)

    def line(self) -> np.ndarray:
        """Return the finely sampled line [M, 2] between the two directions."""
        return polyline_with_bends(self.corners, self.radii)


@dataclass(frozen=True, eq=False)
class Street:
    """
    A street that has been built.

    ``sections`` cross sections in the first direction; ``edges`` [2, M] distance of the outer edge
    of the lanes from the middle, of the first direction (to the right) and of the way back (to
    the left); ``first`` and ``last`` the lanes at the beginning and the end of each direction,
    from left to right.
    """

    plan: StreetPlan
    sections: Stations
    edges: np.ndarray
    first: tuple[tuple[int, ...], tuple[int, ...]]
    last: tuple[tuple[int, ...], tuple[int, ...]]

    def side(self, direction: int) -> tuple[Stations, np.ndarray]:
        """Return the cross sections, and how far to their left a direction's outer edge lies."""
        return self.sections, self.edges[direction] * (1.0 if direction else -1.0)


def build_street(draft: Draft, plan: StreetPlan, line: np.ndarray, start: float,
                 end: float) -> Street:
    """
    Build a street along a part of its finely sampled line.

    :param start: where its lanes begin and ``end`` where they end, in metres along the line
    :raises TownError: when too little is left of it for lanes, or for a lane to end or begin
    """
    changes: list[tuple[float, float] | None] = []
    for direction, (begin, finish) in enumerate(plan.lanes):
        if begin == finish:
            changes.append(None)
            continue
        share = plan.changes[direction] if direction == 0 else 1.0 - plan.changes[direction]
        # Whole metres: those of the two directions are at one place or well apart.
        metres = round(share * (end - start) - CHANGE_LENGTH_M / 2)
        changes.append((start + metres, start + (metres + CHANGE_LENGTH_M)))
        if not SHORTEST_M < metres < end - start - SHORTEST_M - CHANGE_LENGTH_M:
            raise TownError(f'a street of {end - start:.0f} m between junctions {plan.ends} is '
                            'too short for its number of lanes to change')
    if end - start < SHORTEST_M:
        raise TownError(f'junctions {plan.ends} leave only {end - start:.0f} m for the street '
                        'between them')
    dense = [change for change in changes if change is not None]
    along, headings = lengths_of(line), np.unwrap(headings_of(line))
    for change in dense:
        turn = np.abs(np.diff(headings[(along > change[0]) & (along < change[1])]))
        if turn.max() > SHARPEST_CHANGE * FINE_STEP_M:
            raise TownError(f'the number of lanes between junctions {plan.ends} would change in a '
                            'sharp bend')
    breaks = sorted({start, end, *(place for change in dense for place in change)})
    sections = stations(line, breaks, dense)
    total = start + end
    backward = Stations(total - sections.along[::-1], sections.points[::-1],
                        sections.headings[::-1] + np.pi)
    if changes[1] is not None:
        changes[1] = (total - changes[1][1], total - changes[1][0])
    (right, *ours), (left, *theirs) = (
        _build_direction(draft, plan, way, counts, change)
        for way, counts, change in zip((sections, backward), plan.lanes, changes, strict=True))
    street = Street(plan, sections, np.array([right, left[::-1]]), (ours[0], theirs[0]),
                    (ours[1], theirs[1]))
    draft.paved.append(between(sections.line(street.edges[1] + GUTTER_M),
                               sections.line(-street.edges[0] - GUTTER_M)))
    draft.markings.append(Marking(sections.line(0.0), False, True, 0.15))
    return street


def _build_direction(draft: Draft, plan: StreetPlan, way: Stations, counts: tuple[int, int],
                     change: tuple[float, float] | None,
                     ) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    """Build the lanes of one direction; outer edge [M], first lanes, last lanes."""
    begin, finish = way.along[0], way.along[-1]
    if change is None:
        lanes = _lanes(draft, plan, way, counts[0])
        return np.full(len(way.along), counts[0] * plan.width), lanes, lanes
    before, after = way.between(begin, change[0]), way.between(change[1], finish)
    first = _lanes(draft, plan, before, counts[0])
    last = _lanes(draft, plan, after, counts[1])
    edge = plan.width * (counts[0] + (counts[1] - counts[0]) * _smooth_step(
        (way.along - change[0]) / (change[1] - change[0])))
    _change_lanes(draft, plan, way.between(*change), first, last)
    return edge, first, last


def _lanes(draft: Draft, plan: StreetPlan, way: Stations, count: int) -> tuple[int, ...]:
    lefts = [-(index + 0.5) * plan.width for index in range(count)]
    ids = draft.add_group(way, lefts, plan.width, plan.speed_limit)
    for index in range(1, count):
        draft.markings.append(Marking(way.line(-index * plan.width), True, False, 0.12))
    draft.markings.append(Marking(way.line(-count * plan.width + 0.1), False, False, 0.12))
    return ids


def _change_lanes(draft: Draft, plan: StreetPlan, way: Stations, first: tuple[int, ...],
                  last: tuple[int, ...]) -> None:
    """Lead lanes on while the outermost ones end in, or begin out of, their left neighbour."""
    junction = draft.new_id()
    share = _smooth_step((way.along - way.along[0]) / (way.along[-1] - way.along[0]))
    ends = (float(way.headings[0]), float(way.headings[-1]))
    connectors, yields = [], {}
    for index in range(max(len(first), len(last))):
        source, target = min(index, len(first) - 1), min(index, len(last) - 1)
        left = -(source + 0.5 + (target - source) * share) * plan.width
        connectors.append(draft.add_connector(first[source], last[target], way.line(left),
                                              junction, Turn.STRAIGHT, ends, plan.speed_limit))
        if source > target:
            yields[connectors[-1]] = (connectors[target],)
    edge = plan.width * (len(first) + (len(last) - len(first)) * share)
    ground = way.longer(JUNCTION_OVERLAP_M)
    area = between(ground.line(JUNCTION_MARGIN_M), ground.line(-edge - GUTTER_M))
    draft.close_junction(Junction(junction, area, Control.MERGE, yields_to=yields), connectors)
    draft.markings.append(Marking(way.line(-edge + 0.1), False, False, 0.12))
    for index in range(1, min(len(first), len(last))):
        draft.markings.append(Marking(way.line(-index * plan.width), True, False, 0.12))


def _smooth_step(share: np.ndarray) -> np.ndarray:
    """0 to 1 with level ends and no jump in curvature."""
    x = np.clip(share, 0.0, 1.0)
    return x ** 3 * (10.0 - 15.0 * x + 6.0 * x ** 2)
