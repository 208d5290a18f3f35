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

"""Project convex polygons: cut them to what a camera can see, in sub-pixel positions."""

import numpy as np
from pair_drive_ros.core.geometry import FloatArray

NEAR = 0.3
SUBPIXEL_BITS = 4
GUARD = 64.0
"""Pixels kept around the image, so that cut edges stay out of sight."""


def outline(points: FloatArray, intrinsics: FloatArray, size: tuple[int, int]
            ) -> FloatArray | None:
    """
    Pixels [M, 2] of a convex polygon, cut to the near plane and to the image's surroundings.

    :param points: [N, 3] in the optical frame
    :return: None where nothing of it can be seen
    """
    points = _cut(points, np.array([0.0, 0.0, 1.0]), NEAR)
    if len(points) < 3:
        return None
    pixels = points @ intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    if pixels.min() > -GUARD and (pixels < np.array(size) + GUARD).all():
        return pixels
    for axis, length in enumerate(size):
        step = np.eye(2)[axis]
        for normal, offset in ((step, -GUARD), (-step, -length - GUARD)):
            pixels = _cut(pixels, normal, offset)
            if len(pixels) < 3:
                return None
    return pixels


def fixed_point(pixels: FloatArray) -> np.ndarray:
    """Integer positions with ``SUBPIXEL_BITS`` fractional bits, as cv2's fills take them."""
    return np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _cut(points: FloatArray, normal: FloatArray, offset: float) -> FloatArray:
    """Cut a convex polygon [N, D] to the half space ``normal @ x >= offset``."""
    height = points @ normal - offset
    inside = height >= 0.0
    if inside.all():
        return points
    kept = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if inside[i]:
            kept.append(points[i])
        if inside[i] != inside[j]:
            kept.append(points[i] + (points[j] - points[i])
                        * (height[i] / (height[i] - height[j])))
    return np.array(kept).reshape(-1, points.shape[1])
