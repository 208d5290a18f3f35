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

"""Snapshots refuse what cannot be true."""

import numpy as np
from pair_drive_ros.core.frames import (
    CameraCalibration,
    CameraImage,
    DrivingCommand,
    EgoState,
    FrameError,
    LidarSweep,
)
import pytest


def ego(**changes):
    values = {'stamp_ns': 0, 'pose': np.zeros(3), 'velocity': np.array([3.0, 4.0]), **changes}
    return EgoState(**values)


def test_one_hot_is_in_navsims_order():
    assert [command.name for command in DrivingCommand] == ['LEFT', 'STRAIGHT', 'RIGHT', 'UNKNOWN']
    assert DrivingCommand.RIGHT.one_hot().tolist() == [0.0, 0.0, 1.0, 0.0]


def test_speed_is_that_over_ground():
    assert ego().speed == 5.0


@pytest.mark.parametrize(('field', 'value', 'text'), [
    ('pose', np.array([0.0, np.nan, 0.0]), 'ego pose: not finite'),
    ('velocity', np.zeros(3), r'ego velocity: expected shape \[2\]'),
    ('yaw_rate', np.inf, 'ego yaw rate: not finite')])
def test_ego_state_names_the_bad_field(field, value, text):
    with pytest.raises(FrameError, match=text):
        ego(**{field: value})


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_camera_image_must_be_rgb_bytes(image):
    with pytest.raises(FrameError, match='front: expected uint8'):
        CameraImage('front', 0, image)


def test_lidar_sweep_must_have_four_columns():
    with pytest.raises(FrameError, match=r'float32 \[N, 4\]'):
        LidarSweep(0, np.zeros((5, 3), np.float32))


def test_calibration_without_focal_length_is_refused():
    with pytest.raises(FrameError, match='focal lengths'):
        CameraCalibration(4, 4, np.zeros((3, 3)), np.zeros(5), 'plumb_bob')
