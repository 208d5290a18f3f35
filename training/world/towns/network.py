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

"""Random plans of towns: a bent grid of avenues and side streets."""

from collections import Counter
from collections.abc import Sequence
import dataclasses

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.street import StreetPlan
from pair_drive_training.world.towns.town import Control, TownError
from pair_drive_training.world.towns.town_builder import NodePlan, TownPlan

_GRIDS = ((4, 3), (3, 4), (4, 4), (4, 3))
_REACH_M = 205.0
_JITTER_M = 16.0
_ARM_M = 44.0
"""Straight beginning of a street at a junction."""
_SMALLEST_ANGLE = np.radians(62.0)
_AVENUE_LIMITS = (11.2, 13.4, 13.4, 15.6, 16.7, None)
_STREET_LIMITS = (7.0, 8.9, 8.9, 11.2, 11.2, None)
# The car of the score: half its width, and its front ahead of the rear axle, in metres.
_HALF_WIDTH_M, _NOSE_M = 1.149, 4.049
_SHARPEST_LANE_M = 12.5
_WIDEST_LANE_M = 3.7

Edge = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class _Class:
    """A line of the grid: how many lanes per direction, how wide, how fast."""

    lanes: int
    width: float
    speed_limit: float | None
    avenue: bool


def random_plan(dice: Dice) -> TownPlan:
    """
    Draw a plan of 6 to 12 junctions in about 500 m by 500 m.

    :raises TownError: when what was drawn does not fit; draw again
    """
    columns, rows = dice.pick(_GRIDS)
    places = _places(columns, rows, dice)
    edges = _thinned(_grid_edges(columns, rows), dice)
    classes = _classes(columns, rows, dice)
    degree = Counter(node for edge in edges for node in edge)
    junctions = [node for node in range(columns * rows) if degree[node] > 2]
    if not 6 <= len(junctions) <= 12:
        raise TownError(f'the plan has {len(junctions)} junctions')
    number = {node: index for index, node in enumerate(junctions)}
    round_about = dice.pick(junctions)
    streets, grades = [], []
    for chain in _chains(edges, degree):
        kinds = [classes[_line_of(edge, columns)]
                 for edge in zip(chain[:-1], chain[1:], strict=True)]
        kind = min(kinds, key=lambda kind: kind.lanes)
        streets.append(_street(chain, places, kind, number, round_about, dice))
        grades.append(kind)
    nodes = _nodes(junctions, places, streets, grades, number[round_about], dice)
    _check_angles(nodes, streets)
    return TownPlan(tuple(nodes), tuple(streets))


def _places(columns: int, rows: int, dice: Dice) -> np.ndarray:
    """Nodes [N, 2] of a grid, row by row, shifted about and turned as a whole."""
    turn = dice.between(-np.pi / 4, np.pi / 4)
    shear = dice.between(-0.12, 0.12)
    cos, sin = np.cos(turn), np.sin(turn)
    places = []
    for row in range(rows):
        for column in range(columns):
            x = _REACH_M * (2.0 * column / (columns - 1) - 1.0)
            y = _REACH_M * (2.0 * row / (rows - 1) - 1.0)
            x += shear * y + dice.between(-_JITTER_M, _JITTER_M)
            y += dice.between(-_JITTER_M, _JITTER_M)
            places.append((cos * x - sin * y, sin * x + cos * y))
    return np.array(places)


def _grid_edges(columns: int, rows: int) -> list[Edge]:
    across = [(row * columns + column, row * columns + column + 1)
              for row in range(rows) for column in range(columns - 1)]
    up = [(row * columns + column, (row + 1) * columns + column)
          for row in range(rows - 1) for column in range(columns)]
    return across + up


def _thinned(edges: Sequence[Edge], dice: Dice) -> list[Edge]:
    """Leave out up to two edges between busy nodes, so that no way becomes a dead end."""
    kept = list(edges)
    for edge in dice.shuffled(edges)[:dice.count(0, 2)]:
        degree = Counter(node for other in kept for node in other)
        if min(degree[edge[0]], degree[edge[1]]) > 2:
            kept.remove(edge)
    return kept


