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

from contextlib import closing
import itertools
import json
import sqlite3

import numpy as np
from pair_drive_training.data.bev import semantic_map, SemanticClass
from pair_drive_training.data.city_map import Layer
from pair_drive_training.data.frames import Annotations
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.route import centreline, correct_route, route_blocks, route_lanes
from pair_drive_training.world.towns.curves import headings_of
from pair_drive_training.world.towns.map_writer import write_maps
from pair_drive_training.world.towns.world_towns import CITIES, simple_town, world_town
import pytest

CITY = 'us-ma-boston'
TOWNS = (1, 5)
"""Numbers of two towns of one city."""
BLOCKS_PER_ROUTE = 9


def map_file(folder, name):
    return folder / name / CITIES[name].version / 'map.gpkg'


@pytest.fixture(scope='module', name='towns')
def _towns():
    return [world_town(3, number) for number in TOWNS]


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory, towns):
    folder = tmp_path_factory.mktemp('maps')
    write_maps(folder, {CITY: towns})
    return folder


@pytest.fixture(scope='module', name='city')
def _city(folder):
    return MapStore(folder).city(CITY)


def random_route(town, seed):
    """Blocks and lanes of a way at random that meets no junction twice."""
    random = np.random.default_rng(seed)
    lanes = [lane for lane in town.lanes.values() if not lane.is_connector]
    lane = lanes[random.integers(len(lanes))]
    way, junctions = [lane], set()
    while len(way) < BLOCKS_PER_ROUTE:
        onward = [town.lanes[following] for following in lane.outgoing
                  if town.lanes[following].junction not in junctions]
        if not onward:
            break
        lane = onward[random.integers(len(onward))]
        junctions.add(lane.junction)
        way.append(lane)
    return way


def test_map_holds_the_lanes_of_its_towns(city, towns):
    lanes = {lane.fid: lane for town in towns for lane in town.lanes.values()}
    assert {int(lane) for lane in city.lanes} == set(lanes)
    for name, read in city.lanes.items():
        lane = lanes[int(name)]
        assert np.abs(read.baseline[:, :2] - lane.baseline).max() < 1e-5
        assert read.is_connector == lane.is_connector
        assert read.speed_limit == lane.speed_limit
        assert read.roadblock == str(lane.group)
        assert set(read.incoming) == {str(other) for other in lane.incoming}
        assert set(read.outgoing) == {str(other) for other in lane.outgoing}


def test_map_holds_the_areas_of_its_towns(city, towns):
    for layer, areas in (
            (Layer.ROADBLOCK, [town.groups for town in towns]),
            (Layer.ROADBLOCK_CONNECTOR, [{group: item[0] for group, item in
                                          town.group_connectors.items()} for town in towns]),
            (Layer.INTERSECTION, [{junction.fid: junction.polygon for junction in
                                   town.junctions.values()} for town in towns]),
            (Layer.CARPARK_AREA, [town.car_parks for town in towns]),
            (Layer.WALKWAY, [town.walkways for town in towns]),
            (Layer.CROSSWALK, [{crossing.fid: crossing.polygon for crossing in
                                town.crossings.values()} for town in towns]),
            (Layer.STOP_POLYGON, [{stop: item[0] for stop, item in town.stops.items()}
                                  for town in towns])):
        read = dict(zip(city.ids(layer), city.polygons(layer), strict=True))
        drawn = {str(name): area for part in areas for name, area in part.items()}
        assert set(read) == set(drawn) and drawn
        for name, area in drawn.items():
            assert read[name].is_valid
            assert read[name].symmetric_difference(area).area < 1e-3 * max(1.0, area.area)


@pytest.mark.parametrize('seed', range(12))
def test_routes_through_a_town_are_found(city, towns, seed):
    way = random_route(towns[seed % 2], seed)
    ids = [str(lane.group) for lane in way]
    start = way[0].baseline
    heading = np.arctan2(*(start[1] - start[0])[::-1])
    pose = np.append(start[1], heading)
    route = correct_route(city, pose, route_blocks(city, ids))
    assert route == ids
    blocks = route_blocks(city, route)
    lanes = route_lanes(city, blocks)
    path = centreline(city, blocks, lanes, city.lanes[str(way[0].fid)])
    steps = np.hypot(*np.diff(path.poses[:, :2], axis=0).T)
    assert steps.max() < 6.5
    assert np.abs(np.diff(path.poses[:, 2])).max() < np.radians(8.0)
    # The shortest way through the blocks may take other lanes; it ends in the last one it can.
    assert path.poses[0, :2] == pytest.approx(start[0], abs=1e-5)


