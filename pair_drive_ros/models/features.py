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
What TransFuser-like networks read, built from one ``PlannerInput``.

The recipe is that of NAVSIM's devkit for its TransFuser agent: a stitched camera image, a LiDAR
histogram seen from above and the ego status, all of the current frame only. ``FEATURE_VERSION``
rises with every change of the numbers that a given size holds; a checkpoint trained on another
version is refused. Sizes are the networks' own (``transfuser_spec``).
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from pair_drive_ros.core.frames import CameraImage, DrivingCommand, EgoState, PlannerInput
from pair_drive_ros.models.ground_view import ground_pixels, GroundViewError
from pair_drive_ros.models.policy import FeatureError, FeatureSpec, TensorSpec
import torch

FEATURE_VERSION = 1

CAMERA_FEATURE = 'camera_feature'
LIDAR_FEATURE = 'lidar_feature'
STATUS_FEATURE = 'status_feature'
VALIDITY_FEATURE = 'validity_feature'
GROUND_FEATURE = 'ground_feature'
STITCHED_CAMERAS = ('left', 'front', 'right')
LIDAR = 'lidar'

STATUS_SIZE = 8
LIDAR_RANGE_M = 32.0
_LIDAR_MIN_Z_M = 0.2
_LIDAR_MAX_Z_M = 100.0
LIDAR_MAX_COUNT = 5
MAX_PIXEL = 255

# 28 of 1080 rows above and below; 416 of 1920 columns on both sides of the outer cameras.
_CROP_ROWS = 28 / 1080
_CROP_COLUMNS = 416 / 1920
# The cropped left view's share of the stitched width: 1088 of 4096 columns.
_SIDE_SHARE = 17 / 64


def transfuser_spec(image_height: int = 256, image_width: int = 1024, lidar_bins: int = 256,
                    lidar: bool = True, validity: bool = False,
                    ground: bool = False) -> FeatureSpec:
    """
    Names, shapes and dtypes of the features; the defaults are the devkit's.

    :param lidar: whether the network reads the LiDAR
    :param validity: whether it is told which of its sensors are there, and so can do without some
    :param ground: whether it reads the cameras laid on the ground, in cells like the LiDAR's
    """
    spec = {CAMERA_FEATURE: TensorSpec((3, image_height, image_width)),
            STATUS_FEATURE: TensorSpec((STATUS_SIZE,))}
    if lidar:
        spec[LIDAR_FEATURE] = TensorSpec((1, lidar_bins, lidar_bins))
    if ground:
        spec[GROUND_FEATURE] = TensorSpec((3 * len(STITCHED_CAMERAS), lidar_bins // 2,
                                           lidar_bins))
    if validity:
        spec[VALIDITY_FEATURE] = TensorSpec((len(sensors_of(spec)),))
    return spec


def sensors_of(spec: FeatureSpec) -> tuple[str, ...]:
    """Sensors that the features of ``spec`` are made from, in the order of the validity."""
    return ((STITCHED_CAMERAS if CAMERA_FEATURE in spec or GROUND_FEATURE in spec else ())
            + ((LIDAR,) if LIDAR_FEATURE in spec else ()))


def column_places(width: int) -> tuple[slice, slice, slice]:
    """Return the columns of the left, front and right view in an image of ``width``."""
    side = round(_SIDE_SHARE * width)
    return slice(0, side), slice(side, width - side), slice(width - side, width)


def stitched_image(left: np.ndarray | None, front: np.ndarray | None, right: np.ndarray | None,
                   height: int = 256, width: int = 1024) -> np.ndarray:
    """Crop and stitch three views: :func:`stitched_pixels` as float32 [3, H, W], RGB, 0..1."""
    return image_from_pixels(stitched_pixels(left, front, right, height, width))


