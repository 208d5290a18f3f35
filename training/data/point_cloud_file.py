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

"""Binary PCD files: the merged LiDAR sweeps of nuPlan and OpenScene."""

from pathlib import Path
import re

import numpy as np

POINT_FIELDS = ('x', 'y', 'z', 'intensity', 'ring', 'lidar_info')
"""Rows of a decoded sweep: metres, intensity, laser ring and the LiDAR's number."""

_DATA_LINE = re.compile(rb'^DATA[ \t]+(\S+)[^\n]*\n', re.MULTILINE)
_MAX_HEADER_BYTES = 4096
_TYPES = {('F', 4): '<f4', ('F', 8): '<f8',
          ('I', 1): 'i1', ('I', 2): '<i2', ('I', 4): '<i4', ('I', 8): '<i8',
          ('U', 1): 'u1', ('U', 2): '<u2', ('U', 4): '<u4', ('U', 8): '<u8'}


class PointCloudFileError(ValueError):
    """A PCD file cannot be read; the sentence names the file and the remedy."""


def decode_pcd(content: bytes, path: Path) -> np.ndarray:
    """
    Decode a PCD file with ``DATA binary``, the only kind that the devkit reads.

    Each of ``POINT_FIELDS`` may have any type of the format and any place in the record; other
    fields are skipped. Bytes after the last point are ignored, as nuPlan pads its files.

    :param path: names the file in the errors
    :return: float32 [6, N], rows as in ``POINT_FIELDS``, in the frame of the file
    :raises PointCloudFileError: on another format, a missing field or a truncated file
    """
    found = _DATA_LINE.search(content, 0, _MAX_HEADER_BYTES)
    if found is None:
        raise PointCloudFileError(f'{path}: no PCD header in the first bytes; copy the file '
                                  'again, and check that the log names the right one')
    if found[1] != b'binary':
        raise PointCloudFileError(f'{path}: DATA is {found[1].decode("ascii", "replace")}, but '
                                  'only binary is read; convert it with pcl_convert_pcd_ascii_'
                                  'binary, or use the original file of the dataset')
    header = _header(content[:found.start()])
    record = _record(header, path)
    points = _numbers(header, 'POINTS', path)[0]
    needed = points * record.itemsize
    if len(content) - found.end() < needed:
        raise PointCloudFileError(f'{path}: truncated; {points} points need {needed} bytes after '
                                  f'the header, {len(content) - found.end()} are there; copy the '
                                  'file again')
    records = np.ndarray((points,), record, content, found.end())
    rows = np.empty((len(POINT_FIELDS), points), np.float32)
    for row, name in zip(rows, POINT_FIELDS, strict=True):
        row[:] = records[name]
    return rows


def _header(text: bytes) -> dict[str, list[str]]:
    lines = (line.split() for line in text.decode('ascii', 'replace').splitlines())
    return {words[0].upper(): words[1:] for words in lines if words and words[0] != '#'}


def _record(header: dict[str, list[str]], path: Path) -> np.dtype:
    """Return the layout of one point, restricted to ``POINT_FIELDS``."""
    names, types = header.get('FIELDS', []), header.get('TYPE', [])
    missing = [name for name in POINT_FIELDS if name not in names]
    if missing:
        raise PointCloudFileError(f'{path}: no field {", ".join(missing)} among '
                                  f'{", ".join(names) or "none"}; NAVSIM needs a merged sweep '
                                  f'with {", ".join(POINT_FIELDS)}')
    sizes, counts = _numbers(header, 'SIZE', path), _numbers(header, 'COUNT', path)
    if not len(names) == len(types) == len(sizes) == len(counts):
        raise PointCloudFileError(f'{path}: FIELDS, SIZE, TYPE and COUNT of the header differ in '
                                  'length; copy the file again')
    ends = np.cumsum(np.multiply(sizes, counts))
    chosen = [names.index(name) for name in POINT_FIELDS]
    for index in chosen:
        if (types[index], sizes[index]) not in _TYPES or counts[index] != 1:
            raise PointCloudFileError(f'{path}: field {names[index]} is {counts[index]} x '
                                      f'{types[index]}{sizes[index]}; one number of type F, I or '
                                      'U is needed')
    return np.dtype({'names': list(POINT_FIELDS),
                     'formats': [_TYPES[types[index], sizes[index]] for index in chosen],
                     'offsets': [int(ends[index]) - sizes[index] for index in chosen],
                     'itemsize': int(ends[-1])})


def _numbers(header: dict[str, list[str]], key: str, path: Path) -> list[int]:
    words = header.get(key, [])
    if not words or not all(word.isdecimal() for word in words):
        raise PointCloudFileError(f'{path}: the header says {key} {" ".join(words)!r}, where '
                                  'whole numbers must be; copy the file again')
    return [int(word) for word in words]
