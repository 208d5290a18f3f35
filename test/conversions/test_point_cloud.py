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

"""Point clouds of every layout, and of none that can be true."""

import warnings

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.point_cloud import decode_points, lidar_sweep
from pair_drive_ros.core.geometry import rigid_transform
import pytest

DATATYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
XYZI = [('x', 0, 7), ('y', 4, 7), ('z', 8, 7), ('intensity', 12, 7)]


@st.composite
def layouts(draw):
    """Yield fields in any order with gaps, other fields between them, and the point's size."""
    names = draw(st.permutations(['x', 'y', 'z', 'ring', 'time',
                                  *draw(st.sampled_from([(), ('intensity',), ('i',)]))]))
    fields, offset = [], 0
    for name in names:
        datatype = draw(st.sampled_from(sorted(DATATYPES)))
        offset += draw(st.integers(0, 3))
        fields.append((name, offset, datatype))
        offset += np.dtype(DATATYPES[datatype]).itemsize
    return fields, offset + draw(st.integers(0, 5))


@settings(max_examples=100)
@given(layouts(), st.booleans(), st.integers(1, 4), st.integers(1, 5), st.integers(0, 9),
       st.data())
def test_round_trip_of_any_layout(kit, layout, big_endian, height, width, padding, data):
    """Values come back for any order, type, byte order, gap and row padding."""
    fields, point_step = layout
    record = np.dtype({'names': [name for name, *_ in fields],
                       'formats': [('>' if big_endian else '<') + DATATYPES[datatype]
                                   for *_, datatype in fields],
                       'offsets': [offset for _, offset, _ in fields],
                       'itemsize': point_step})
    points = np.zeros((height, width), record)
    for name, _, datatype in fields:
        low = 0 if DATATYPES[datatype][0] == 'u' else -100
        values = data.draw(st.lists(st.integers(low, 100), min_size=height * width,
                                    max_size=height * width))
        points[name] = np.reshape(values, (height, width))
    raw = b''.join(row.tobytes() + b'\xff' * padding for row in points)
    message = kit.cloud(fields, raw, height=height, width=width, point_step=point_step,
                        row_step=width * point_step + padding, is_bigendian=big_endian)
    intensity = next((name for name, *_ in fields if name in ('intensity', 'i')), None)
    wanted = np.stack([points['x'], points['y'], points['z'],
                       points[intensity] if intensity else np.zeros((height, width))], axis=-1)
    decoded = decode_points(message)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, wanted.reshape(-1, 4))


def test_intensity_comes_before_i(kit):
    """With both fields present the spelt-out one is meant; reflectivity is not intensity."""
    fields = [*XYZI[:3], ('i', 12, 7), ('intensity', 16, 7), ('reflectivity', 20, 7)]
    raw = np.arange(6, dtype='<f4').tobytes()
    np.testing.assert_array_equal(decode_points(kit.cloud(fields, raw, point_step=24)),
                                  [[0, 1, 2, 4]])
    fields = [*XYZI[:3], ('reflectivity', 20, 7)]
    np.testing.assert_array_equal(decode_points(kit.cloud(fields, raw, point_step=24)),
                                  [[0, 1, 2, 0]])