def stitched_pixels(left: np.ndarray | None, front: np.ndarray | None, right: np.ndarray | None,
                    height: int = 256, width: int = 1024) -> np.ndarray:
    """
    Crop and stitch three views into one wide image, uint8 [3, height, width], RGB, not contiguous.

    Source: the devkit crops 1920x1080 images by 28 rows above and below and the outer views by
    416 columns on both sides, concatenates them to 4096x1024 and resizes that to 1024x256. Here
    every view is resized into its own place (272, 480 and 272 columns), which gives the same
    pixels for 1920x1080, without the copy of the wide image. Images of other sizes lose the same
    fractions, rounded to pixels, and are stretched to the same places whatever their aspect.

    :param left: uint8 [H, W, 3]; the three views may differ in size. The place of a view that is
        None stays zero, for networks that are told so by the validity
    :param front: uint8 [H, W, 3] or None
    :param right: uint8 [H, W, 3] or None
    :param width: columns of the result, a multiple of 64
    """
    stitched = np.zeros((height, width, 3), np.uint8)
    crops = (_CROP_COLUMNS, 0.0, _CROP_COLUMNS)
    for view, place, crop_columns in zip((left, front, right), column_places(width), crops,
                                         strict=True):
        if view is None:
            continue
        rows = round(_CROP_ROWS * view.shape[0])
        columns = round(crop_columns * view.shape[1])
        cropped = view[rows:view.shape[0] - rows, columns:view.shape[1] - columns]
        stitched[:, place] = cv2.resize(cropped, (place.stop - place.start, height))
    return stitched.transpose(2, 0, 1)


def image_from_pixels(pixels: np.ndarray) -> np.ndarray:
    """Scale the uint8 pixels of :func:`stitched_pixels`, of any shape, to float32 0..1."""
    return pixels.astype(np.float32, order='C') / np.float32(MAX_PIXEL)


def lidar_histogram(points: np.ndarray, bins: int = 256) -> np.ndarray:
    """Count the points from above: :func:`lidar_counts` as float32 [1, bins, bins], 0..1."""
    return histogram_from_counts(lidar_counts(points, bins))


def lidar_counts(points: np.ndarray, bins: int = 256) -> np.ndarray:
    """
    Count the points above the ground from above, uint8 [1, bins, bins], 0..5.

    Rows run along x (forward), columns along y (left), both from -32 m to 32 m, the upper edge
    included as in ``np.histogramdd``. Only points with 0.2 m < z < 100 m count; five or more in
    a cell saturate it at 5. Points that are not finite count nowhere.

    :param points: float32 [N, >= 3] x, y, z in ``base_link``
    :param bins: cells along each side, a power of two: only then is the scaling below exact
    """
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    kept = (z > _LIDAR_MIN_Z_M) & (z < _LIDAR_MAX_Z_M)
    kept &= (np.abs(x) <= LIDAR_RANGE_M) & (np.abs(y) <= LIDAR_RANGE_M)
    cells_per_metre = np.float32(bins / (2.0 * LIDAR_RANGE_M))

    def index(coordinate: np.ndarray) -> np.ndarray:
        # Scaling by a power of two rounds nothing, so floor finds the cell that a search among
        # the edges finds; adding the range first would round small negative coordinates up.
        cell = np.floor(coordinate[kept] * cells_per_metre).astype(np.int32) + bins // 2
        return np.minimum(cell, bins - 1)

    counts = np.bincount(index(x) * bins + index(y), minlength=bins * bins)
    return np.minimum(counts, LIDAR_MAX_COUNT).astype(np.uint8).reshape(1, bins, bins)


def histogram_from_counts(counts: np.ndarray) -> np.ndarray:
    """Scale the uint8 counts of :func:`lidar_counts`, of any shape, to float32 0..1."""
    return counts.astype(np.float32, order='C') / np.float32(LIDAR_MAX_COUNT)


