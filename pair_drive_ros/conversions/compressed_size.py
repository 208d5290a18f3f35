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
Size of a JPEG or PNG from its own structure, before anything is decoded.

The walk ends at the end marker, so a truncated file is found out here; decoders would fill the
missing part with grey.
"""

import re
import struct

from pair_drive_ros.conversions.errors import ConversionError

_JPEG_START = b'\xff\xd8\xff'
_PNG_START = b'\x89PNG\r\n\x1a\n'
# FF 00 is a stuffed data byte, D0..D7 restart the entropy coder, FF FF is fill (ITU-T T.81 B.1).
_NEXT_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_CHUNK_FRAME = 12  # length, type and checksum around the payload of a PNG chunk


def compressed_size(data: memoryview) -> tuple[int, int]:
    """
    Return (width, height) in pixels of a complete JPEG (ITU-T T.81) or PNG (ISO 15948).

    :raises ConversionError: when the data are neither, or end before the image does
    """
    try:
        if data[:3] == _JPEG_START:
            size = _jpeg_size(data)
        elif data[:8] == _PNG_START:
            size = _png_size(data)
        else:
            raise ConversionError(
                f'compressed image: {len(data)} bytes starting with '
                f'{bytes(data[:4]).hex()!r} are neither JPEG nor PNG; publish one of these')
    except struct.error as error:
        raise _truncated(data) from error
    if 0 in size:
        raise ConversionError(f'compressed image: the header declares {size[0]} x {size[1]} '
                              'pixels; check the encoder')
    return size


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    size = None
    position = 2
    while True:
        found = _NEXT_MARKER.search(data, position)
        if found is None:
            raise _truncated(data)
        position = found.end()
        marker = data[position - 1]
        if marker == _END_OF_IMAGE:
            break
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from('>HH', data, position + 3)
            size = width, height
        if marker == _START_OF_SCAN and size is None:
            break
        length, = struct.unpack_from('>H', data, position)
        position += length
    if size is None:
        raise ConversionError('compressed image: the JPEG declares no frame before its pixels; '
                              'check the encoder')
    return size


def _png_size(data: memoryview) -> tuple[int, int]:
    width, height = struct.unpack_from('>II', data, 16)
    position = len(_PNG_START)
    while True:
        length, kind = struct.unpack_from('>I4s', data, position)
        position += _CHUNK_FRAME + length
        if position > len(data):
            raise _truncated(data)
        if kind == b'IEND':
            return width, height


def _truncated(data: memoryview) -> ConversionError:
    return ConversionError(f'compressed image: the {len(data)} bytes end before the image does; '
                           'check the transport (large messages need the DDS profile)')
