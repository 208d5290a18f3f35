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

"""JPEG and PNG: decoded by content, refused when truncated or too large."""

import struct
import zlib

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.conversions import image
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.image import decode_compressed
import pytest


def picture(height=37, width=53):
    """Return a smooth RGB image whose three channels differ."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width,
                     np.full_like(rows, 40)], axis=-1).astype(np.uint8)


def encode(extension, rgb, *parameters):
    """Return the file's bytes."""
    return cv2.imencode(extension, rgb[..., ::-1], list(parameters))[1].tobytes()


JPEG = encode('.jpg', picture(), cv2.IMWRITE_JPEG_QUALITY, 98)
PROGRESSIVE = encode('.jpg', picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = encode('.jpg', picture(), cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
PNG = encode('.png', picture())


@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, RESTARTS],
                         ids=['baseline', 'progressive', 'restart intervals'])
def test_jpeg(kit, data):
    """Colours are right within the loss of the coding."""
    rgb = decode_compressed(kit.compressed(data))
    assert rgb.shape == (37, 53, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - picture()).mean() < 4.0


@pytest.mark.parametrize('encoding', ['png', 'jpeg', 'rgb8; png compressed bgr8', ''])
def test_png_is_exact_whatever_the_format_says(kit, encoding):
    """The content decides; drivers have many words for it."""
    np.testing.assert_array_equal(decode_compressed(kit.compressed(PNG, encoding)), picture())


def test_grey_and_alpha(kit):
    """Other channel counts become RGB."""
    grey = picture()[..., 0]
    rgb = decode_compressed(kit.compressed(cv2.imencode('.png', grey)[1].tobytes()))
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=2))
    bgra = np.dstack([picture()[..., ::-1], np.full((37, 53), 7, np.uint8)])
    rgb = decode_compressed(kit.compressed(cv2.imencode('.png', bgra)[1].tobytes()))
    np.testing.assert_array_equal(rgb, picture())


def test_bytes_after_the_image(kit):
    """Cameras pad their buffers."""
    assert decode_compressed(kit.compressed(JPEG + bytes(64))).shape == (37, 53, 3)


def exif(orientation, thumbnail=b''):
    """Return a JPEG segment with an EXIF orientation and, behind it, a thumbnail."""
    tiff = struct.pack('<2sHIHHHIHHI', b'II', 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    payload = b'Exif\0\0' + tiff + thumbnail
    return b'\xff\xe1' + struct.pack('>H', len(payload) + 2) + payload


def test_orientation_does_not_turn_the_pixels(kit):
    """The calibration belongs to the pixels as the sensor read them."""
    turned = JPEG[:2] + exif(6) + JPEG[2:]
    np.testing.assert_array_equal(decode_compressed(kit.compressed(turned)),
                                  decode_compressed(kit.compressed(JPEG)))


@settings(max_examples=60)
@given(st.sampled_from([JPEG, PROGRESSIVE, RESTARTS, PNG]), st.data())
def test_truncation_is_an_error(kit, whole, data):
    """No cut passes: a decoder alone would fill the rest with grey."""
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ConversionError, match='compressed image'):
        decode_compressed(kit.compressed(whole[:cut]))


@pytest.mark.parametrize('whole', [JPEG, PNG], ids=['jpeg', 'png'])
def test_the_last_byte_counts(kit, whole):
    """Pixels may all be there; the file still is not what was sent."""
    with pytest.raises(ConversionError, match='end before the image does'):
        decode_compressed(kit.compressed(whole[:-1]))


def test_truncation_behind_a_thumbnail(kit):
    """The thumbnail's end marker is not the image's."""
    message = kit.compressed((JPEG[:2] + exif(1, JPEG) + JPEG[2:])[:-2])
    with pytest.raises(ConversionError, match='end before the image does'):
        decode_compressed(message)


@pytest.mark.parametrize('data', [b'', b'II*\x00' + bytes(64), bytes(12) + PNG],
                         ids=['empty', 'tiff', 'compressedDepth'])
def test_other_content(kit, data):
    """Only JPEG and PNG are decoded."""
    with pytest.raises(ConversionError, match='neither JPEG nor PNG'):
        decode_compressed(kit.compressed(data))


def png_declaring(width, height):
    """Return a well-formed PNG with one compressed kilobyte behind a header of any size."""
    def chunk(kind, payload):
        return (struct.pack('>I', len(payload)) + kind + payload
                + struct.pack('>I', zlib.crc32(kind + payload)))
    return (PNG[:8] + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def jpeg_declaring(width, height):
    """Return the JPEG with another size in its frame header."""
    return JPEG.replace(struct.pack('>HH', 37, 53), struct.pack('>HH', height, width), 1)


@pytest.mark.parametrize('data', [
    png_declaring(2**31 - 1, 2**31 - 1), png_declaring(8193, 8192), jpeg_declaring(65535, 65535),
])
def test_bombs_are_not_decoded(kit, data, monkeypatch):
    """A forged size is refused before the decoder allocates anything."""
    monkeypatch.setattr(image.cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    with pytest.raises(ConversionError, match='pixels, more than'):
        decode_compressed(kit.compressed(data))


@pytest.mark.parametrize(('data', 'size'), [(png_declaring(0, 5), '0 x 5'),
                                            (jpeg_declaring(5, 0), '5 x 0')])
def test_no_pixels(kit, data, size):
    """An image without pixels is an encoder's mistake."""
    with pytest.raises(ConversionError, match=f'declares {size} pixels'):
        decode_compressed(kit.compressed(data))


def test_corrupt_pixels(kit):
    """Pixels that cannot be decoded are no image."""
    with pytest.raises(ConversionError, match='compressed image'):
        decode_compressed(kit.compressed(png_declaring(3000, 3000)))


@settings(max_examples=100)
@given(st.sampled_from([JPEG, PNG]), st.data())
def test_damaged_bytes_never_crash(kit, whole, data):
    """Any damage gives an RGB image or the typed error."""
    damaged = bytearray(whole)
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=8)):
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        rgb = decode_compressed(kit.compressed(damaged))
    except ConversionError:
        return
    assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8
