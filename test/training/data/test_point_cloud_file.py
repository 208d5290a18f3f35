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

"""Binary PCD files, whole and broken."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_training.data.point_cloud_file import (
    decode_pcd,
    POINT_FIELDS,
    PointCloudFileError,
)
import pytest

PATH = Path('sweep.pcd')
USUAL = (('x', 'F', 4), ('y', 'F', 4), ('z', 'F', 4), ('intensity', 'U', 1), ('ring', 'U', 1),
         ('lidar_info', 'I', 4))
NUMPY_KINDS = {'F': 'f', 'I': 'i', 'U': 'u'}


def encode(columns, fields=USUAL, data='binary', **changed):
    """Write a PCD of columns by name; ``changed`` replaces lines of the header."""
    count = len(next(iter(columns.values())))
    records = np.zeros(count, [(name, f'<{NUMPY_KINDS[kind]}{size}')
                               for name, kind, size in fields])
    for name, values in columns.items():
        records[name] = values
    lines = {'VERSION': '0.7', 'FIELDS': ' '.join(name for name, _, _ in fields),
             'SIZE': ' '.join(str(size) for _, _, size in fields),
             'TYPE': ' '.join(kind for _, kind, _ in fields),
             'COUNT': ' '.join('1' for _ in fields), 'WIDTH': count, 'HEIGHT': 1,
             'VIEWPOINT': '0 0 0 1 0 0 0', 'POINTS': count, 'DATA': data, **changed}
    header = ''.join(f'{key} {value}\n' for key, value in lines.items() if value is not None)
    return f'# .PCD v0.7 - Point Cloud Data file format\n{header}'.encode() + records.tobytes()


def sweep(count=3):
    return {name: np.arange(count) + 10 * index for index, name in enumerate(POINT_FIELDS)}


def test_rows_come_in_the_order_of_the_names():
    points = decode_pcd(encode(sweep()), PATH)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, [[10 * row + point for point in range(3)]
                                           for row in range(6)])


@settings(max_examples=40, deadline=None)
@given(order=st.permutations([*POINT_FIELDS, 'time', 'colour']),
       types=st.lists(st.sampled_from([('F', 4), ('F', 8), ('I', 1), ('I', 2), ('I', 4), ('I', 8),
                                       ('U', 1), ('U', 2), ('U', 4), ('U', 8)]),
                      min_size=8, max_size=8),
       columns=st.lists(st.lists(st.integers(0, 127), min_size=6, max_size=6), max_size=5))
def test_any_layout_gives_the_same_points(order, types, columns):
    values = np.array(columns, np.int64).reshape(-1, 6).T
    fields = [(name, *kind) for name, kind in zip(order, types, strict=True)]
    content = encode(dict(zip(POINT_FIELDS, values, strict=True)), fields)
    np.testing.assert_array_equal(decode_pcd(content, PATH), values)


def test_padding_fields_and_bytes_after_the_points_are_skipped():
    # Like PCL: unnamed bytes between the fields, more than one a field.
    padded = [('x', 'F', 4), ('y', 'F', 4), ('z', 'F', 4), ('_', 'U', 4), ('intensity', 'F', 4),
              ('ring', 'U', 2), ('lidar_info', 'U', 1)]
    content = encode(sweep(), padded, SIZE='4 4 4 1 4 2 1', COUNT='1 1 1 4 1 1 1')
    expected = decode_pcd(encode(sweep()), PATH)
    np.testing.assert_array_equal(decode_pcd(content + bytes(40), PATH), expected)


def test_values_that_are_not_finite_stay():
    columns = sweep() | {'x': np.array([np.nan, np.inf, -np.inf])}
    np.testing.assert_array_equal(decode_pcd(encode(columns), PATH)[0], columns['x'])


def test_windows_line_ends_and_small_letters_of_the_keys():
    content = encode(sweep())
    header, points = content.split(b'DATA binary\n')
    other = header.replace(b'FIELDS', b'fields').replace(b'\n', b'\r\n') + b'DATA binary\r\n'
    np.testing.assert_array_equal(decode_pcd(other + points, PATH), decode_pcd(content, PATH))


def test_a_sweep_without_points():
    assert decode_pcd(encode(sweep(0)), PATH).shape == (6, 0)


def test_a_truncated_file_is_told_by_its_bytes():
    content = encode(sweep(100))
    with pytest.raises(PointCloudFileError, match=r'sweep\.pcd: truncated; 100 points need 1800 '
                                                  r'bytes .* 1799 are there; copy'):
        decode_pcd(content[:-1], PATH)


@pytest.mark.parametrize('content', [b'', b'\xff\xd8\xff' + bytes(9000), encode(sweep())[:60],
                                     b'\n' * 5000 + encode(sweep())])
def test_what_is_no_pcd_is_refused(content):
    with pytest.raises(PointCloudFileError, match=r'sweep\.pcd: no PCD header'):
        decode_pcd(content, PATH)


@pytest.mark.parametrize('data', ['ascii', 'binary_compressed'])
def test_other_encodings_are_named(data):
    with pytest.raises(PointCloudFileError, match=f'DATA is {data}, but only binary'):
        decode_pcd(encode(sweep(), data=data), PATH)


def test_missing_fields_are_named():
    fields = [field for field in USUAL if field[0] not in ('z', 'ring')]
    columns = {name: values for name, values in sweep().items() if name not in ('z', 'ring')}
    with pytest.raises(PointCloudFileError, match='no field z, ring among x, y, intensity'):
        decode_pcd(encode(columns, fields), PATH)


@pytest.mark.parametrize(('changed', 'reason'), [
    ({'POINTS': 'many'}, "POINTS 'many'"),
    ({'POINTS': '-3'}, "POINTS '-3'"),
    ({'POINTS': None}, "POINTS ''"),
    ({'SIZE': '4 4 four 1 1 4'}, 'SIZE'),
    ({'SIZE': '4 4 4 1 1'}, 'differ in length'),
    ({'COUNT': '1 1 1 1 1 1 1'}, 'differ in length'),
    ({'FIELDS': None}, 'no field x'),
    ({'TYPE': 'F F F U U S'}, 'field lidar_info is 1 x S4'),
    ({'SIZE': '3 4 4 1 1 4'}, 'field x is 1 x F3'),
    ({'COUNT': '1 2 1 1 1 1'}, 'field y is 2 x F4')])
def test_a_wrong_header_is_told(changed, reason):
    with pytest.raises(PointCloudFileError, match=rf'sweep\.pcd: .*{reason}'):
        decode_pcd(encode(sweep(), **changed), PATH)
