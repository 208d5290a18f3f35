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
Write layers of geometries as a GeoPackage in degrees, the same bytes for the same layers.

Source: OGC GeoPackage 1.3. Nothing in the file depends on the day or on the version of SQLite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import sqlite3
import struct
import tempfile
from typing import Any

import numpy as np
from pair_drive_ros.core.files import written_whole
import pyproj
import shapely

DEGREES_SRS = 4326
_APPLICATION_ID, _USER_VERSION = 0x47504B47, 10300
_LAST_CHANGE = '2026-01-01T00:00:00.000Z'
_DEGREES_DECIMALS = 12
"""A tenth of a micrometre; further digits may differ between versions of PROJ."""
_WGS84 = ('GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,'
          'AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,'
          'AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
          'AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],'
          'AUTHORITY["EPSG","4326"]]')
_SCHEMA = """
    CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
        organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
        definition TEXT NOT NULL, description TEXT);
    CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
        identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL,
        min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
        CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
    CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
        geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL,
        m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
        CONSTRAINT uk_gc_table_name UNIQUE (table_name),
        CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
        CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
"""


@dataclass(frozen=True)
class Table:
    """
    Columns of a layer after ``fid`` and the geometry.

    ``geometry`` type name, or None for a table without; ``columns`` name -> SQL type.
    """

    geometry: str | None
    columns: Mapping[str, str]


Row = tuple[Any, ...]


def write_geopackage(path: Path, tables: Mapping[str, Table], rows: Mapping[str, Sequence[Row]],
                     crs: str) -> None:
    """
    Write a GeoPackage.

    :param rows: by table: fid, geometry in the metric coordinates of ``crs`` if the table has
        one, and the values of the columns
    :raises OSError: when the file cannot be written
    """
    to_degrees = pyproj.Transformer.from_crs(crs, DEGREES_SRS, always_xy=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / path.name
        database = sqlite3.connect(scratch)
        try:
            _fill(database, tables, rows, to_degrees)
        finally:
            database.close()
        content = bytearray(scratch.read_bytes())
    # The header counts changes and names the library's version (file format 1.3.18, 1.3.19).
    content[24:28] = content[92:96] = struct.pack('>I', 1)
    content[96:100] = struct.pack('>I', 3_040_000)
    with written_whole(path) as file:
        file.write(content)


def _fill(database: sqlite3.Connection, tables: Mapping[str, Table],
          rows: Mapping[str, Sequence[Row]], to_degrees: pyproj.Transformer) -> None:
    database.executescript(f'PRAGMA page_size = 4096; PRAGMA application_id = {_APPLICATION_ID};'
                           f'PRAGMA user_version = {_USER_VERSION}; PRAGMA synchronous = OFF;'
                           f'PRAGMA journal_mode = MEMORY; BEGIN; {_SCHEMA}')
    database.executemany('INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)', [
        ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined',
         'undefined Cartesian coordinate reference system'),
        ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined',
         'undefined geographic coordinate reference system'),
        ('WGS 84 geodetic', DEGREES_SRS, 'EPSG', DEGREES_SRS, _WGS84,
         'longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid')])
    for name, table in tables.items():
        declared = ''.join(f', "{column}" {kind}' for column, kind in table.columns.items())
        geometry = f', "geom" {table.geometry}' if table.geometry else ''
        database.execute(f'CREATE TABLE "{name}" ("fid" INTEGER PRIMARY KEY AUTOINCREMENT '
                         f'NOT NULL{geometry}{declared})')
        items = sorted(rows.get(name, ()), key=lambda row: row[0])
        extent: tuple[float | None, ...] = (None,) * 4
        if table.geometry and items:
            shapes = shapely.transform(
                np.array([row[1] for row in items], dtype=object),
                lambda xy: np.round(np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1])),
                                    _DEGREES_DECIMALS))
            extent = tuple(float(limit) for limit in shapely.total_bounds(shapes))
            items = [(row[0], _blob(shape), *row[2:])
                     for row, shape in zip(items, shapes, strict=True)]
        database.execute(
            "INSERT INTO gpkg_contents VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?)",
            (name, 'features' if table.geometry else 'attributes', name, _LAST_CHANGE, *extent,
             DEGREES_SRS if table.geometry else None))
        if table.geometry:
            database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, 0, 0)",
                             (name, table.geometry, DEGREES_SRS))
        marks = ', '.join('?' * (1 + bool(table.geometry) + len(table.columns)))
        database.executemany(f'INSERT INTO "{name}" VALUES ({marks})', items)
    database.commit()


def _blob(shape: shapely.Geometry) -> bytes:
    """Encode a geometry: header with its bounding box, then little-endian WKB (section 2.1.3)."""
    min_x, min_y, max_x, max_y = shape.bounds
    header = struct.pack('<2sBBi4d', b'GP', 0, 0b00000011, DEGREES_SRS, min_x, max_x, min_y,
                         max_y)
    return header + shapely.to_wkb(shape, byte_order=1)
