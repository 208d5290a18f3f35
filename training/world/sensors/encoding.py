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

"""Bytes of images and sweeps, as NAVSIM's sensor blobs hold them."""

import cv2
import numpy as np
from pair_drive_training.data.point_cloud_file import POINT_FIELDS


class EncodingError(ValueError):
    """An image or a sweep cannot be encoded; the sentence says why."""


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """
    Encode uint8 [H, W, 3], red green blue.

    :param quality: percent
    :raises EncodingError: when OpenCV was built without JPEG
    """
    done, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise EncodingError('OpenCV cannot write JPEG images; install a build that can')
    return data.tobytes()


def encode_pcd(points: np.ndarray) -> bytes:
    """
    Encode a sweep as a binary PCD file with ``POINT_FIELDS``, float32 each.

    :param points: [N, 6], columns as in ``POINT_FIELDS``
    :raises EncodingError: for another shape
    """
    if points.ndim != 2 or points.shape[1] != len(POINT_FIELDS):
        raise EncodingError(f'a sweep must be [N, {len(POINT_FIELDS)}], not '
                            f'{list(points.shape)}; its columns are {", ".join(POINT_FIELDS)}')
    fields, count = len(POINT_FIELDS), len(points)
    header = ('# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n'
              f'FIELDS {" ".join(POINT_FIELDS)}\nSIZE{" 4" * fields}\nTYPE{" F" * fields}\n'
              f'COUNT{" 1" * fields}\nWIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n'
              f'POINTS {count}\nDATA binary\n')
    return header.encode('ascii') + np.ascontiguousarray(points, '<f4').tobytes()
