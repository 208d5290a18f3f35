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

"""
A tiny NAVSIM data set: one city of a few streets, logs of a short drive, random sensor data.

Everything is laid out in a local frame and moved to the map by :func:`to_map`. Ego drives along
+x in the right lane. Ids are the constants below::

    y = 5.25   <- lane 51 <-    | 81 |   <- lane 41 <-     oncoming, 3.5 m wide as all lanes
    y = 1.75   -> lane 11 ->    | 61 |   -> lane 21 ->
    y = -1.75  -> lane 12 ->    | 62 |   -> lane 22 ->
    x =        0             100      130            260
                   car park     71 turns right into lane 31, x = 111.75, y = -15 .. -80
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
import pickle
import sqlite3
import struct

import cv2
import numpy as np
from pyproj import Transformer
import shapely

CITY = 'us-nv-las-vegas-strip'
VERSION = '9.15.1915'
CRS = 'EPSG:32611'
# Where the local frame lies in the map: easting, northing, heading.
ORIGIN = (664430.0, 3997650.0, 0.3)

# Roadblocks (10 -> 60 -> 20 straight on, 10 -> 70 -> 30 to the right, 40 -> 80 -> 50 oncoming).
ROUTE = ('10', '60', '20')
RIGHT_TURN_ROUTE = ('10', '70', '30')
LEFT_LANE, RIGHT_LANE, CARPARK, INTERSECTION = '11', '12', '92', '90'
# Connectors of the right turn (red) and of ego's lane (green).
LIGHTS = ((71, True), (62, False))

LANE_WIDTH_M = 3.5
FRAME_STEP_US = 500_000
CAMERA_YAWS_DEG = {'CAM_F0': 0.0, 'CAM_L0': 55.0, 'CAM_R0': -55.0, 'CAM_L1': 110.0,
                   'CAM_R1': -110.0, 'CAM_L2': 145.0, 'CAM_R2': -145.0, 'CAM_B0': 180.0}

# Every table's geometry type and the columns after ``fid`` and ``geom``.
TABLES = {
    'lanes_polygons': ('POLYGON', {
        'lane_fid': 'INTEGER', 'lane_group_fid': 'INTEGER', 'lane_index': 'INTEGER',
        'speed_limit_mps': 'REAL', 'left_boundary_fid': 'INTEGER',
        'right_boundary_fid': 'INTEGER'}),
    'lane_connectors': ('LINESTRING', {
        'exit_lane_fid': 'INTEGER', 'entry_lane_fid': 'INTEGER',
        'lane_group_connector_fid': 'INTEGER', 'speed_limit_mps': 'REAL',
        'traffic_light_stop_line_fids': 'TEXT'}),
    'gen_lane_connectors_scaled_width_polygons': ('POLYGON', {
        'lane_connector_fid': 'INTEGER', 'left_boundary_fid': 'INTEGER',
        'right_boundary_fid': 'INTEGER'}),
    'lane_groups_polygons': ('POLYGON', {}),
    'lane_group_connectors': ('POLYGON', {
        'from_lane_group_fid': 'INTEGER', 'to_lane_group_fid': 'INTEGER',
        'intersection_fid': 'INTEGER'}),
    'baseline_paths': ('LINESTRING', {'lane_fid': 'INTEGER', 'lane_connector_fid': 'INTEGER'}),
    'boundaries': ('LINESTRING', {}),
    'intersections': ('POLYGON', {'intersection_type_fid': 'INTEGER'}),
    'stop_polygons': ('POLYGON', {'stop_polygon_type_fid': 'INTEGER'}),
    'carpark_areas': ('POLYGON', {'heading': 'REAL'}),
    'road_segments': ('POLYGON', {}),
    'generic_drivable_areas': ('POLYGON', {}),
    'crosswalks': ('POLYGON', {}),
    'walkways': ('POLYGON', {}),
}


@dataclass(frozen=True)
class Actor:
    """
    An object that keeps its speed (m/s) along its heading.

    ``start`` x, y, heading of its centre in the local frame at frame 0; ``size`` length, width,
    height; seen from frame ``first`` up to frame ``last``, for ever by default.
    """

    kind: str
    start: tuple[float, float, float]
    speed: float = 0.0
    size: tuple[float, float, float] = (4.6, 1.9, 1.7)
    first: int = 0
    last: int = 10**9


ACTORS = (
    Actor('vehicle', (70.0, -1.75, 0.0), 7.0),
    Actor('vehicle', (25.0, 1.75, 0.0), 9.0),
    Actor('vehicle', (200.0, 5.25, np.pi), 9.0),
    Actor('vehicle', (55.0, -10.0, np.pi / 2)),
    Actor('bicycle', (180.0, -1.0, 0.0), 4.0, (1.8, 0.6, 1.6), first=6),
    Actor('pedestrian', (60.0, 8.5, 0.0), 1.2, (0.7, 0.7, 1.8)),
    Actor('traffic_cone', (80.0, -4.2, 0.0), 0.0, (0.4, 0.4, 0.8)),
)


def to_map(points: np.ndarray) -> np.ndarray:
    """Move points [N, 2] or poses [N, 3] from the local frame to the map."""
    points = np.asarray(points, np.float64)
    x, y, heading = ORIGIN
    cos, sin = np.cos(heading), np.sin(heading)
    moved = points[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return moved if points.shape[1] == 2 else np.column_stack([moved, points[:, 2] + heading])


def write_city(folder: Path) -> Path:
    """
    Write the city and its index as in ``nuplan-maps-v1.0``.

    :return: path of the map file
    """
    path = folder / CITY / VERSION / 'map.gpkg'
    path.parent.mkdir(parents=True)
    (folder / 'nuplan-maps-v1.0.json').write_text(
        json.dumps({CITY: {'version': VERSION, 'layers': {}}}))
    write_geopackage(path, _city_rows(), CRS)
    return path


def write_geopackage(path: Path, rows: dict[str, list[tuple]], crs: str) -> None:
    """
    Write tables of (fid, geometry in the coordinates of ``crs``, values) rows as EPSG:4326.

    :param rows: by the name of the table, for any of ``TABLES``; the others are made empty
    """
    to_degrees = Transformer.from_crs(crs, 'EPSG:4326', always_xy=True)
    database = sqlite3.connect(path)
    database.executescript("""
        PRAGMA page_size = 1024; PRAGMA application_id = 0x47504B47; PRAGMA synchronous = OFF;
        CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL
            PRIMARY KEY, organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
            definition TEXT NOT NULL, description TEXT);
        INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', 4326, 'EPSG', 4326, 'undefined', NULL),
            ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', NULL),
            ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL);
        CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
            identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL,
            min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER);
        CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
            geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL,
            m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
        CREATE TABLE meta (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, key TEXT, value TEXT);
    """)
    database.execute("INSERT INTO meta (key, value) VALUES ('projectedCoordSystem', ?)", (crs,))
    for table, (geometry_type, columns) in TABLES.items():
        declared = ''.join(f', "{name}" {kind}' for name, kind in columns.items())
        database.execute(f'CREATE TABLE "{table}" ("fid" INTEGER PRIMARY KEY AUTOINCREMENT '
                         f'NOT NULL, "geom" {geometry_type}{declared})')
        database.execute("INSERT INTO gpkg_contents VALUES (?, 'features', ?, '', "
                         "'2026-01-01T00:00:00.000Z', NULL, NULL, NULL, NULL, 4326)",
                         (table, table))
        database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, 4326, 0, 0)",
                         (table, geometry_type))
        for fid, geometry, *values in rows.get(table, []):
            degrees = shapely.transform(geometry, lambda xy: np.column_stack(
                to_degrees.transform(xy[:, 0], xy[:, 1])))
            marks = ', '.join('?' * (2 + len(values)))
            database.execute(f'INSERT INTO "{table}" VALUES ({marks})',
                             (fid, geopackage_blob(degrees), *values))
    database.commit()
    database.close()


def geopackage_blob(geometry: shapely.Geometry) -> bytes:
    """Encode a geometry as GeoPackage does: header with envelope, little-endian, then WKB."""
    min_x, min_y, max_x, max_y = geometry.bounds
    header = struct.pack('<2sBBi4d', b'GP', 0, 0b00000011, 4326, min_x, max_x, min_y, max_y)
    return header + shapely.to_wkb(geometry, byte_order=1)


def write_log(folder: Path, name: str = 'tiny', frames: int = 20,
              objects: Sequence[Actor] = ACTORS, route: Sequence[str] = ROUTE,
              lights: Sequence[tuple[int, bool]] = LIGHTS, start_x: float = 40.0,
              speed: float = 8.0, city: str = CITY) -> Path:
    """
    Write a log as OpenScene's metadata has it: ego in the right lane at a constant speed.

    Scenes with another ``name`` have other tokens. Sensor files are named whether or not
    :func:`write_sensors` writes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{name}.pkl'
    records = [_frame(name, index, objects, route, lights, start_x, speed, city)
               for index in range(frames)]
    path.write_bytes(pickle.dumps(records, protocol=4))
    return path


