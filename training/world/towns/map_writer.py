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

"""Write towns as nuPlan maps: an index and a GeoPackage with every layer for each city."""

from collections.abc import Mapping, Sequence
import itertools
import json
from pathlib import Path

import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_training.world.towns.curves import beside, headings_of
from pair_drive_training.world.towns.geopackage import Row, Table, write_geopackage
from pair_drive_training.world.towns.town import Control, Town, TownLane
from pair_drive_training.world.towns.world_towns import CITIES, City
import shapely

INDEX = 'nuplan-maps-v1.0.json'
TABLES = {
    'lanes_polygons': Table('POLYGON', {
        'lane_fid': 'INTEGER', 'lane_group_fid': 'INTEGER', 'lane_index': 'INTEGER',
        'speed_limit_mps': 'REAL', 'left_boundary_fid': 'INTEGER',
        'right_boundary_fid': 'INTEGER'}),
    'lane_connectors': Table('LINESTRING', {
        'exit_lane_fid': 'INTEGER', 'entry_lane_fid': 'INTEGER',
        'lane_group_connector_fid': 'INTEGER', 'speed_limit_mps': 'REAL',
        'traffic_light_stop_line_fids': 'TEXT'}),
    'gen_lane_connectors_scaled_width_polygons': Table('POLYGON', {
        'lane_connector_fid': 'INTEGER', 'left_boundary_fid': 'INTEGER',
        'right_boundary_fid': 'INTEGER'}),
    'lane_groups_polygons': Table('POLYGON', {}),
    'lane_group_connectors': Table('POLYGON', {
        'from_lane_group_fid': 'INTEGER', 'to_lane_group_fid': 'INTEGER',
        'intersection_fid': 'INTEGER'}),
    'baseline_paths': Table('LINESTRING', {'lane_fid': 'INTEGER',
                                           'lane_connector_fid': 'INTEGER'}),
    'boundaries': Table('LINESTRING', {}),
    'intersections': Table('POLYGON', {'intersection_type_fid': 'INTEGER'}),
    'stop_polygons': Table('POLYGON', {'stop_polygon_type_fid': 'INTEGER'}),
    'carpark_areas': Table('POLYGON', {'heading': 'REAL'}),
    'road_segments': Table('POLYGON', {}),
    'generic_drivable_areas': Table('POLYGON', {}),
    'crosswalks': Table('POLYGON', {}),
    'walkways': Table('POLYGON', {}),
    'meta': Table(None, {'key': 'TEXT', 'value': 'TEXT'}),
}
_NO_ID = -1
# The devkit's enumerations: a traffic light, a stop sign; a traffic light, a sign to yield.
_INTERSECTION_TYPE = {Control.SIGNALS: 1, Control.PRIORITY: 2}
_SIGNAL_STOP, _YIELD_STOP = 2, 4

_Rows = dict[str, list[Row]]


def write_maps(folder: Path, towns: Mapping[str, Sequence[Town]]) -> None:
    """
    Write the maps of all four cities and their index below ``folder``.

    :param towns: by the name of the city, with ids unique within it; the devkit loads every city,
        so that one without towns gets a lane of its own that leads nowhere
    :raises ValueError: when there is no such city
    :raises OSError: when the folder cannot be written
    """
    unknown = sorted(set(towns) - set(CITIES))
    if unknown:
        raise ValueError(f'{folder}: maps have the cities {", ".join(CITIES)}; there is no '
                         f'{unknown[0]} among them')
    for name, city in CITIES.items():
        rows = city_rows(towns.get(name, ()), city)
        write_geopackage(folder / name / city.version / 'map.gpkg', TABLES, rows, city.crs)
    index = {name: {'version': city.version, 'layers': {}} for name, city in CITIES.items()}
    with written_whole(folder / INDEX) as file:
        file.write(json.dumps(index).encode())


