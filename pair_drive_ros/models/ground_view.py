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
Cameras laid on the ground: what each sees of the plane z = 0, as a picture from above.

Inverse perspective mapping (Mallot et al., Biological Cybernetics 64, 1991). A network that reads
it need not learn the perspective of its cameras; on a road that is not flat, and where something
stands on it, the picture is drawn out away from the camera.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.polynomial.polynomial import polyval
from pair_drive_ros.core.frames import CameraCalibration

GROUND_RANGE_M = 32.0
# Samples along each side of a cell: near the car pixels are much smaller than a cell.
_SAMPLES = 4
# Nearer to the image plane a point of the ground is not seen but projected all the same.
_LEAST_DEPTH_M = 0.3
_COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8,), 'equidistant': (4,)}


class GroundViewError(ValueError):
    """A camera's calibration does not allow to lay its image on the ground."""


def ground_pixels(view: np.ndarray, calibration: CameraCalibration, cells: int) -> np.ndarray:
    """
    Lay one image on the ground, uint8 [3, cells / 2, cells], RGB; black where it sees none.

    Rows run along x (forward) from 0 to 32 m, columns along y (left) from -32 m to 32 m, in
    ``base_link``: the front half of the grid of ``features.lidar_counts``.

    :param view: uint8 [H, W, 3], as taken
    :param calibration: of an image of any size of the same field of view; ``base_from_camera``
        must be known
    :raises GroundViewError: when the camera's pose or its distortion model is not known
    """
    if calibration.base_from_camera is None:
        raise GroundViewError('the pose of the camera in base_link is not known; set the '
                              'parameter camera_extrinsics, or publish it on /tf_static')
    height, width = view.shape[:2]
    area, columns, rows = _places(
        cells, width, height, width / calibration.width, height / calibration.height,
        calibration.distortion_model, tuple(calibration.distortion.tolist()),
        tuple(calibration.intrinsics.ravel().tolist()),
        tuple(calibration.base_from_camera.ravel().tolist()))
    picture = np.zeros((cells // 2, cells, 3), np.uint8)
    seen = picture[area]
    if seen.size:
        # Outside of the image remap leaves black.
        fine = cv2.remap(view, columns, rows, cv2.INTER_LINEAR)
        seen[:] = cv2.resize(fine, seen.shape[1::-1], interpolation=cv2.INTER_AREA)
    return picture.transpose(2, 0, 1)


@lru_cache(maxsize=32)
def _places(cells: int, width: int, height: int, scale_x: float, scale_y: float, model: str,
            distortion: Sequence[float], intrinsics: Sequence[float],
            base_from_camera: Sequence[float]
            ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """
    Find the samples of the grid in the image.

    :return: the cells around all that is seen; column and row of every sample in them, float32,
        -1 where there is none
    """
    count = _SAMPLES * cells
    along = (np.arange(count // 2) + 0.5) * (2.0 * GROUND_RANGE_M / count)
    across = (np.arange(count) + 0.5) * (2.0 * GROUND_RANGE_M / count) - GROUND_RANGE_M
    points = np.stack([*np.broadcast_arrays(along[:, None], across[None]),
                       np.zeros((count // 2, count)), np.ones((count // 2, count))], axis=-1)
    camera_from_base = np.linalg.inv(np.reshape(base_from_camera, (4, 4)))
    points = points.reshape(-1, 4) @ camera_from_base[:3].T
    matrix = np.reshape(intrinsics, (3, 3))
    ahead = points[:, 2] > _LEAST_DEPTH_M
    points[~ahead] = (0.0, 0.0, 1.0)
    pixels, unfolded = _project(points, matrix, model, np.array(distortion))
    places = _scaled(pixels, scale_x, scale_y)
    inside = ((places >= 0.0) & (places <= np.array([width, height]) - 1.0)).all(axis=1)
    places[~(ahead & unfolded & inside)] = -1.0
    places = places.reshape(cells // 2, _SAMPLES, cells, _SAMPLES, 2).astype(np.float32)
    rows_seen, columns_seen = (_extent(np.any(places[..., 0] >= 0.0, axis=others))
                               for others in ((1, 2, 3), (0, 1, 3)))
    places = places[rows_seen, :, columns_seen]
    fine = places.reshape(places.shape[0] * _SAMPLES, places.shape[2] * _SAMPLES, 2)
    return ((rows_seen, columns_seen), np.ascontiguousarray(fine[..., 0]),
            np.ascontiguousarray(fine[..., 1]))


def _extent(flags: np.ndarray | np.bool_) -> slice:
    """Return from the first to the last that is set."""
    found = np.flatnonzero(flags)
    return slice(found[0], found[-1] + 1) if len(found) else slice(0, 0)


def _scaled(pixels: np.ndarray, scale_x: float, scale_y: float) -> np.ndarray:
    """Scale pixel coordinates, whose integers are the centres of the pixels."""
    return (pixels + 0.5) * (scale_x, scale_y) - 0.5


def _project(points: np.ndarray, matrix: np.ndarray, model: str,
             distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] of points [N, 3] in front of the camera, and where they are to be trusted."""
    # Drivers leave zeros in D, whatever the model, when there is nothing to correct.
    if not distortion.any():
        return points @ matrix[:2].T / points[:, 2:], np.ones(len(points), bool)
    if model not in _COEFFICIENTS:
        raise GroundViewError(f'the distortion model {model!r} is none of '
                              f'{", ".join(_COEFFICIENTS)}; publish undistorted images')
    if len(distortion) not in _COEFFICIENTS[model]:
        raise GroundViewError(
            f'the distortion model {model} has {_COEFFICIENTS[model][-1]} coefficients, but the '
            f'calibration gives {len(distortion)}; correct its camera_info')
    zero = np.zeros(3)
    if model == 'equidistant':
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, matrix, distortion)
    else:
        pixels, _ = cv2.projectPoints(points, zero, zero, matrix, distortion)
    angles = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    return pixels.reshape(-1, 2), angles < _fold_angle(model, distortion)


def _fold_angle(model: str, distortion: np.ndarray) -> float:
    """
    Angle to the optical axis, rad, from which on the radius in the image falls.

    The polynomials are fitted inside of the image; beyond, they may bring back into it what the
    camera does not see.
    """
    angles = np.linspace(0.0, 0.5 * np.pi, 2000, endpoint=False)
    if model == 'equidistant':
        radii = angles * polyval(angles ** 2, [1.0, *distortion])
    else:
        k1, k2, _, _, k3, k4, k5, k6 = np.pad(distortion, (0, 8 - len(distortion)))
        straight = np.tan(angles)
        radii = straight * (polyval(straight ** 2, [1.0, k1, k2, k3])
                            / polyval(straight ** 2, [1.0, k4, k5, k6]))
    falling = np.flatnonzero(np.diff(radii) <= 0.0)
    return float(angles[falling[0]]) if len(falling) else 0.5 * np.pi
