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

"""Cities are read from GeoPackage files as the devkit reads them, or refused with a reason."""

from pathlib import Path
import pickle
import shutil
import sqlite3
import struct

import numpy as np
from pair_drive_training.data.city_map import baseline_with_headings, CityMap, Layer, MapError
from pair_drive_training.data.gpkg import read_city
from pyproj import Transformer
import pytest
import shapely
from tiny_navsim import CRS, geopackage_blob, ORIGIN, TABLES, write_city

GOLDEN_CITIES = 4


@pytest.fixture(scope='module')
def written(tmp_path_factory) -> Path:
    return write_city(tmp_path_factory.mktemp('maps'))


@pytest.fixture(scope='module')
def city(written) -> CityMap:
    return read_city(written, 'tiny')


@pytest.fixture
def path(written, tmp_path) -> Path:
    """Return a copy of the city's file that a test may change."""
    return Path(shutil.copy(written, tmp_path / 'map.gpkg'))


def change(path: Path, statements: str, *parameters: object) -> None:
    """Run one statement with parameters or several without."""
    database = sqlite3.connect(path)
    if parameters:
        database.execute(statements, parameters)
    else:
        database.executescript(statements)
    database.commit()
    database.close()


def to_local(points: np.ndarray) -> np.ndarray:
    """Undo the placement of the tiny city in the map."""
    cos, sin = np.cos(ORIGIN[2]), np.sin(ORIGIN[2])
    return (points - ORIGIN[:2]) @ np.array([[cos, -sin], [sin, cos]])


def test_lanes_connectors_and_blocks_hang_together(city):
    assert set(city.lanes) == {'11', '12', '21', '22', '31', '41', '51', '61', '62', '71', '81'}
    right = city.lanes['12']
    assert (right.roadblock, right.incoming, right.outgoing) == ('10', (), ('62', '71'))
    turn = city.lanes['71']
    assert turn.is_connector and not right.is_connector
    assert (turn.roadblock, turn.incoming, turn.outgoing) == ('70', ('12',), ('31',))
    assert city.lanes['22'].incoming == ('62',)
    start, straight_on = city.roadblocks['10'], city.roadblocks['60']
    assert (start.lanes, start.incoming, start.outgoing) == (('11', '12'), (), ('60', '70'))
    assert straight_on.is_connector and not start.is_connector
    assert straight_on.lanes == ('61', '62')
    assert (straight_on.incoming, straight_on.outgoing) == (('10',), ('20',))
    assert city.roadblocks['20'].incoming == ('60',)


def test_speed_limits_may_be_unknown(city):
    assert city.lanes['11'].speed_limit == 13.41
    assert city.lanes['71'].speed_limit == 5.0
    assert city.lanes['21'].speed_limit is None
    assert city.lanes['62'].speed_limit is None


