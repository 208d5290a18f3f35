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

"""A town in the making: lanes, their polygons and how they are joined, under fresh ids."""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses

import numpy as np
from pair_drive_training.world.towns.curves import headings_of, lengths_of, snap, Stations
from pair_drive_training.world.towns.town import (
    Crossing,
    Junction,
    Marking,
    SignalHead,
    TownLane,
    Turn,
)
import shapely

GRID_M = 1e-3
JUNCTION_MARGIN_M = 0.7
"""How far a junction's drivable area reaches beside its connectors."""
JUNCTION_OVERLAP_M = 0.2
"""How far it reaches over the lanes before and after, so that rounding leaves no gap."""
SHORT_END_M = 0.2
GUTTER_M = 0.8
"""Asphalt between the outermost lane and the kerb; the roadblock includes it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Draft:
    """What has been built so far; every part takes the next of the ``ids``."""

    ids: Iterator[int]
    lanes: dict[int, TownLane] = dataclasses.field(default_factory=dict)
    lane_polygons: dict[int, shapely.Polygon] = dataclasses.field(default_factory=dict)
    groups: dict[int, shapely.Polygon] = dataclasses.field(default_factory=dict)
    group_connectors: dict[int, tuple[shapely.Polygon, int, int, int]] = dataclasses.field(
        default_factory=dict)
    junctions: dict[int, Junction] = dataclasses.field(default_factory=dict)
    crossings: dict[int, Crossing] = dataclasses.field(default_factory=dict)
    stops: dict[int, tuple[shapely.Polygon, tuple[int, ...]]] = dataclasses.field(
        default_factory=dict)
    signal_heads: list[SignalHead] = dataclasses.field(default_factory=list)
    markings: list[Marking] = dataclasses.field(default_factory=list)
    paved: list[shapely.Polygon] = dataclasses.field(default_factory=list)

    def new_id(self) -> int:
        """Return the next free id."""
        return next(self.ids)

    def add_group(self, part: Stations, lefts: Sequence[float], width: float,
                  speed_limit: float | None) -> tuple[int, ...]:
        """
        Add parallel lanes along cross sections in driving direction.

        :param lefts: how far left of the sections each lane's middle lies, from left to right
        :return: ids of the lanes from left to right
        """
        group = self.new_id()
        ids = tuple(self.new_id() for _ in lefts)
        for index, (lane, left) in enumerate(zip(ids, lefts, strict=True)):
            self.lanes[lane] = TownLane(
                lane, False, group, with_short_end(snap(part.line(left))), width, speed_limit,
                (), (), index=index, left=ids[index - 1] if index else None,
                right=ids[index + 1] if index + 1 < len(ids) else None)
            self.lane_polygons[lane] = between(part.line(left + width / 2),
                                               part.line(left - width / 2))
        self.groups[group] = between(part.line(lefts[0] + width / 2),
                                     part.line(lefts[-1] - width / 2 - GUTTER_M))
        return ids

    def add_connector(self, source: int, target: int, line: np.ndarray, junction: int,
                      turn: Turn, headings: tuple[float, float],
                      speed_limit: float | None = None, phase: int | None = None) -> int:
        """
        Add the connector from one lane to another; its group comes with :meth:`close_junction`.

        :param line: [M, 2] from the end of the one to the start of the other
        :param headings: of the lanes where they meet the connector
        """
        connector = self.new_id()
        width = min(self.lanes[source].width, self.lanes[target].width)
        line = snap(line)
        line[0], line[-1] = self.lanes[source].baseline[-1], self.lanes[target].baseline[0]
        line = with_short_end(line)
        self.lanes[connector] = TownLane(
            connector, True, -1, line, width, speed_limit, (source,), (target,), turn=turn,
            junction=junction, phase=phase)
        self.lane_polygons[connector] = strip(line, headings, width / 2)
        return connector

    def close_junction(self, junction: Junction, connectors: Iterable[int]) -> None:
        """Add a junction and gather its connectors into groups by where they come from and go."""
        self.junctions[junction.fid] = junction
        between_groups: dict[tuple[int, int], list[int]] = {}
        for connector in connectors:
            lane = self.lanes[connector]
            ends = (self.lanes[lane.incoming[0]].group, self.lanes[lane.outgoing[0]].group)
            between_groups.setdefault(ends, []).append(connector)
        for (source, target), members in between_groups.items():
            group = self.new_id()
            area = united([self.lane_polygons[connector] for connector in members])
            self.group_connectors[group] = (area, source, target, junction.fid)
            for connector in members:
                self.lanes[connector] = dataclasses.replace(self.lanes[connector], group=group)

    def joined_lanes(self) -> dict[int, TownLane]:
        """Return all lanes and connectors, the lanes with the connectors before and after them."""
        before: dict[int, list[int]] = {lane: [] for lane in self.lanes}
        after: dict[int, list[int]] = {lane: [] for lane in self.lanes}
        for lane in self.lanes.values():
            for source in lane.incoming:
                after[source].append(lane.fid)
            for target in lane.outgoing:
                before[target].append(lane.fid)
        return {lane.fid: lane if lane.is_connector else dataclasses.replace(
            lane, incoming=tuple(before[lane.fid]), outgoing=tuple(after[lane.fid]))
            for lane in self.lanes.values()}


def with_short_end(line: np.ndarray) -> np.ndarray:
    """
    Put one more point just before the end of a baseline [M, 2].

    The devkit's reactive traffic loses a vehicle that stands beyond the last point but one, and
    stops; so there is no room there.
    """
    last = line[-1] - line[-2]
    length = np.sqrt(last @ last)
    if length <= 2.0 * SHORT_END_M:
        return line
    return np.insert(line, -1, line[-1] - SHORT_END_M / length * last, axis=0)


def between(left: np.ndarray, right: np.ndarray) -> shapely.Polygon:
    """Return the area between the left and the right edge of a road, both in its direction."""
    return shapely.Polygon(snap(np.concatenate([right, left[::-1]])))


def strip(line: np.ndarray, headings: tuple[float, float], half_width: float,
          longer: float = 0.0) -> shapely.Polygon:
    """Return the area beside a line [M, 2] whose first and last headings are given."""
    tangents = headings_of(line)
    tangents[0], tangents[-1] = headings
    part = Stations(lengths_of(line), line, tangents).longer(longer)
    return between(part.line(half_width), part.line(-half_width))


def junction_strip(draft: Draft, connector: int, headings: tuple[float, float]) -> shapely.Polygon:
    """Return what a connector contributes to the drivable area of its junction."""
    lane = draft.lanes[connector]
    return strip(lane.baseline, headings, lane.width / 2 + JUNCTION_MARGIN_M, JUNCTION_OVERLAP_M)


def united(areas: Sequence[shapely.Polygon], largest_filled: float = np.inf) -> shapely.Polygon:
    """
    Unite areas that touch into one polygon, on the millimetre grid.

    :param largest_filled: holes above this area, in square metres, stay
    """
    whole = shapely.union_all(np.array(areas), grid_size=GRID_M)
    if len(parts(whole)) > 1:
        # Neighbours that share an edge may part by a rounding error.
        wider = shapely.buffer(np.array(areas), 0.02, join_style='mitre')
        whole = shapely.union_all(wider, grid_size=GRID_M)
    return shapely.normalize(without_holes(whole, largest_filled))


def without_holes(area: shapely.Geometry, largest_filled: float) -> shapely.Geometry:
    """Fill the holes of an area up to ``largest_filled`` square metres."""
    return shapely.union_all([shapely.Polygon(part.exterior, [
        ring for ring in part.interiors if shapely.Polygon(ring).area > largest_filled])
        for part in parts(area)])


def parts(area: shapely.Geometry) -> list[shapely.Polygon]:
    """Take an area apart into polygons, in an order that depends on nothing but their shape."""
    return [part for part in shapely.get_parts(shapely.normalize(area)).tolist()
            if isinstance(part, shapely.Polygon)]


def simple_parts(area: shapely.Geometry) -> list[shapely.Polygon]:
    """
    Take an area apart into polygons without holes, in an order that depends on their shape alone.

    The devkit's BEV maps fill the holes of what they draw: a walkway round a block would cover it.
    """
    simple = []
    waiting = parts(area)
    while waiting:
        part = waiting.pop()
        if not part.interiors:
            simple.append(part)
            continue
        # A straight cut through a hole opens it to both sides.
        cut = shapely.Polygon(part.interiors[0]).centroid.x
        left, bottom, right, top = part.bounds
        for half in (shapely.box(left, bottom, cut, top), shapely.box(cut, bottom, right, top)):
            waiting += parts(shapely.intersection(part, half, grid_size=GRID_M))
    return parts(shapely.MultiPolygon(simple))
