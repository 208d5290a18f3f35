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

"""Camera calibration from sensor_msgs/CameraInfo."""

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, Message
from pair_drive_ros.core.frames import CameraCalibration, FrameError


def camera_calibration(msg: Message,
                       base_from_camera: np.ndarray | None = None) -> CameraCalibration:
    """
    Return the pinhole calibration of the image that comes with the message.

    ``K`` belongs to the full sensor; the region of interest and the binning of the message are
    applied to it, as sensor_msgs/CameraInfo defines them (zeros mean none).

    :param base_from_camera: [4, 4] from the optical frame to ``base_link``, where it is known
    :raises ConversionError: when the camera is uncalibrated or the values cannot be true
    """
    intrinsics = np.array(msg.k, dtype=np.float64).reshape(3, 3)
    if not intrinsics.any():
        raise ConversionError('camera_info: K is all zeros, so the camera is uncalibrated; '
                              'calibrate it and give its driver the calibration file')
    roi = msg.roi
    intrinsics[:2, 2] -= roi.x_offset, roi.y_offset
    binning = np.maximum([int(msg.binning_x), int(msg.binning_y)], 1)
    intrinsics[:2] /= binning[:, None]
    width = (int(roi.width) or int(msg.width)) // int(binning[0])
    height = (int(roi.height) or int(msg.height)) // int(binning[1])
    if width == 0 or height == 0:
        raise ConversionError(f'camera_info: an image of {width} x {height} pixels; '
                              'the driver must fill in width and height')
    distortion = np.array(msg.d, dtype=np.float64)
    if not np.all(np.isfinite(distortion)):
        raise ConversionError('camera_info: distortion is not finite; calibrate the camera again')
    try:
        return CameraCalibration(width, height, intrinsics, distortion, msg.distortion_model,
                                 base_from_camera)
    except FrameError as error:
        raise ConversionError(f'camera_info: {error}') from error


def same_calibration(one: Message, other: Message) -> bool:
    """Tell whether two messages have one frame and give one :func:`camera_calibration`."""
    return (_plain(one) == _plain(other) and np.array_equal(one.k, other.k)
            and np.array_equal(one.d, other.d))


def _plain(msg: Message) -> tuple:
    roi = msg.roi
    return (msg.width, msg.height, msg.distortion_model, msg.binning_x, msg.binning_y,
            roi.x_offset, roi.y_offset, roi.width, roi.height, msg.header.frame_id)
