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

"""Images, raw and compressed, to uint8 RGB."""

import importlib

import cv2
import numpy as np
from pair_drive_ros.conversions.compressed_size import compressed_size
from pair_drive_ros.conversions.errors import ConversionError, Message

MAX_PIXELS = 64 * 2**20
"""The largest compressed image that is decoded; a forged header must not exhaust the memory."""

# Bytes per pixel and the cv2 conversion. OpenCV names a Bayer pattern by the second row's second
# and third pixel, so its BG is the RGGB of ROS.
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    'rgb8': (3, None),
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
    'bayer_rggb8': (1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (1, cv2.COLOR_BayerGB2RGB),
}


def decode_image(msg: Message) -> np.ndarray:
    """
    Decode a sensor_msgs/Image.

    The 8-bit encodings rgb8, bgr8, rgba8, bgra8, mono8 and bayer_*8 are read here; every other
    one (16 bit, YUV, ...) is handed to ROS 2's cv_bridge.

    :return: uint8 [H, W, 3], C-contiguous; rgb8 without row padding shares the message's memory
    :raises ConversionError: when sizes and data disagree, or nothing can read the encoding
    """
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if height <= 0 or width <= 0:
        raise ConversionError(f'image: {width} x {height} pixels; the publisher must not send '
                              'images without pixels')
    if height * step > len(msg.data):
        raise ConversionError(f'image: {height} rows of step {step} need {height * step} bytes, '
                              f'data has {len(msg.data)}; the message is truncated')
    if msg.encoding not in _ENCODINGS:
        return _decode_with_cv_bridge(msg)
    channels, conversion = _ENCODINGS[msg.encoding]
    row_bytes = width * channels
    if step < row_bytes:
        raise ConversionError(f'image: step is {step} bytes, but {width} pixels of '
                              f'{msg.encoding} need {row_bytes}; check encoding and step')
    rows = np.frombuffer(msg.data, np.uint8, count=height * step).reshape(height, step)
    pixels = rows[:, :row_bytes].reshape(height, width, channels)
    if conversion is None:
        return np.ascontiguousarray(pixels)
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:
        raise ConversionError(f'image: OpenCV cannot convert {width} x {height} pixels of '
                              f'{msg.encoding}: {error}') from error


def decode_compressed(msg: Message) -> np.ndarray:
    """
    Decode a sensor_msgs/CompressedImage holding a JPEG or a PNG.

    The content decides, not ``format``, of which drivers have many dialects. An EXIF orientation
    is ignored: pixels stay where the camera's calibration has them.

    :return: uint8 [H, W, 3]
    :raises ConversionError: on other content, truncated data or more than ``MAX_PIXELS`` pixels
    """
    data = memoryview(msg.data)
    width, height = compressed_size(data)
    if width * height > MAX_PIXELS:
        raise ConversionError(f'compressed image: the header declares {width} x {height} pixels, '
                              f'more than the {MAX_PIXELS} that are decoded; send it smaller')
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8),
                              cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ConversionError(f'compressed image: OpenCV cannot decode it: {error}') from error
    if pixels is None or pixels.shape[:2] != (height, width):
        raise ConversionError(f'compressed image: the {width} x {height} pixels are corrupt; '
                              'check the encoder and the transport')
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def _decode_with_cv_bridge(msg: Message) -> np.ndarray:
    known = ', '.join(_ENCODINGS)
    try:
        bridge = importlib.import_module('cv_bridge').CvBridge()
    except ImportError as error:
        raise ConversionError(f'image: encoding {msg.encoding!r} needs cv_bridge, which is not '
                              "installed; install the ROS 2 distribution's cv_bridge or publish "
                              f'one of {known}') from error
    try:
        image = np.asarray(bridge.imgmsg_to_cv2(msg, 'rgb8'))
    except Exception as error:  # cv_bridge lets the errors of OpenCV, numpy and boost through
        raise ConversionError(f'image: cv_bridge cannot convert encoding {msg.encoding!r} to '
                              f'rgb8: {error}; publish one of {known}. The cv_bridge of ROS 1 '
                              'does not work here') from error
    if image.dtype != np.uint8 or image.shape != (msg.height, msg.width, 3):
        raise ConversionError(f'image: cv_bridge made {image.dtype} {list(image.shape)} of '
                              f'encoding {msg.encoding!r}; is it the cv_bridge of ROS 1?')
    return np.ascontiguousarray(image)