def test_lanes_are_road_in_the_bev_map(city, towns):
    nobody = Annotations(np.zeros((0, 7)), (), np.zeros((0, 3)), ())
    for lane in [lane for town in towns for lane in town.lanes.values()][::7]:
        middle = len(lane.baseline) // 2
        pose = [*lane.baseline[middle], headings_of(lane.baseline)[middle]]
        here = semantic_map(nobody, city, np.array(pose))[:4, 126:130]
        assert set(here.ravel()) <= {SemanticClass.ROAD, SemanticClass.CENTRELINE}


def test_signals_are_named_by_their_connectors(folder, towns):
    with closing(sqlite3.connect(map_file(folder, CITY))) as database:
        named = dict(database.execute(
            'SELECT fid, traffic_light_stop_line_fids FROM lane_connectors'))
        stops = {row[0] for row in database.execute('SELECT fid FROM stop_polygons')}
    for town in towns:
        for lane in town.lanes.values():
            if lane.is_connector:
                assert bool(named[lane.fid]) == (lane.phase is not None)
                assert not named[lane.fid] or int(named[lane.fid]) in stops


def test_every_lane_has_its_boundaries_on_its_sides(folder):
    with closing(sqlite3.connect(map_file(folder, CITY))) as database:
        boundaries = {row[0] for row in database.execute('SELECT fid FROM boundaries')}
        named = [row for table in ('lanes_polygons', 'gen_lane_connectors_scaled_width_polygons')
                 for row in database.execute(
                     f'SELECT left_boundary_fid, right_boundary_fid FROM {table}')]
    assert set(itertools.chain.from_iterable(named)) == boundaries
    assert len(boundaries) == 2 * len(named)


def test_same_towns_give_the_same_bytes(folder, towns, tmp_path):
    write_maps(tmp_path, {CITY: towns})
    for name in CITIES:
        assert map_file(tmp_path, name).read_bytes() == map_file(folder, name).read_bytes()


def test_file_is_a_geopackage(folder):
    for name in CITIES:
        content = map_file(folder, name).read_bytes()
        assert content[:16] == b'SQLite format 3\0' and content[68:72] == b'GPKG'
        with closing(sqlite3.connect(map_file(folder, name))) as database:
            assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',)
            assert database.execute('PRAGMA foreign_key_check').fetchall() == []
            contents = {row[0]: row[1:] for row in database.execute(
                'SELECT table_name, min_x, min_y, max_x, max_y FROM gpkg_contents')}
        box = contents['lanes_polygons']
        assert -180.0 < box[0] < box[2] < 180.0 and -90.0 < box[1] < box[3] < 90.0
        assert contents['meta'] == (None,) * 4


def test_city_without_towns_is_there_all_the_same(folder):
    index = json.loads((folder / 'nuplan-maps-v1.0.json').read_text())
    assert set(index) == set(CITIES)
    for name in set(CITIES) - {CITY}:
        city = read_city(map_file(folder, name), name)
        assert len(city.lanes) == len(city.roadblocks) == 1


def test_unknown_city_is_named(tmp_path):
    with pytest.raises(ValueError, match='there is no atlantis among them'):
        write_maps(tmp_path, {'atlantis': [simple_town()]})


@pytest.mark.shared_data
def test_layers_are_those_of_the_official_maps(folder, shared_golden):
    official = shared_golden / 'fixture' / 'maps'
    assert (json.loads((official / 'nuplan-maps-v1.0.json').read_text())
            == json.loads((folder / 'nuplan-maps-v1.0.json').read_text()))
    with closing(sqlite3.connect(map_file(folder, CITY))) as ours, closing(
            sqlite3.connect(f'file:{map_file(official, CITY)}?mode=ro&immutable=1',
                            uri=True)) as theirs:
        tables = [row[0] for row in theirs.execute('SELECT table_name FROM gpkg_contents')]
        assert tables == [row[0] for row in ours.execute('SELECT table_name FROM gpkg_contents')]
        for table in tables:
            columns = [connection.execute(f'SELECT name, type FROM pragma_table_info("{table}")')
                       .fetchall() for connection in (ours, theirs)]
            assert columns[0] == columns[1]
