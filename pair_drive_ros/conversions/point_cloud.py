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

"""LiDAR sweeps from sensor_msgs/PointCloud2."""

from collections.abc import Mapping

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, Message
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.core.frames import LidarSweep
from pair_drive_ros.core.geometry import transform_points

# sensor_msgs/PointField datatypes.
_DATATYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_ALL_FOUR = np.ones(4, np.bool_).view(np.uint32)[0]


def lidar_sweep(msg: Message, base_from_lidar: np.ndarray) -> LidarSweep:
    """
    Return the sweep in ``base_link``.

    :param base_from_lidar: 4x4, the sensor's mounting
    :raises ConversionError: see :func:`decode_points`
    """
    points = decode_points(msg)
    points[:, :3] = transform_points(base_from_lidar, points[:, :3])
    return LidarSweep(stamp_to_ns(msg.header.stamp), points)


def decode_points(msg: Message) -> np.ndarray:
    """
    Decode a PointCloud2 of any field layout, datatype and byte order.

    Intensity is the field ``intensity``, else ``i``, else 0; a ``reflectivity`` is another
    quantity and is not taken for it. Points with a value that is not finite in float32 are
    dropped.

    :return: float32 [N, 4] = x, y, z (m, the sensor's frame), intensity as published
    :raises ConversionError: when x, y or z is missing, or layout and data disagree
    """
    height, width = int(msg.height), int(msg.width)
    if height * width == 0:
        return np.empty((0, 4), np.float32)
    columns = _structured_view(msg, height, width)
    rows = np.zeros((height, width, 4), np.float32)
    with np.errstate(over='ignore'):  # a float64 beyond float32 becomes inf and is dropped
        for column, name in enumerate(columns.dtype.names or ()):
            rows[..., column] = columns[name]
    points = rows.reshape(-1, 4)
    # Four booleans side by side are one integer; comparing and taking is ten times faster than
    # reducing over so short an axis and indexing by a mask.
    finite = np.isfinite(points).view(np.uint32)[:, 0] == _ALL_FOUR
    return points if finite.all() else points.take(np.flatnonzero(finite), axis=0)


def _structured_view(msg: Message, height: int, width: int) -> np.ndarray:
    """View the data as [height, width] records of x, y, z and, where present, intensity."""
    point_step, row_step = int(msg.point_step), int(msg.row_step)
    if height == 1:
        row_step = width * point_step  # many drivers leave it unset for an unorganised cloud
    if row_step < width * point_step:
        raise ConversionError(f'point cloud: row_step is {row_step} bytes, but {width} points of '
                              f'{point_step} bytes need {width * point_step}')
    if height * row_step > len(msg.data):
        raise ConversionError(f'point cloud: {height} rows of {row_step} bytes need '
                              f'{height * row_step}, data has {len(msg.data)}; the message is '
                              'truncated')
    fields = {field.name: field for field in msg.fields}
    names = ['x', 'y', 'z', *[name for name in ('intensity', 'i') if name in fields][:1]]
    byte_order = '>' if msg.is_bigendian else '<'
    record = np.dtype({'names': names,
                       'formats': [byte_order + _format(fields, name, point_step)
                                   for name in names],
                       'offsets': [int(fields[name].offset) for name in names],
                       'itemsize': point_step})
    return np.ndarray((height, width), record, np.frombuffer(msg.data, np.uint8),
                      strides=(row_step, point_step))


def _format(fields: Mapping[str, Message], name: str, point_step: int) -> str:
    """Return the numpy format of a field that lies inside the point."""
    if name not in fields:
        raise ConversionError(f'point cloud: no field {name!r} among {sorted(fields)}; '
                              'x, y and z are needed')
    field = fields[name]
    datatype = int(field.datatype)
    if datatype not in _DATATYPES:
        raise ConversionError(f'point cloud: field {name!r} has the unknown datatype {datatype}; '
                              'sensor_msgs/PointField defines 1 to 8')
    if int(field.count) > 1:
        raise ConversionError(f'point cloud: field {name!r} holds {field.count} values a point; '
                              'publish one')
    end = int(field.offset) + np.dtype(_DATATYPES[datatype]).itemsize
    if end > point_step:
        raise ConversionError(f'point cloud: field {name!r} ends at byte {end}, beyond the '
                              f'point_step of {point_step}')
    return _DATATYPES[datatype]
