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

"""A nuPlan city map: lanes, roadblocks and areas in metres, with the queries of the score."""

from collections.abc import Sequence
from dataclasses import dataclass
import enum
from functools import cached_property

import numpy as np
import shapely


class MapError(ValueError):
    """A map cannot be read or lacks what was asked of it; the sentence names what and where."""


class Layer(enum.Enum):
    """Layers with a polygon for every object (connectors also have their baseline)."""

    LANE = 'lane'
    LANE_CONNECTOR = 'lane_connector'
    ROADBLOCK = 'roadblock'
    ROADBLOCK_CONNECTOR = 'roadblock_connector'
    INTERSECTION = 'intersection'
    CARPARK_AREA = 'carpark_area'
    WALKWAY = 'walkway'
    CROSSWALK = 'crosswalk'
    STOP_POLYGON = 'stop_polygon'


@dataclass(frozen=True, eq=False)
class Lane:
    """
    A lane or a lane connector.

    ``baseline`` [M, 3] x, y and the heading of the segment that starts there (the last point
    repeats the heading before it); ``speed_limit`` m/s or None; ``roadblock`` the id of the block
    it lies in; ``incoming`` and ``outgoing`` ids of connectors (of a lane) or of lanes (of a
    connector), in the order of the map's rows.
    """

    fid: str
    is_connector: bool
    roadblock: str
    polygon: shapely.Polygon
    baseline: np.ndarray
    speed_limit: float | None
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]

    @cached_property
    def line(self) -> shapely.LineString:
        """Return the baseline as a geometry."""
        return shapely.LineString(self.baseline[:, :2])


@dataclass(frozen=True, eq=False)
class Roadblock:
    """
    A group of parallel lanes, or the connectors between two such groups.

    ``lanes`` are the ids of the lanes or connectors inside, ``incoming`` and ``outgoing`` those of
    the neighbouring blocks of the other kind, all in the order of the map's rows.
    """

    fid: str
    is_connector: bool
    polygon: shapely.Polygon
    lanes: tuple[str, ...]
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]


class CityMap:
    """
    One city.

    Ids are the map file's ``fid`` as text. Lanes and connectors, and roadblocks and their
    connectors, are looked up by id alike; queries return ids in the order of the map's rows.

    :param areas: ids and polygons of the layers that have nothing but a polygon
    """

    def __init__(self, name: str, lanes: Sequence[Lane], roadblocks: Sequence[Roadblock],
                 areas: dict[Layer, tuple[tuple[str, ...], np.ndarray]]):
        self.name = name
        # Where a lane and a connector share an id the lane wins, as in the devkit's look-ups.
        self.lanes = {lane.fid: lane for lane in sorted(
            lanes, key=lambda lane: not lane.is_connector)}
        self.roadblocks = {block.fid: block for block in sorted(
            roadblocks, key=lambda block: not block.is_connector)}
        self._objects = dict(areas)
        for layer, objects, connector in (
                (Layer.LANE, lanes, False), (Layer.LANE_CONNECTOR, lanes, True),
                (Layer.ROADBLOCK, roadblocks, False),
                (Layer.ROADBLOCK_CONNECTOR, roadblocks, True)):
            chosen = [item for item in objects if item.is_connector == connector]
            self._objects[layer] = (tuple(item.fid for item in chosen),
                                    np.array([item.polygon for item in chosen], dtype=object))
        self._trees: dict[Layer, shapely.STRtree] = {}

    def ids(self, layer: Layer) -> tuple[str, ...]:
        """Ids of all objects of a layer."""
        return self._objects[layer][0]

    def polygons(self, layer: Layer) -> np.ndarray:
        """Polygons of all objects of a layer, as an array of shapely geometries."""
        return self._objects[layer][1]

    def near(self, layer: Layer, x: float, y: float, radius: float) -> np.ndarray:
        """
        Return indices of objects that touch the axis-aligned square of half-size ``radius``.

        The devkit's ``get_proximal_map_objects``: whole polygons, exact intersection.
        """
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return self._query(layer, square, 'intersects')

    def containing(self, layer: Layer, x: float, y: float) -> np.ndarray:
        """Return indices of the objects whose interior holds the point."""
        return self._query(layer, shapely.Point(x, y), 'within')

    def nearest(self, layer: Layer, x: float, y: float) -> int:
        """
        Index of the object nearest to the point, the first of equals.

        :raises MapError: when the layer is empty
        """
        polygons = self.polygons(layer)
        if not len(polygons):
            raise MapError(f'{self.name}: the map has no {layer.value}')
        return int(np.argmin(shapely.distance(polygons, shapely.Point(x, y))))

    def _query(self, layer: Layer, geometry: shapely.Geometry, predicate: str) -> np.ndarray:
        if layer not in self._trees:
            self._trees[layer] = shapely.STRtree(self.polygons(layer))
        return np.sort(self._trees[layer].query(geometry, predicate=predicate))


def baseline_with_headings(points: np.ndarray) -> np.ndarray:
    """Add the heading of each segment to points [M, 2], the last one repeated: [M, 3]."""
    steps = np.diff(points, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    return np.column_stack([points, np.append(headings, headings[-1])])