def frame_token(name: str, index: int) -> str:
    """Token of a frame of a log."""
    return _token(name, 'frame', index)


def write_sensors(folder: Path, name: str = 'tiny', frames: Iterable[int] = range(20),
                  cameras: Sequence[str] = ('CAM_L0', 'CAM_F0', 'CAM_R0'),
                  points: int = 2000) -> None:
    """Write noise for the sensor files that a log names: JPEGs of 1920x1080, binary PCDs."""
    for index in frames:
        token = frame_token(name, index)
        random = np.random.default_rng([index, *name.encode()])
        for camera in cameras:
            coarse = random.integers(0, 256, (27, 48, 3), np.uint8)
            image = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_NEAREST)
            file = folder / name / camera / f'{token}.jpg'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cv2.imencode('.jpg', image)[1].tobytes())
        file = folder / name / 'MergedPointCloud' / f'{token}.pcd'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_point_cloud(random, points))


def _city_rows() -> dict[str, list[tuple]]:
    rows: dict[str, list[tuple]] = {table: [] for table in TABLES}

    def add(table: str, fid: int, geometry: shapely.Geometry, *values: object) -> None:
        rows[table].append((fid, shapely.transform(geometry, to_map), *values))

    def add_boundaries(fid: int, line: np.ndarray) -> tuple[int, int]:
        left, right = 1000 + 2 * fid, 1001 + 2 * fid
        for boundary, offset in ((left, LANE_WIDTH_M / 2), (right, -LANE_WIDTH_M / 2)):
            add('boundaries', boundary, shapely.LineString(_beside(line, offset)))
        return left, right

    quarter = np.linspace(0.0, np.pi / 2, 12)
    turn = np.column_stack([100.0 + 11.75 * np.sin(quarter),
                            -1.75 - 13.25 * (1.0 - np.cos(quarter))])
    lanes = (  # fid, group, index from the left, speed limit, centre line
        (11, 10, 0, 13.41, _straight((0.0, 1.75), (100.0, 1.75))),
        (12, 10, 1, 11.18, _straight((0.0, -1.75), (100.0, -1.75))),
        (21, 20, 0, None, _straight((130.0, 1.75), (260.0, 1.75))),
        (22, 20, 1, 11.18, _straight((130.0, -1.75), (260.0, -1.75))),
        (31, 30, 0, 6.71, _straight((111.75, -15.0), (111.75, -80.0))),
        (41, 40, 0, 11.18, _straight((260.0, 5.25), (130.0, 5.25))),
        (51, 50, 0, 11.18, _straight((100.0, 5.25), (0.0, 5.25))),
    )
    connectors = (  # fid, incoming lane, outgoing lane, group connector, speed limit, centre line
        (61, 11, 21, 60, 13.41, _straight((100.0, 1.75), (130.0, 1.75))),
        (62, 12, 22, 60, None, _straight((100.0, -1.75), (130.0, -1.75))),
        (71, 12, 31, 70, 5.0, turn),
        (81, 41, 51, 80, 11.18, _straight((130.0, 5.25), (100.0, 5.25))),
    )
    for fid, group, index, limit, line in lanes:
        add('lanes_polygons', fid, _strip(line), fid, group, index, limit,
            *add_boundaries(fid, line))
        add('baseline_paths', 200 + fid, shapely.LineString(line), fid, -1)
    for fid, incoming, outgoing, group, limit, line in connectors:
        add('lane_connectors', fid, shapely.LineString(line), incoming, outgoing, group, limit,
            '91')
        add('gen_lane_connectors_scaled_width_polygons', 100 + fid, _strip(line), fid,
            *add_boundaries(fid, line))
        add('baseline_paths', 200 + fid, shapely.LineString(line), -1, fid)
    for fid, box in ((10, (0.0, -3.5, 100.0, 3.5)), (20, (130.0, -3.5, 260.0, 3.5)),
                     (30, (110.0, -80.0, 113.5, -15.0)), (40, (130.0, 3.5, 260.0, 7.0)),
                     (50, (0.0, 3.5, 100.0, 7.0))):
        add('lane_groups_polygons', fid, shapely.box(*box))
    for fid, come, go, polygon in ((60, 10, 20, shapely.box(100.0, -3.5, 130.0, 3.5)),
                                   (70, 10, 30, _strip(turn)),
                                   (80, 40, 50, shapely.box(100.0, 3.5, 130.0, 7.0))):
        add('lane_group_connectors', fid, polygon, come, go, 90)
    add('intersections', 90, shapely.box(100.0, -15.0, 130.0, 7.0), 1)
    add('stop_polygons', 91, shapely.box(98.0, -3.5, 100.0, 3.5), 1)
    add('carpark_areas', 92, shapely.box(40.0, -20.0, 70.0, -3.5), None)
    add('walkways', 93, shapely.box(0.0, 7.0, 100.0, 10.0))
    add('crosswalks', 94, shapely.box(94.0, -3.5, 97.0, 7.0))
    add('road_segments', 95, shapely.box(0.0, -3.5, 100.0, 7.0))
    add('generic_drivable_areas', 96, shapely.box(40.0, -20.0, 70.0, -3.5))
    return rows


