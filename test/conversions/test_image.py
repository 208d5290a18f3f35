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

"""Raw images of every encoding, with padding and with hostile sizes."""

from importlib.util import find_spec
import sys
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.image import decode_image
import pytest

CHANNELS = {'rgb8': 'RGB', 'bgr8': 'BGR', 'rgba8': 'RGBA', 'bgra8': 'BGRA', 'mono8': 'M'}
BAYER = ('rggb', 'bggr', 'gbrg', 'grbg')


def with_padding(rows, padding):
    """Return the bytes of [H, bytes] rows followed by ``padding`` bytes of 0xEE each."""
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE).tobytes()


@settings(max_examples=60)
@given(st.sampled_from(sorted(CHANNELS)), st.integers(0, 9), st.data())
def test_round_trip_of_every_encoding(kit, encoding, padding, data):
    """The pixels come back in RGB whatever the order, the alpha and the padding."""
    order = CHANNELS[encoding]
    shape = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(len(order))))
    pixels = data.draw(hnp.arrays(np.uint8, shape))
    height, width, channels = shape
    message = kit.image(encoding, height, width, width * channels + padding,
                        with_padding(pixels.reshape(height, -1), padding))
    wanted = np.stack([pixels[..., order.index(color if order != 'M' else 'M')]
                       for color in 'RGB'], axis=-1)
    rgb = decode_image(message)
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, wanted)


@pytest.mark.parametrize('pattern', BAYER)
@pytest.mark.parametrize('padding', [0, 3])
def test_bayer_of_a_plain_colour(kit, pattern, padding):
    """A mosaic of one colour becomes that colour, which no other pattern's code gives."""
    color = dict(zip('rgb', (200, 100, 50), strict=True))
    mosaic = np.tile(np.array([color[letter] for letter in pattern], np.uint8).reshape(2, 2),
                     (4, 5))
    message = kit.image(f'bayer_{pattern}8', 8, 10, 10 + padding, with_padding(mosaic, padding))
    assert (decode_image(message) == (200, 100, 50)).all()


def test_packed_rgb_is_not_copied(kit):
    """The usual camera costs nothing."""
    message = kit.image('rgb8', 2, 2, 6, bytes(12))
    assert np.shares_memory(decode_image(message), np.frombuffer(message.data, np.uint8))


def test_more_data_than_declared(kit):
    """Bytes after the last row are ignored."""
    message = kit.image('mono8', 1, 2, 2, b'\x01\x02\xff\xff')
    np.testing.assert_array_equal(decode_image(message)[..., 0], [[1, 2]])


@pytest.mark.parametrize(('height', 'width', 'step', 'wrong'), [
    (0, 2, 6, '2 x 0 pixels'),
    (2, 0, 6, '0 x 2 pixels'),
    (3, 2, 6, 'need 18 bytes, data has 12'),
    (2**32 - 1, 2, 2**32 - 1, 'data has 12'),
    (2, 2**32 - 1, 6, 'step is 6 bytes'),
    (2, 3, 6, 'need 9'),
    (2, 2, 0, 'step is 0 bytes'),
])
def test_hostile_sizes(kit, height, width, step, wrong):
    """Sizes that contradict the data are named, never followed."""
    with pytest.raises(ConversionError, match=wrong):
        decode_image(kit.image('rgb8', height, width, step, bytes(12)))


@pytest.mark.parametrize('shape', [(1, 1), (1, 6), (2, 2), (3, 5)])
def test_small_mosaics(kit, shape):
    """A mosaic too small to interpolate gives an image or a typed error."""
    height, width = shape
    message = kit.image('bayer_rggb8', height, width, width, bytes(height * width))
    try:
        assert decode_image(message).shape == (height, width, 3)
    except ConversionError as error:
        assert 'bayer_rggb8' in str(error)


@pytest.fixture
def fake_cv_bridge(monkeypatch):
    """Stand in for cv_bridge: note each call, return ``result`` or raise it."""
    module = ModuleType('cv_bridge')
    module.calls = []
    module.result = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)

    class CvBridge:

        def imgmsg_to_cv2(self, msg, desired_encoding):
            module.calls.append((msg, desired_encoding))
            if isinstance(module.result, Exception):
                raise module.result
            return module.result

    module.CvBridge = CvBridge
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    return module


def test_other_encodings_go_to_cv_bridge(kit, fake_cv_bridge):
    """The message is handed over whole, with rgb8 as the wish."""
    message = kit.image('mono16', 2, 2, 4, bytes(8), is_bigendian=1)
    np.testing.assert_array_equal(decode_image(message), fake_cv_bridge.result)
    assert fake_cv_bridge.calls == [(message, 'rgb8')]


def test_own_encodings_do_not_need_cv_bridge(kit, fake_cv_bridge):
    """What is decoded here never depends on what is installed."""
    decode_image(kit.image('bgr8', 2, 2, 6, bytes(12)))
    assert fake_cv_bridge.calls == []


@pytest.mark.parametrize(('result', 'wrong'), [
    (TypeError('buffer is too small for requested array'), 'buffer is too small'),
    (np.zeros((2, 2), np.uint16), r'uint16 \[2, 2\]'),
    (np.zeros((3, 2, 3), np.uint8), r'uint8 \[3, 2, 3\]'),
])
def test_cv_bridge_of_ros_1(kit, fake_cv_bridge, result, wrong):
    """The package of the same name from ROS 1 fails or misreads: say so."""
    fake_cv_bridge.result = result
    with pytest.raises(ConversionError, match=wrong) as caught:
        decode_image(kit.image('yuv422', 2, 2, 4, bytes(8)))
    assert 'ROS 1' in str(caught.value)


def test_without_cv_bridge(kit, monkeypatch):
    """The error names the encoding and the way out."""
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(ConversionError, match=r"'mono16' needs cv_bridge.*bayer_grbg8"):
        decode_image(kit.image('mono16', 2, 2, 4, bytes(8)))


def test_truncated_before_cv_bridge(kit, fake_cv_bridge):
    """A truncated message never reaches foreign code."""
    with pytest.raises(ConversionError, match='truncated'):
        decode_image(kit.image('mono16', 2, 2, 4, bytes(7)))
    assert fake_cv_bridge.calls == []


@pytest.mark.skipif(find_spec('cv_bridge') is None, reason='cv_bridge is not installed')
@pytest.mark.parametrize('encoding', sorted(CHANNELS))
def test_agrees_with_the_real_cv_bridge(kit, encoding):
    """Own decoding and cv_bridge's give the same pixels."""
    from cv_bridge import CvBridge
    channels = len(CHANNELS[encoding])
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8 * channels), np.uint8)
    message = kit.image(encoding, 6, 8, 8 * channels, pixels.tobytes())
    np.testing.assert_array_equal(decode_image(message),
                                  CvBridge().imgmsg_to_cv2(message, 'rgb8'))