def test_every_layer_lies_where_it_was_drawn(city):
    drawn = {Layer.INTERSECTION: (100.0, -15.0, 130.0, 7.0),
             Layer.CARPARK_AREA: (40.0, -20.0, 70.0, -3.5),
             Layer.WALKWAY: (0.0, 7.0, 100.0, 10.0), Layer.CROSSWALK: (94.0, -3.5, 97.0, 7.0),
             Layer.STOP_POLYGON: (98.0, -3.5, 100.0, 3.5)}
    for layer, box in drawn.items():
        local = shapely.transform(city.polygons(layer)[0], to_local)
        assert local.equals_exact(shapely.box(*box), 1e-6)
    local = shapely.transform(city.lanes['22'].polygon, to_local)
    np.testing.assert_allclose(local.bounds, (130.0, -3.5, 260.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(to_local(city.lanes['41'].baseline[[0, -1], :2]),
                               [[260.0, 5.25], [130.0, 5.25]], atol=1e-6)
    np.testing.assert_allclose(np.unwrap(city.lanes['71'].baseline[[0, -1], 2]) - ORIGIN[2],
                               [0.0, -np.pi / 2], atol=0.1)


def test_headings_are_those_of_each_line_alone(city):
    for lane in city.lanes.values():
        np.testing.assert_array_equal(lane.baseline, baseline_with_headings(lane.baseline[:, :2]))


def test_ids_follow_the_rows_of_the_file(path):
    assert read_city(path, 'tiny').ids(Layer.LANE) == ('11', '12', '21', '22', '31', '41', '51')
    change(path, 'UPDATE lanes_polygons SET fid = 99 WHERE fid = 11')
    assert read_city(path, 'tiny').ids(Layer.LANE)[-1] == '99'


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize(('code', 'numbers'), list(enumerate((0, 4, 6, 6, 8))))
def test_geometries_are_read_in_every_encoding(path, city, order, code, numbers):
    expected = city.polygons(Layer.INTERSECTION)[0]
    to_degrees = Transformer.from_crs(CRS, 'EPSG:4326', always_xy=True)
    degrees = shapely.transform(expected, lambda xy: np.column_stack(
        to_degrees.transform(xy[:, 0], xy[:, 1])))
    flags = code << 1 | (order == '<')
    header = struct.pack(f'{order}2sBBi{numbers}d', b'GP', 0, flags, 4326, *([0.0] * numbers))
    for geometry in (degrees, shapely.force_3d(degrees, 12.0), shapely.multipolygons([degrees])):
        binary = shapely.to_wkb(geometry, byte_order=int(order == '<'))
        change(path, 'UPDATE intersections SET geom = ?', header + binary)
        read = read_city(path, 'tiny').polygons(Layer.INTERSECTION)[0]
        assert not shapely.has_z(read)
        assert read.equals_exact(expected, 1e-6)


def test_holes_and_several_parts_are_kept(path):
    to_degrees = Transformer.from_crs(CRS, 'EPSG:4326', always_xy=True)
    middle = np.array(ORIGIN[:2])
    ring = shapely.box(0, 0, 10, 10).difference(shapely.box(4, 4, 6, 6))
    parts = shapely.transform(shapely.multipolygons([ring, shapely.box(20, 0, 30, 10)]),
                              lambda xy: xy + middle)
    degrees = shapely.transform(parts, lambda xy: np.column_stack(
        to_degrees.transform(xy[:, 0], xy[:, 1])))
    change(path, 'INSERT INTO walkways VALUES (1, ?)', geopackage_blob(degrees))
    read = read_city(path, 'tiny')
    assert read.ids(Layer.WALKWAY) == ('1', '93')
    first, second = read.polygons(Layer.WALKWAY)
    assert isinstance(first, shapely.MultiPolygon) and first.equals_exact(parts, 1e-6)
    assert isinstance(second, shapely.Polygon)


@pytest.mark.parametrize('none', ['NULL', '-1'])
def test_ids_may_be_floating_point_numbers_or_absent(path, city, none):
    change(path, f"""
        CREATE TABLE other (fid INTEGER PRIMARY KEY, geom BLOB, lane_fid REAL,
                            lane_connector_fid REAL);
        INSERT INTO other SELECT fid, geom, iif(lane_fid = -1, {none}, lane_fid),
            iif(lane_connector_fid = -1, {none}, lane_connector_fid) FROM baseline_paths;
        DROP TABLE baseline_paths; ALTER TABLE other RENAME TO baseline_paths;
        UPDATE lane_group_connectors SET to_lane_group_fid = {none} WHERE fid = 70;
    """)
    read = read_city(path, 'tiny')
    for name, lane in city.lanes.items():
        np.testing.assert_array_equal(read.lanes[name].baseline, lane.baseline)
    assert read.roadblocks['70'].outgoing == ()
    assert read.roadblocks['30'].incoming == ()


def test_a_missing_baseline_is_missed_only_where_it_is_needed(path, city):
    change(path, 'DELETE FROM baseline_paths WHERE lane_fid = 12')
    lane = read_city(path, 'tiny').lanes['12']
    assert lane.polygon.equals(city.lanes['12'].polygon)
    assert (lane.outgoing, lane.speed_limit) == (('62', '71'), 11.18)
    for needing in (lambda: lane.baseline, lambda: lane.line):
        with pytest.raises(MapError, match='tiny: the map has 0 baselines instead of one for '
                                           'row 12 of lanes_polygons'):
            needing()
    assert pickle.loads(pickle.dumps(lane)).polygon == lane.polygon
    with pytest.raises(AttributeError, match='colour'):
        lane.colour  # noqa: B018


@pytest.mark.parametrize(('statement', 'count'), [
    ('DELETE FROM {} WHERE lane_connector_fid = 71', 0),
    ('INSERT INTO {} SELECT 999, geom, lane_connector_fid, 0, 0 FROM {} WHERE fid = 171', 2)])
def test_a_missing_connector_polygon_is_missed_only_where_it_is_needed(path, city, statement,
                                                                       count):
    change(path, statement.replace('{}', 'gen_lane_connectors_scaled_width_polygons'))
    read = read_city(path, 'tiny')
    assert read.ids(Layer.LANE_CONNECTOR) == ('61', '62', '81')
    assert read.roadblocks['70'].lanes == ('71',)
    np.testing.assert_array_equal(read.lanes['71'].baseline, city.lanes['71'].baseline)
    with pytest.raises(MapError, match=f'has {count} polygons instead of one for row 71'):
        read.lanes['71'].polygon  # noqa: B018


@pytest.mark.parametrize('blob', [
    None, b'', b'GP\0\x01', b'XX' + bytes(60), struct.pack('<2sBBi', b'GP', 0, 0x11, 4326),
    struct.pack('<2sBBi', b'GP', 0, 0b1011, 4326) + bytes(100),
    geopackage_blob(shapely.box(0, 0, 1, 1))[:-5],
    geopackage_blob(shapely.LineString([(0, 0), (1, 1)]))])
def test_a_broken_geometry_is_refused_by_layer_and_row(path, blob):
    change(path, 'UPDATE crosswalks SET geom = ?', blob)
    with pytest.raises(MapError, match='layer crosswalks: the geometry of fid 94 is missing or '
                                       'not a polygon; copy or download'):
        read_city(path, 'tiny')


@pytest.mark.parametrize(('statement', 'reason'), [
    ('DROP TABLE meta', 'no such table: meta'),
    ('DELETE FROM meta', 'does not name the projectedCoordSystem'),
    ("UPDATE meta SET value = 'EPSG:1'", "projectedCoordSystem 'EPSG:1' is not known"),
    ('UPDATE meta SET value = NULL', 'projectedCoordSystem None is not known'),
    ('DROP TABLE stop_polygons', 'no such table: stop_polygons'),
    ("DELETE FROM gpkg_geometry_columns WHERE table_name = 'walkways'",
     'layer walkways is not in the file'),
    ("UPDATE gpkg_geometry_columns SET srs_id = 32611 WHERE table_name = 'walkways'",
     'layer walkways is in the reference system 32611 instead of degrees'),
    ('ALTER TABLE lane_connectors RENAME exit_lane_fid TO other', 'no such column'),
    ("UPDATE lanes_polygons SET lane_group_fid = 'left' WHERE fid = 12",
     'layer lanes_polygons, column lane_group_fid holds something other than numbers'),
])
def test_what_a_map_lacks_is_named(path, statement, reason):
    change(path, statement)
    with pytest.raises(MapError, match=reason) as refusal:
        read_city(path, 'tiny')
    assert str(path) in str(refusal.value)


def test_vertices_off_the_earth_are_refused(path):
    change(path, 'UPDATE crosswalks SET geom = ?', geopackage_blob(shapely.box(0, 0, 1e9, 1e9)))
    with pytest.raises(MapError, match='layer crosswalks has vertices that are no place on earth'):
        read_city(path, 'tiny')


def test_other_files_are_refused(tmp_path):
    with pytest.raises(MapError, match=r'absent\.gpkg: there is no such map file'):
        read_city(tmp_path / 'absent.gpkg', 'tiny')
    for content in (b'', b'version https://git-lfs.github.com/spec/v1\n' * 50):
        (tmp_path / 'map.gpkg').write_bytes(content)
        with pytest.raises(MapError, match='this is not a whole nuPlan map'):
            read_city(tmp_path / 'map.gpkg', 'tiny')


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(MapError, match='this is not a whole nuPlan map'):
        read_city(path, 'tiny')


def test_reading_leaves_the_folder_as_it_was(path):
    before = path.read_bytes()
    path.chmod(0o444)
    read_city(path, 'tiny')
    assert [other.name for other in path.parent.iterdir()] == ['map.gpkg']
    assert path.read_bytes() == before


def utm(degrees: np.ndarray, zone: int) -> np.ndarray:
    """Project longitude and latitude [N, 2] by Krueger's series (WGS 84, north), metres."""
    longitude, latitude = np.radians(degrees.T)
    flattening, radius = 1 / 298.257223563, 6378137.0
    n = flattening / (2 - flattening)
    eccentricity = 2 * np.sqrt(n) / (1 + n)
    sine = np.sin(latitude)
    conformal = np.sinh(np.arctanh(sine) - eccentricity * np.arctanh(eccentricity * sine))
    east = longitude - np.radians(zone * 6 - 183)
    xi = np.arctan2(conformal, np.cos(east))
    eta = np.arctanh(np.sin(east) / np.hypot(1, conformal))
    series = (n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180,
              13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440,
              61 * n**3 / 240 - 103 * n**4 / 140, 49561 * n**4 / 161280)
    scale = 0.9996 * radius / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    x, y = eta.copy(), xi.copy()
    for order, factor in enumerate(series, start=1):
        x += factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
        y += factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
    return np.column_stack([500_000 + scale * x, scale * y])


def first_ring(blob: bytes) -> np.ndarray:
    """Longitude and latitude of a polygon's shell, little-endian with a flat bounding box."""
    count, = struct.unpack_from('<I', blob, 40 + 9)
    return np.frombuffer(blob, '<f8', 2 * count, 40 + 13).reshape(count, 2)


def line(blob: bytes) -> np.ndarray:
    """Longitude and latitude of a line, little-endian with a flat bounding box."""
    count, = struct.unpack_from('<I', blob, 40 + 5)
    return np.frombuffer(blob, '<f8', 2 * count, 40 + 9).reshape(count, 2)


@pytest.mark.shared_data
def test_maps_in_the_official_format(shared_golden):
    paths = sorted((shared_golden / 'fixture' / 'maps').glob('*/*/map.gpkg'))
    assert len(paths) == GOLDEN_CITIES
    for path in paths:
        city = read_city(path, path.parts[-3])
        database = sqlite3.connect(f'{path.as_uri()}?mode=ro&immutable=1', uri=True)
        crs, = database.execute('SELECT value FROM meta').fetchone()
        zone = int(crs[-2:])
        layers = {Layer.LANE: 'lanes_polygons', Layer.ROADBLOCK: 'lane_groups_polygons',
                  Layer.ROADBLOCK_CONNECTOR: 'lane_group_connectors',
                  Layer.INTERSECTION: 'intersections', Layer.CARPARK_AREA: 'carpark_areas',
                  Layer.WALKWAY: 'walkways', Layer.CROSSWALK: 'crosswalks',
                  Layer.STOP_POLYGON: 'stop_polygons'}
        for layer, table in layers.items():
            rows = database.execute(f'SELECT fid, geom FROM {table} ORDER BY fid').fetchall()
            assert city.ids(layer) == tuple(str(fid) for fid, _ in rows)
            for (_, blob), polygon in zip(rows, city.polygons(layer), strict=True):
                np.testing.assert_allclose(shapely.get_coordinates(polygon.exterior),
                                           utm(first_ring(blob), zone), rtol=0, atol=1e-5)
        connectors = database.execute(
            'SELECT lane_connector_fid, geom FROM gen_lane_connectors_scaled_width_polygons')
        assert len(city.ids(Layer.LANE_CONNECTOR)) == 92
        for fid, blob in connectors:
            np.testing.assert_allclose(
                shapely.get_coordinates(city.lanes[str(fid)].polygon.exterior),
                utm(first_ring(blob), zone), rtol=0, atol=1e-5)
        for lane_fid, connector_fid, blob in database.execute(
                'SELECT lane_fid, lane_connector_fid, geom FROM baseline_paths'):
            lane = city.lanes[str(max(lane_fid, connector_fid))]
            np.testing.assert_allclose(lane.baseline[:, :2], utm(line(blob), zone), rtol=0,
                                       atol=1e-5)
        database.close()


@pytest.mark.shared_data
def test_baselines_lie_inside_their_lanes(shared_golden):
    path = next((shared_golden / 'fixture' / 'maps').glob('us-ma-boston/*/map.gpkg'))
    city = read_city(path, 'us-ma-boston')
    assert len(city.lanes) == 97 + 92
    for lane in city.lanes.values():
        assert lane.polygon.buffer(1e-3).covers(lane.line)


@pytest.mark.shared_data
def test_the_tiny_city_has_the_tables_of_the_official_maps(written, shared_golden):
    golden = next((shared_golden / 'fixture' / 'maps').glob('*/*/map.gpkg'))

    def columns(path: Path) -> dict[str, list[tuple]]:
        database = sqlite3.connect(f'{path.as_uri()}?mode=ro&immutable=1', uri=True)
        return {table: database.execute(f'PRAGMA table_info("{table}")').fetchall()
                for table in (*TABLES, 'meta')}

    assert columns(written) == columns(golden)