def stacked_ground(cameras: Mapping[str, CameraImage], cells: int) -> np.ndarray:
    """
    Lay the left, front and right camera on the ground, uint8 [9, cells / 2, cells].

    Three colours each, see ``ground_view``; the place of a camera that is missing stays zero.

    :raises FeatureError: when the calibration or the pose of a camera is not known
    """
    layers = np.zeros((len(STITCHED_CAMERAS), 3, cells // 2, cells), np.uint8)
    for layer, name in zip(layers, STITCHED_CAMERAS, strict=True):
        if name not in cameras:
            continue
        image = cameras[name]
        if image.calibration is None:
            raise FeatureError(f'{name}: no calibration of the camera is known, which the network '
                               'needs; publish its camera_info')
        try:
            layer[:] = ground_pixels(image.rgb, image.calibration, cells)
        except GroundViewError as error:
            raise FeatureError(f'{name}: {error}') from error
    return layers.reshape(-1, cells // 2, cells)


def status(ego: EgoState, command: DrivingCommand) -> np.ndarray:
    """Float32 [8]: command one-hot (4), velocity (2, m/s), acceleration (2, m/s^2)."""
    return np.concatenate([command.one_hot(), ego.velocity, ego.acceleration]).astype(np.float32)


def missing_sensors(frame: PlannerInput, spec: FeatureSpec) -> tuple[str, ...]:
    """Sensors that the features of ``spec`` are made from and that are not in the frame."""
    return tuple(name for name in sensors_of(spec)
                 if (frame.lidar is None if name == LIDAR else name not in frame.cameras))


def transfuser_features(frame: PlannerInput,
                        spec: FeatureSpec | None = None) -> dict[str, torch.Tensor]:
    """
    Build the features that a policy's ``feature_spec`` names, each with a batch axis of 1.

    With the validity among them, the place of a missing sensor is zero and marked invalid;
    without it every sensor is needed.

    :param spec: the policy's specification; by default that of the full-size network
    :raises FeatureError: when a sensor the features need is not in the frame, or when the
        specification names a feature that this package does not build
    """
    spec = transfuser_spec() if spec is None else spec
    unknown = [name for name in spec if name not in _BUILDERS]
    if unknown:
        raise FeatureError(f'{unknown[0]}: no such feature; there are {", ".join(_BUILDERS)}')
    _check_sensors(frame, spec)
    return {name: torch.from_numpy(_BUILDERS[name](frame, spec))[None] for name in spec}


def _check_sensors(frame: PlannerInput, spec: FeatureSpec) -> None:
    needed, missing = sensors_of(spec), missing_sensors(frame, spec)
    if not missing or (VALIDITY_FEATURE in spec and missing != needed):
        return
    some = 'one of ' if VALIDITY_FEATURE in spec else ''
    raise FeatureError(f'the network needs {some}{", ".join(needed)}, but {", ".join(missing)} '
                       f'is not in the input, which has the cameras '
                       f'{", ".join(frame.cameras) or "none"} and '
                       f'{"no" if frame.lidar is None else "a"} LiDAR sweep; name the cameras of '
                       'the rig so, or configure a policy that needs fewer sensors')


def _camera_feature(frame: PlannerInput, spec: FeatureSpec) -> np.ndarray:
    left, front, right = (frame.cameras[name].rgb if name in frame.cameras else None
                          for name in STITCHED_CAMERAS)
    return stitched_image(left, front, right, *spec[CAMERA_FEATURE].shape[1:])


def _lidar_feature(frame: PlannerInput, spec: FeatureSpec) -> np.ndarray:
    shape = spec[LIDAR_FEATURE].shape
    if frame.lidar is None:
        return np.zeros(shape, np.float32)
    return lidar_histogram(frame.lidar.points, shape[1])


def _ground_feature(frame: PlannerInput, spec: FeatureSpec) -> np.ndarray:
    return image_from_pixels(stacked_ground(frame.cameras, spec[GROUND_FEATURE].shape[2]))


def _status_feature(frame: PlannerInput, _spec: FeatureSpec) -> np.ndarray:
    return status(frame.ego, frame.command)


def _validity_feature(frame: PlannerInput, spec: FeatureSpec) -> np.ndarray:
    missing = missing_sensors(frame, spec)
    return np.array([name not in missing for name in sensors_of(spec)], np.float32)


_BUILDERS: dict[str, Callable[[PlannerInput, FeatureSpec], np.ndarray]] = {
    CAMERA_FEATURE: _camera_feature,
    LIDAR_FEATURE: _lidar_feature,
    GROUND_FEATURE: _ground_feature,
    STATUS_FEATURE: _status_feature,
    VALIDITY_FEATURE: _validity_feature,
}