@pytest.mark.parametrize('column', range(4))
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e300])
def test_points_that_are_not_finite_are_dropped(kit, column, value):
    """NaN, infinity and what float32 cannot hold; the others keep their order."""
    fields = [(name, 8 * index, 8) for index, name in enumerate(['x', 'y', 'z', 'intensity'])]
    points = np.arange(12, dtype='<f8').reshape(3, 4)
    points[1, column] = value
    message = kit.cloud(fields, points.tobytes(), width=3, point_step=32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        decoded = decode_points(message)
    np.testing.assert_array_equal(decoded, points[[0, 2]])


@pytest.mark.parametrize(('height', 'width', 'point_step'), [
    (0, 0, 0), (1, 0, 16), (0, 1, 16), (0, 2**32 - 1, 16)])
def test_no_points(kit, height, width, point_step):
    """A sweep without returns is a sweep, whatever fields it names."""
    for fields in ([], XYZI):
        message = kit.cloud(fields, b'', height=height, width=width, point_step=point_step,
                            row_step=0)
        assert decode_points(message).shape == (0, 4)


def test_row_step_of_an_unorganised_cloud_is_not_used(kit):
    """Many drivers leave it zero."""
    raw = np.arange(8, dtype='<f4').tobytes()
    for row_step in (0, 7, 10**9):
        message = kit.cloud(XYZI, raw, width=2, row_step=row_step)
        np.testing.assert_array_equal(decode_points(message), np.arange(8).reshape(2, 4))


def test_count_left_at_zero(kit):
    """Some drivers leave the count unset."""
    fields = [(*field, 0) for field in XYZI]
    message = kit.cloud(fields, np.arange(4, dtype='<f4').tobytes())
    np.testing.assert_array_equal(decode_points(message), [[0, 1, 2, 3]])


@pytest.mark.parametrize(('fields', 'sizes', 'wrong'), [
    (XYZI[:2] + XYZI[3:], {}, r"no field 'z' among \['intensity', 'x', 'y'\]"),
    ([], {}, r"no field 'x' among \[\]"),
    ([*XYZI[:2], ('z', 13, 7)], {}, "field 'z' ends at byte 17, beyond the point_step of 16"),
    ([*XYZI[:2], ('z', 2**32 - 1, 7)], {}, "field 'z' ends at byte 4294967299"),
    ([*XYZI[:2], ('z', 8, 9)], {}, "'z' has the unknown datatype 9"),
    ([*XYZI[:2], ('z', 8, 0)], {}, "'z' has the unknown datatype 0"),
    ([*XYZI[:2], ('z', 8, 7, 2)], {}, "'z' holds 2 values"),
    (XYZI, {'point_step': 0}, 'beyond the point_step of 0'),
    (XYZI, {'width': 5}, 'need 80, data has 64'),
    (XYZI, {'height': 2, 'width': 2, 'row_step': 31}, 'row_step is 31 bytes'),
    (XYZI, {'height': 2, 'width': 2, 'row_step': 33}, 'need 66, data has 64'),
    (XYZI, {'height': 2**32 - 1, 'width': 2**32 - 1, 'row_step': 2**32 - 1}, 'row_step is'),
    (XYZI, {'height': 2**32 - 1, 'width': 1, 'row_step': 2**32 - 1}, 'data has 64'),
    (XYZI, {'width': 2**32 - 1, 'row_step': 0}, 'data has 64'),
])
def test_hostile_layouts(kit, fields, sizes, wrong):
    """A layout that contradicts the data is named, never followed."""
    message = kit.cloud(fields, bytes(64), **sizes)
    with pytest.raises(ConversionError, match=f'point cloud: .*{wrong}'):
        decode_points(message)


def test_huge_cloud_of_no_bytes(kit):
    """Points of zero bytes need no data, but they need fields."""
    message = kit.cloud(XYZI, b'', height=2**32 - 1, width=2**32 - 1, point_step=0, row_step=0)
    with pytest.raises(ConversionError, match='point_step of 0'):
        decode_points(message)


def test_sweep_in_base_link(kit):
    """A sensor turned left and mounted 2 m up sees the car's left ahead; intensity stays."""
    turned_left = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    message = kit.cloud(XYZI, np.array([5, 0, 0, 9], '<f4').tobytes(), stamp_ns=1_500_000_000)
    sweep = lidar_sweep(message, rigid_transform(np.array([1.0, 0.0, 2.0]), turned_left))
    assert sweep.stamp_ns == 1_500_000_000
    np.testing.assert_allclose(sweep.points, [[1, 5, 2, 9]], atol=1e-6)


def test_sweep_leaves_the_message_alone(kit):
    """The transform works on a copy."""
    raw = np.arange(4, dtype='<f4').tobytes()
    message = kit.cloud(XYZI, raw)
    lidar_sweep(message, rigid_transform(np.ones(3), np.eye(3)))
    assert bytes(message.data) == raw
