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
Read a nuPlan city map from its GeoPackage file.

The file is an SQLite database with a table per layer, geometries in degrees (EPSG:4326) and a
table ``meta`` that names the city's metric coordinate system.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
import sqlite3
from typing import NamedTuple

import numpy as np
from pair_drive_training.data.city_map import CityMap, MapError
from pair_drive_training.data.map_layers import (
    AREAS,
    BASELINES,
    BLOCK_CONNECTORS,
    BLOCKS,
    build_city,
    CONNECTOR_POLYGONS,
    CONNECTORS,
    flat_lines,
    flat_polygons,
    LANES,
    LayerArrays,
    NO_ID,
)
import pyproj
import shapely


class _Table(NamedTuple):
    """What is read of a layer: columns of ids, columns of numbers, kind of its geometries."""

    ids: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    geometry: str | None = 'polygon'


_TABLES = {
    LANES: _Table(('lane_group_fid',), ('speed_limit_mps',)),
    CONNECTORS: _Table(('exit_lane_fid', 'entry_lane_fid', 'lane_group_connector_fid'),
                       ('speed_limit_mps',), geometry=None),
    CONNECTOR_POLYGONS: _Table(('lane_connector_fid',)),
    BASELINES: _Table(('lane_fid', 'lane_connector_fid'), geometry='line'),
    BLOCKS: _Table(),
    BLOCK_CONNECTORS: _Table(('from_lane_group_fid', 'to_lane_group_fid')),
    **{table: _Table() for table in AREAS.values()},
}
_DEGREES_SRS = 4326
# A geometry is a header, a bounding box of a size by the code in the header's flags, then
# well-known binary (GeoPackage 1.3, section 2.1.3).
_HEADER_BYTES = 8
_BOX_BYTES = (0, 32, 48, 48, 64)
_EMPTY_FLAG = 0x10
_REMEDY = 'copy or download the map again'


def read_city(path: Path, name: str) -> CityMap:
    """
    Read the map of a city from its ``map.gpkg``.

    :raises MapError: when the file is not a nuPlan map or is damaged
    """
    return build_city(name, read_layers(path))


def read_layers(path: Path) -> LayerArrays:
    """
    Read the layers that NAVSIM uses, in metres, as ``map_layers`` describes them.

    :raises MapError: when the file is not a nuPlan map or is damaged
    """
    if not path.is_file():
        raise MapError(f'{path}: there is no such map file; {_REMEDY}')
    # Immutable: no lock and no journal, so that maps may lie in read-only and network folders.
    location = f'{path.resolve().as_uri()}?mode=ro&immutable=1'
    arrays = {}
    try:
        with closing(sqlite3.connect(location, uri=True)) as database:
            to_metres = _projection(database, path)
            for layer, table in _TABLES.items():
                for key, array in _read_layer(database, path, layer, table, to_metres).items():
                    arrays[f'{layer}/{key}'] = array
    except sqlite3.Error as error:
        raise MapError(f'{path}: this is not a whole nuPlan map ({error}); {_REMEDY}') from error
    return arrays


def _projection(database: sqlite3.Connection, path: Path) -> pyproj.Transformer:
    row = database.execute(
        "SELECT value FROM meta WHERE key = 'projectedCoordSystem'").fetchone()
    if row is None:
        raise MapError(f'{path}: the table meta does not name the projectedCoordSystem; {_REMEDY}')
    try:
        return pyproj.Transformer.from_crs(_DEGREES_SRS, row[0], always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise MapError(f'{path}: its projectedCoordSystem {row[0]!r} is not known to PROJ; '
                       f'{_REMEDY}') from error


def _read_layer(database: sqlite3.Connection, path: Path, layer: str, table: _Table,
                to_metres: pyproj.Transformer) -> LayerArrays:
    where = f'{path}: layer {layer}'
    declared = database.execute(
        'SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?',
        (layer,)).fetchone()
    if declared is None:
        raise MapError(f'{where} is not in the file; {_REMEDY}')
    geometry_column, srs = declared
    if srs != _DEGREES_SRS:
        raise MapError(f'{where} is in the reference system {srs} instead of degrees '
                       f'(EPSG:{_DEGREES_SRS}); use the map as nuPlan distributes it')
    columns = ['fid', *table.ids, *table.numbers, *([geometry_column] if table.geometry else [])]
    # Qualified, as SQLite takes an unknown name in double quotes for a text.
    wanted = ', '.join(f'layer."{column}"' for column in columns)
    rows = database.execute(f'SELECT {wanted} FROM "{layer}" AS layer ORDER BY fid').fetchall()
    values = {column: [row[index] for row in rows] for index, column in enumerate(columns)}
    arrays = {'fid': np.array(values['fid'], np.int64)}
    for column in (*table.ids, *table.numbers):
        arrays[column] = _numbers(values[column], f'{where}, column {column}')
    for column in table.ids:
        # Some maps hold ids as floating-point numbers and no id as NULL, NaN or -1.
        ids = arrays[column]
        arrays[column] = np.where(np.isnan(ids), NO_ID, ids).astype(np.int64)
    if table.geometry is None:
        return arrays
    geometries = _geometries(values[geometry_column], table.geometry, values['fid'], where)
    arrays |= flat_lines(geometries) if table.geometry == 'line' else flat_polygons(geometries)
    degrees = arrays['xy']
    arrays['xy'] = np.column_stack(to_metres.transform(degrees[:, 0], degrees[:, 1]))
    if not np.isfinite(arrays['xy']).all():
        raise MapError(f'{where} has vertices that are no place on earth; {_REMEDY}')
    return arrays


def _numbers(values: Sequence[object], where: str) -> np.ndarray:
    try:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError) as error:
        raise MapError(f'{where} holds something other than numbers ({error}); '
                       f'{_REMEDY}') from error


def _geometries(blobs: Iterable[object], kind: str, fids: Sequence[int],
                where: str) -> np.ndarray:
    binaries = np.array([_well_known_binary(blob) for blob in blobs], dtype=object)
    geometries = shapely.force_2d(shapely.from_wkb(binaries, on_invalid='ignore'))
    # A collection of one part says no more than the part itself.
    single = shapely.get_num_geometries(geometries) == 1
    geometries[single] = shapely.get_geometry(geometries[single], 0)
    allowed = ([shapely.GeometryType.LINESTRING] if kind == 'line' else
               [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    broken = ~np.isin(shapely.get_type_id(geometries), allowed) | shapely.is_empty(geometries)
    if broken.any():
        raise MapError(f'{where}: the geometry of fid {fids[int(np.argmax(broken))]} is missing '
                       f'or not a {kind}; {_REMEDY}')
    return geometries


def _well_known_binary(blob: object) -> bytes | None:
    if not isinstance(blob, bytes) or len(blob) < _HEADER_BYTES or blob[:2] != b'GP':
        return None
    box = blob[3] >> 1 & 0b111
    if blob[3] & _EMPTY_FLAG or box >= len(_BOX_BYTES):
        return None
    return blob[_HEADER_BYTES + _BOX_BYTES[box]:]