def city_rows(towns: Sequence[Town], city: City) -> _Rows:
    """Return the rows of every table of a city's map, in metres."""
    rows: _Rows = {name: [] for name in TABLES}
    rows['meta'].append((1, 'projectedCoordSystem', city.crs))
    highest = max((max([*town.lanes, *town.groups, *town.group_connectors, *town.junctions,
                        *town.car_parks, *town.walkways, *town.crossings, *town.stops])
                   for town in towns), default=0)
    # What has no id in a town gets one above all that do.
    ids = itertools.count(highest + 1)
    for town in towns:
        _add_town(rows, town, ids)
    if not towns:
        _add_lone_lane(rows, city, ids)
    return rows


def _add_town(rows: _Rows, town: Town, ids: itertools.count) -> None:
    stops: dict[int, list[int]] = {}
    for stop, (area, connectors) in town.stops.items():
        signals = town.junctions[_junction(town, connectors)].control is Control.SIGNALS
        rows['stop_polygons'].append((stop, area, _SIGNAL_STOP if signals else _YIELD_STOP))
        for connector in connectors if signals else ():
            stops.setdefault(connector, []).append(stop)
    for lane in town.lanes.values():
        _add_lane(rows, lane, town.lane_polygons[lane.fid], stops.get(lane.fid, []), ids)
    rows['lane_groups_polygons'] += town.groups.items()
    rows['lane_group_connectors'] += [
        (group, *values) for group, values in town.group_connectors.items()]
    rows['intersections'] += [
        (junction.fid, junction.polygon, _INTERSECTION_TYPE.get(junction.control, 0))
        for junction in town.junctions.values()]
    rows['carpark_areas'] += [(area_id, area, None) for area_id, area in town.car_parks.items()]
    rows['crosswalks'] += [(crossing.fid, crossing.polygon)
                           for crossing in town.crossings.values()]
    rows['walkways'] += town.walkways.items()
    for table, areas in (('road_segments', town.groups), ('generic_drivable_areas',
                                                          town.car_parks)):
        rows[table] += [(next(ids), area) for area in areas.values()]


def _add_lane(rows: _Rows, lane: TownLane, polygon: shapely.Polygon, stops: Sequence[int],
              ids: itertools.count) -> None:
    line = shapely.LineString(lane.baseline)
    headings = headings_of(lane.baseline)
    edges = []
    for left in (lane.width / 2, -lane.width / 2):
        edges.append(next(ids))
        rows['boundaries'].append((edges[-1], shapely.LineString(
            beside(lane.baseline, headings, left))))
    of_lane, of_connector = (_NO_ID, lane.fid) if lane.is_connector else (lane.fid, _NO_ID)
    rows['baseline_paths'].append((next(ids), line, of_lane, of_connector))
    if lane.is_connector:
        rows['lane_connectors'].append((lane.fid, line, lane.incoming[0], lane.outgoing[0],
                                        lane.group, lane.speed_limit,
                                        ','.join(str(stop) for stop in stops)))
        rows['gen_lane_connectors_scaled_width_polygons'].append(
            (next(ids), polygon, lane.fid, *edges))
    else:
        rows['lanes_polygons'].append((lane.fid, polygon, lane.fid, lane.group, lane.index,
                                       lane.speed_limit, *edges))


def _add_lone_lane(rows: _Rows, city: City, ids: itertools.count) -> None:
    group, lane = next(ids), next(ids)
    start = np.array(city.origin)
    baseline = start + np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    area = shapely.box(start[0], start[1] - 1.75, start[0] + 20.0, start[1] + 1.75)
    rows['lane_groups_polygons'].append((group, area))
    _add_lane(rows, TownLane(lane, False, group, baseline, 3.5, None, (), ()), area, (), ids)


def _junction(town: Town, connectors: Sequence[int]) -> int:
    junction = town.lanes[connectors[0]].junction
    assert junction is not None, 'stop lines belong to connectors of a junction'
    return junction