def _classes(columns: int, rows: int, dice: Dice) -> dict[tuple[str, int], _Class]:
    """Choose what kind of street each line of the grid is."""
    lines = [('row', row) for row in range(rows)] + [('column', column)
                                                     for column in range(columns)]
    avenues = set(dice.shuffled(lines)[:3])
    classes = {}
    for line in lines:
        if line in avenues:
            lanes, width = 3 if dice.chance(0.3) else 2, dice.between(3.25, 3.7)
            limit = dice.pick(_AVENUE_LIMITS)
        else:
            lanes, width = 2 if dice.chance(0.25) else 1, dice.between(3.0, 3.6)
            limit = dice.pick(_STREET_LIMITS)
        classes[line] = _Class(lanes, round(width, 2), limit, line in avenues)
    return classes


def _line_of(edge: Edge, columns: int) -> tuple[str, int]:
    first, second = min(edge), max(edge)
    if second - first == 1:
        return 'row', first // columns
    return 'column', first % columns


def _chains(edges: Sequence[Edge], degree: Counter) -> list[list[int]]:
    """Join edges at nodes where only two meet: lists of nodes from junction to junction."""
    unused = list(edges)
    chains = []
    while unused:
        start = next(edge for edge in unused
                     if degree[edge[0]] > 2 or degree[edge[1]] > 2)
        unused.remove(start)
        chain = list(start if degree[start[0]] > 2 else start[::-1])
        while degree[chain[-1]] == 2:
            edge = next(edge for edge in unused if chain[-1] in edge)
            unused.remove(edge)
            chain.append(edge[0] if edge[1] == chain[-1] else edge[1])
        chains.append(chain)
    return chains


def _street(chain: Sequence[int], places: np.ndarray, kind: _Class, number: dict[int, int],
            round_about: int, dice: Dice) -> StreetPlan:
    """Draw the street along a chain of nodes, with a bend at each inner one and some between."""
    corners, radii = [places[chain[0]]], []
    for first, second in zip(chain[:-1], chain[1:], strict=True):
        begin, end = places[first], places[second]
        along = (end - begin) / np.hypot(*(end - begin))
        if len(chain) == 2 and dice.chance(0.6):
            left = np.array([-along[1], along[0]])
            middle = begin + dice.between(0.42, 0.58) * (end - begin)
            corners.append(middle + dice.pick((-1.0, 1.0)) * dice.between(6.0, 24.0) * left)
            radii.append(dice.between(30.0, 200.0))
        corners.append(end)
        if second != chain[-1]:
            radii.append(dice.between(14.0, 42.0))
    lanes = _lane_counts(chain, kind, round_about, dice)
    most = max(max(direction) for direction in lanes)
    line, sharpest = np.array(corners), _SHARPEST_LANE_M + (most - 0.5) * _WIDEST_LANE_M
    fitted = _fitted_radii(line, np.maximum(radii, sharpest))
    width = kind.width
    for radius in fitted:
        if radius < sharpest - 1e-6:
            raise TownError(f'a bend of {radius:.0f} m is too sharp for {most} lanes')
        lane = radius - (most - 0.5) * width
        needed = 2.0 * (np.hypot(lane + _HALF_WIDTH_M, _NOSE_M) - lane + 0.1)
        width = min(_WIDEST_LANE_M, max(width, round(float(needed), 2)))
    park = 0.25 if kind.avenue else 0.5
    return StreetPlan((number[chain[0]], number[chain[-1]]), line, tuple(fitted), lanes, width,
                      kind.speed_limit, (dice.between(0.42, 0.62), dice.between(0.42, 0.62)),
                      (dice.chance(park), dice.chance(park)))


