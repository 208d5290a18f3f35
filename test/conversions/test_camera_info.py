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

"""Camera calibration, with the region of interest and the binning of the driver."""

import numpy as np
from pair_drive_ros.conversions.camera_info import camera_calibration, same_calibration
from pair_drive_ros.conversions.errors import ConversionError
import pytest

K = (800.0, 0.0, 320.0, 0.0, 810.0, 240.0, 0.0, 0.0, 1.0)


def camera_info(kit, *, k=K, d=(0.1, -0.2, 0.0, 0.0, 0.05), width=640, height=480,
                binning=(0, 0), roi=(0, 0, 0, 0)):
    """Build a sensor_msgs/CameraInfo; ``roi`` is x, y, width, height."""
    region = kit.types['sensor_msgs/msg/RegionOfInterest'](
        x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3], do_rectify=False)
    return kit.types['sensor_msgs/msg/CameraInfo'](
        header=kit.header(), height=height, width=width, distortion_model='plumb_bob',
        d=np.array(d), k=np.array(k), r=np.eye(3).ravel(), p=np.zeros(12),
        binning_x=binning[0], binning_y=binning[1], roi=region)


def test_values(kit):
    """Everything arrives in its place."""
    calibration = camera_calibration(camera_info(kit))
    assert (calibration.width, calibration.height) == (640, 480)
    np.testing.assert_array_equal(calibration.intrinsics, np.reshape(K, (3, 3)))
    np.testing.assert_array_equal(calibration.distortion, [0.1, -0.2, 0.0, 0.0, 0.05])
    assert calibration.distortion_model == 'plumb_bob'


def test_the_pose_is_handed_on(kit):
    """It is not known unless it is given."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    assert camera_calibration(camera_info(kit)).base_from_camera is None
    assert camera_calibration(camera_info(kit), pose).base_from_camera is pose
    with pytest.raises(ConversionError, match=r'camera_info: base_from_camera: expected shape'):
        camera_calibration(camera_info(kit), np.eye(3))


@pytest.mark.parametrize(('change', 'same'), [
    ({}, True), ({'k': (801.0, *K[1:])}, False), ({'d': (0.1,) * 5}, False), ({'d': ()}, False),
    ({'width': 320}, False), ({'height': 479}, False), ({'binning': (2, 2)}, False),
    ({'roi': (0, 0, 64, 64)}, False)])
def test_messages_that_calibrate_alike(kit, change, same):
    """Only the stamp may differ."""
    one, other = camera_info(kit), camera_info(kit, **change)
    other.header.stamp.sec += 1
    assert same_calibration(one, other) is same
    other.header.frame_id = 'elsewhere'
    assert not same_calibration(one, other)


def test_no_distortion(kit):
    """A rectified camera may leave D empty."""
    assert camera_calibration(camera_info(kit, d=())).distortion.shape == (0,)


def test_region_and_binning_move_the_pixel(kit):
    """A point of the scene falls on the sensor pixel (464, 348), cropped and then binned."""
    calibration = camera_calibration(
        camera_info(kit, roi=(64, 48, 512, 384), binning=(2, 4)))
    assert (calibration.width, calibration.height) == (256, 96)
    x, y, one = calibration.intrinsics @ ((464 - 320) / 800.0, (348 - 240) / 810.0, 1.0)
    assert (x, y, one) == pytest.approx(((464 - 64) / 2, (348 - 48) / 4, 1.0))


@pytest.mark.parametrize(('values', 'wrong'), [
    ({'k': (0.0,) * 9}, 'K is all zeros, so the camera is uncalibrated'),
    ({'k': (np.nan, *K[1:])}, 'not finite'),
    ({'k': (-800.0, *K[1:])}, 'focal lengths must be positive'),
    ({'width': 0}, '0 x 480 pixels'),
    ({'height': 0}, '640 x 0 pixels'),
    ({'height': 3, 'binning': (1, 4)}, '640 x 0 pixels'),
    ({'d': (np.inf,)}, 'distortion is not finite'),
])
def test_impossible_values(kit, values, wrong):
    """The error says which value it is."""
    with pytest.raises(ConversionError, match=f'camera_info: .*{wrong}'):
        camera_calibration(camera_info(kit, **values))


def test_message_is_left_alone(kit):
    """Cropping works on a copy."""
    message = camera_info(kit, roi=(64, 48, 512, 384), binning=(2, 2))
    camera_calibration(message)
    np.testing.assert_array_equal(message.k, K)
