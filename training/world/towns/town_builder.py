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

"""A town from the plan of its streets: streets first, then the junctions between them."""

from collections.abc import Sequence
from dataclasses import dataclass
import itertools

import numpy as np
from pair_drive_training.world.towns.curves import headings_of, lengths_of, snap
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.draft import Draft, GRID_M, parts, simple_parts, without_holes
from pair_drive_training.world.towns.fittings import clear_of_roads, fit_approach
from pair_drive_training.world.towns.junction import Arm, build_junction, trim_distances
from pair_drive_training.world.towns.moving import moved
from pair_drive_training.world.towns.parking import find_car_parks, park_at_kerb, WALKWAY_M
from pair_drive_training.world.towns.roundabout import build_roundabout, roundabout_trim
from pair_drive_training.world.towns.scenery import buildings, lamps, plants
from pair_drive_training.world.towns.street import build_street, Street, StreetPlan
from pair_drive_training.world.towns.town import Control, Marking, Town
import shapely

_SLIVER_M2 = 20.0
_LARGEST_ISLAND_M2 = 1600.0


@dataclass(frozen=True, eq=False)
class NodePlan:
    """
    A junction to be built at ``position`` [2].

    ``kerb_radius`` m of its corners, of a roundabout the radius of its ring; ``split_phases``
    gives each arm its own green; ``main`` the street (by its place in the plan) whose traffic goes
    first; ``green`` s of each phase; ``offset`` s of its signals; ``crosswalks`` whether people
    may cross its arms.
    """

    position: np.ndarray
    control: Control
    kerb_radius: float
    main: tuple[int, ...] = ()
    split_phases: bool = False
    green: float = 15.0
    offset: float = 0.0
    crosswalks: bool = True


@dataclass(frozen=True, eq=False)
class TownPlan:
    """Nodes and the streets between them; a street may lead back to where it began."""

    nodes: tuple[NodePlan, ...]
    streets: tuple[StreetPlan, ...]


@dataclass(frozen=True, eq=False)
class _End:
    """An end of a street at a node: ``outward`` heading and widths to its left and right."""

    street: int
    at_start: bool
    outward: float
    widths: tuple[float, float]


def build_town(plan: TownPlan, seed: int, city: str, centre: np.ndarray, first_id: int) -> Town:
    """
    Build the town of a plan.

    :param centre: [2] where the middle of the plan's coordinates lies in the map
    :param first_id: the lowest id that it uses
    :raises TownError: when streets and junctions do not fit
    """
    draft = Draft(itertools.count(first_id))
    lines = [street.line() for street in plan.streets]
    ends = _ends_at_nodes(plan, lines)
    trims = {}
    for node, at_node in zip(plan.nodes, ends, strict=True):
        for end, trim in zip(at_node, _trims(node, at_node), strict=True):
            trims[end.street, end.at_start] = trim
    streets = []
    for index, (street, line) in enumerate(zip(plan.streets, lines, strict=True)):
        length = lengths_of(line)[-1]
        streets.append(build_street(draft, street, line, trims[index, True],
                                    float(length) - trims[index, False]))
    for node, at_node in zip(plan.nodes, ends, strict=True):
        _build_node(draft, node, [(end, streets[end.street]) for end in at_node])
    return moved(_furnish(draft, streets, seed, city), centre)


def _furnish(draft: Draft, streets: Sequence[Street], seed: int, city: str) -> Town:
    """Lay the ground beside the streets, put up what stands there and call it a town."""
    dice = Dice(np.random.SeedSequence([seed, 1]))
    parking = [place for street in streets for direction in (0, 1)
               if street.plan.parking[direction]
               for place in park_at_kerb(draft, street, direction)]
    roads = without_holes(shapely.union_all(np.array(draft.paved), grid_size=GRID_M), _SLIVER_M2)
    car_parks = find_car_parks(streets, roads, dice)
    lots = shapely.union_all([park.area for park in car_parks])
    # The islands of roundabouts have no walkway.
    filled = without_holes(roads, _LARGEST_ISLAND_M2)
    paved = shapely.union(roads, lots, grid_size=GRID_M)
    ring = shapely.buffer(filled, WALKWAY_M)
    beside = shapely.set_precision(shapely.difference(ring, shapely.union(filled, lots)), GRID_M)
    middle = shapely.simplify(shapely.buffer(filled, WALKWAY_M / 2), 0.1)
    taken = shapely.union(shapely.buffer(ring, 0.5), shapely.buffer(lots, 1.5))
    built = buildings(streets, taken, dice)
    return Town(
        seed=seed, city=city, centre=np.zeros(2), lanes=draft.joined_lanes(), groups=draft.groups,
        group_connectors=draft.group_connectors, junctions=draft.junctions,
        car_parks={draft.new_id(): park.area for park in car_parks},
        walkways={draft.new_id(): area for area in simple_parts(beside) if area.area > 1.0},
        crossings=draft.crossings, stops=draft.stops, lane_polygons=draft.lane_polygons,
        asphalt=shapely.MultiPolygon(parts(paved)),
        parking=(*parking, *(place for park in car_parks for place in park.places)),
        walks=tuple(snap(np.asarray(line.coords)) for area in parts(middle)
                    for line in (area.exterior, *area.interiors)),
        signal_heads=tuple(clear_of_roads(head, paved) for head in draft.signal_heads),
        markings=tuple(Marking(snap(mark.line), mark.dashed, mark.yellow, mark.width)
                       for mark in (*draft.markings, *(line for park in car_parks
                                                       for line in park.lines))),
        buildings=tuple(built), plants=tuple(plants(streets, taken, built, dice)),
        poles=lamps(streets, paved, dice))


def _ends_at_nodes(plan: TownPlan, lines: Sequence[np.ndarray]) -> list[list[_End]]:
    ends: list[list[_End]] = [[] for _ in plan.nodes]
    for index, (street, line) in enumerate(zip(plan.streets, lines, strict=True)):
        headings = headings_of(line)
        forward, backward = street.lanes
        for node, at_start, outward, arriving, leaving in (
                (street.ends[0], True, headings[0], backward[1], forward[0]),
                (street.ends[1], False, headings[-1] + np.pi, forward[1], backward[0])):
            ends[node].append(_End(index, at_start, float(outward),
                                   (arriving * street.width, leaving * street.width)))
    return [sorted(at_node, key=lambda end: end.outward % (2.0 * np.pi)) for at_node in ends]


def _trims(node: NodePlan, ends: Sequence[_End]) -> list[float]:
    if node.control is Control.ROUNDABOUT:
        return [roundabout_trim(node.kerb_radius)] * len(ends)
    return trim_distances([end.outward for end in ends], [end.widths for end in ends],
                          node.kerb_radius)


def _build_node(draft: Draft, node: NodePlan, ends: Sequence[tuple[_End, Street]]) -> None:
    arms = []
    for end, street in ends:
        place = 0 if end.at_start else -1
        pose = np.append(street.sections.points[place], end.outward)
        arms.append(Arm(pose, street.last[1 if end.at_start else 0],
                        street.first[0 if end.at_start else 1], end.widths,
                        end.street in node.main))
    if node.control is Control.ROUNDABOUT:
        junction = build_roundabout(draft, node.position, node.kerb_radius, arms)
    else:
        junction = build_junction(draft, arms, node.control, node.split_phases,
                                  node.green, node.offset)
    for arm in arms:
        fit_approach(draft, junction, arm, node.crosswalks)