def _lane_counts(chain: Sequence[int], kind: _Class, round_about: int,
                 dice: Dice) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many lanes each direction has at its beginning and its end."""
    to_ring = [chain[0] == round_about, chain[-1] == round_about]
    usual = min(kind.lanes, 2) if any(to_ring) else kind.lanes
    counts = []
    for begins_at_ring, ends_at_ring in (to_ring, to_ring[::-1]):
        begin = finish = usual
        # An approach that widens or a lane that ends; not in the bends of longer ways.
        if len(chain) == 2 and not any(to_ring) and dice.chance(0.35):
            finish = max(1, min(3, usual + dice.pick((-1, 1))))
        counts.append((1 if begins_at_ring else begin, 1 if ends_at_ring else finish))
    return counts[0], counts[1]


def _fitted_radii(corners: np.ndarray, radii: np.ndarray) -> list[float]:
    """Make bends smaller where two of them, or one and a junction, need the same place."""
    if len(radii) == 0:
        return []
    sides = np.diff(corners, axis=0)
    headings = np.arctan2(sides[:, 1], sides[:, 0])
    tangents = np.tan(np.abs(wrap_angle(np.diff(headings))) / 2.0)
    room = np.hypot(*sides.T) - 8.0
    room[0] -= _ARM_M
    room[-1] -= _ARM_M
    need = np.concatenate([[0.0], radii * tangents, [0.0]])
    crowded = np.minimum(1.0, np.maximum(room, 0.0) / np.maximum(need[:-1] + need[1:], 1e-9))
    return [float(value) for value in radii * np.minimum(crowded[:-1], crowded[1:])]


def _nodes(junctions: Sequence[int], places: np.ndarray, streets: Sequence[StreetPlan],
           kinds: Sequence[_Class], round_about: int, dice: Dice) -> list[NodePlan]:
    controls = [Control.SIGNALS, Control.PRIORITY, Control.SIGNALS] + [
        Control.SIGNALS if dice.chance(0.5) else Control.PRIORITY for _ in junctions]
    nodes = []
    for index, control in zip(range(len(junctions)), dice.shuffled(controls[:len(junctions)]),
                              strict=True):
        if index == round_about:
            control = Control.ROUNDABOUT
        radius = (dice.between(16.0, 21.0) if control is Control.ROUNDABOUT
                  else dice.between(6.5, 10.0))
        here = [street for street, plan in enumerate(streets) if index in plan.ends]
        order = sorted(here, key=lambda street: (-kinds[street].lanes, -kinds[street].avenue,
                                                 street))
        nodes.append(NodePlan(
            places[junctions[index]], control, round(radius, 2),
            _main_pair(index, places[junctions[index]], streets, order),
            split_phases=control is Control.SIGNALS and dice.chance(0.3),
            green=round(dice.between(11.0, 20.0), 1), offset=round(dice.between(0.0, 40.0), 1),
            crosswalks=dice.chance(0.85)))
    return nodes


def _main_pair(node: int, place: np.ndarray, streets: Sequence[StreetPlan],
               order: Sequence[int]) -> tuple[int, ...]:
    """Return the most important street at a node and the one most nearly opposite to it."""
    def outward(street: int) -> float:
        plan = streets[street]
        towards = plan.corners[1] if plan.ends[0] == node else plan.corners[-2]
        return float(np.arctan2(*(towards - place)[::-1]))

    first = order[0]
    opposite = min(order[1:], key=lambda street: abs(abs(float(wrap_angle(
        outward(street) - outward(first)))) - np.pi))
    return first, opposite


def _check_angles(nodes: Sequence[NodePlan], streets: Sequence[StreetPlan]) -> None:
    for index, node in enumerate(nodes):
        arms = [plan.corners[inner] - node.position for plan in streets
                for end, inner in zip(plan.ends, (1, -2), strict=True) if end == index]
        headings = sorted(float(np.arctan2(arm[1], arm[0])) for arm in arms)
        gaps = np.diff([*headings, headings[0] + 2.0 * np.pi])
        if gaps.min() < _SMALLEST_ANGLE:
            raise TownError(f'two arms of junction {index} are {np.degrees(gaps.min()):.0f} '
                            'degrees apart')