def _straight(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    count = int(np.hypot(end[0] - start[0], end[1] - start[1]) // 2.0) + 1
    return np.linspace(start, end, count)


def _beside(line: np.ndarray, left: float) -> np.ndarray:
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return line + left * np.column_stack([-along[:, 1], along[:, 0]])


def _strip(line: np.ndarray) -> shapely.Polygon:
    half = LANE_WIDTH_M / 2
    return shapely.Polygon(np.concatenate([_beside(line, half), _beside(line, -half)[::-1]]))


def _frame(name: str, index: int, objects: Sequence[Actor], route: Sequence[str],
           lights: Sequence[tuple[int, bool]], start_x: float, speed: float,
           city: str) -> dict[str, object]:
    # Real frames are a few microseconds off the half second.
    time_us = FRAME_STEP_US * index + index * 37 % 11
    seconds = time_us * 1e-6
    ego = np.array([start_x + speed * seconds, -1.75, 0.0])
    x, y, heading = to_map(ego[None])[0]
    token = frame_token(name, index)
    return {
        'token': token, 'frame_idx': index, 'timestamp': 1_640_000_000_000_000 + time_us,
        'log_name': name, 'log_token': _token(name, 'log'), 'scene_name': f'{name}-0000',
        'scene_token': _token(name, 'scene'), 'map_location': city, 'roadblock_ids': list(route),
        'vehicle_name': 'pacifica', 'can_bus': np.zeros(18),
        'lidar_path': f'{name}/MergedPointCloud/{token}.pcd',
        'lidar2ego_translation': np.array([1.5, 0.0, 1.6]), 'lidar2ego_rotation': [1.0, 0, 0, 0],
        'ego2global_translation': [x, y, 600.0],
        'ego2global_rotation': [np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)],
        'ego_dynamic_state': [speed, 0.0, 0.0, 0.0],
        'traffic_lights': list(lights), 'driving_command': np.array([0, 1, 0, 0]),
        'cams': {camera: _camera(f'{name}/{camera}/{token}.jpg', np.radians(yaw))
                 for camera, yaw in CAMERA_YAWS_DEG.items()},
        'sample_prev': None, 'sample_next': None,
        'anns': _annotations(name, index, seconds, objects, ego),
    }


def _camera(data_path: str, yaw: float) -> dict[str, object]:
    # Columns: the optical frame's right, down and forward as the LiDAR sees them.
    rotation = np.array([[np.sin(yaw), 0.0, np.cos(yaw)], [-np.cos(yaw), 0.0, np.sin(yaw)],
                         [0.0, -1.0, 0.0]])
    return {'data_path': data_path, 'sensor2lidar_rotation': rotation,
            'sensor2lidar_translation': np.array([0.2 * np.cos(yaw), 0.2 * np.sin(yaw), -0.1]),
            'cam_intrinsic': np.array([[1545.0, 0.0, 960.0], [0.0, 1545.0, 560.0], [0, 0, 1]]),
            'distortion': np.array([-0.356, 0.173, -0.0002, 0.0004, -0.052])}


def _annotations(name: str, index: int, seconds: float, objects: Sequence[Actor],
                 ego: np.ndarray) -> dict[str, object]:
    seen = [(number, actor) for number, actor in enumerate(objects)
            if actor.first <= index <= actor.last]
    boxes = np.zeros((len(seen), 7), np.float32)
    velocity = np.zeros((len(seen), 3), np.float32)
    for row, (_, actor) in enumerate(seen):
        x, y, heading = actor.start
        direction = np.array([np.cos(heading), np.sin(heading)])
        # Ego's heading in the local frame is zero: no rotation here.
        boxes[row, :2] = np.array([x, y]) + actor.speed * seconds * direction - ego[:2]
        boxes[row, 2:] = (actor.size[2] / 2, *actor.size, heading)
        velocity[row, :2] = actor.speed * direction
    return {'gt_boxes': boxes, 'gt_names': [actor.kind for _, actor in seen],
            'gt_velocity_3d': velocity,
            'instance_tokens': [_token(name, 'box', index, number) for number, _ in seen],
            'track_tokens': [_token(name, 'track', number) for number, _ in seen]}


def _point_cloud(random: np.random.Generator, count: int) -> bytes:
    points = np.zeros(count, [('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('intensity', 'u1'),
                              ('ring', 'u1'), ('lidar_info', '<i4')])
    for axis, reach in (('x', 60.0), ('y', 60.0), ('z', 2.0)):
        points[axis] = random.uniform(-reach, reach, count)
    points['intensity'] = random.integers(0, 256, count)
    points['ring'] = random.integers(0, 40, count)
    points['lidar_info'] = random.integers(0, 5, count)
    header = ('# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n'
              'FIELDS x y z intensity ring lidar_info\nSIZE 4 4 4 1 1 4\nTYPE F F F U U I\n'
              f'COUNT 1 1 1 1 1 1\nWIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n'
              f'POINTS {count}\nDATA binary\n')
    # Real files end in zeros that belong to no point.
    return header.encode() + points.tobytes() + bytes(16)


def _token(*parts: object) -> str:
    return hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()[:16]
