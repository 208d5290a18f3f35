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

"""The ego state between odometry samples."""

import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.core.ego_motion import acceleration_from_velocity, extrapolate, interpolate
from pair_drive_ros.core.frames import EgoState
import pytest


def sample(seconds, pose=(0.0, 0.0, 0.0), velocity=(0.0, 0.0), yaw_rate=0.0):
    return EgoState(int(seconds * 1e9), np.array(pose), np.array(velocity), yaw_rate=yaw_rate)


def test_interpolation_blends_and_turns_the_short_way():
    middle = interpolate(sample(1.0, (0.0, 0.0, 3.0), (2.0, 0.0)),
                         sample(2.0, (4.0, 2.0, -3.0), (4.0, 0.0)), 1_500_000_000)
    assert_allclose(middle.pose[:2], [2.0, 1.0])
    assert abs(middle.pose[2]) == pytest.approx(np.pi)
    assert_allclose(middle.velocity, [3.0, 0.0])
    assert middle.stamp_ns == 1_500_000_000


def test_interpolation_of_equal_stamps_gives_that_sample():
    assert_allclose(interpolate(sample(1.0, (1.0, 2.0, 0.3)), sample(1.0, (1.0, 2.0, 0.3)),
                                1_000_000_000).pose, [1.0, 2.0, 0.3])


def test_interpolation_never_leaves_its_samples():
    with pytest.raises(ValueError, match='lies outside'):
        interpolate(sample(1.0), sample(2.0), 2_100_000_000)


def test_extrapolation_follows_speed_and_yaw_rate():
    state = extrapolate(sample(0.0, (1.0, 0.0, np.pi / 2), (np.pi / 2, 0.0), np.pi / 2),
                        1_000_000_000)
    assert_allclose(state.pose, [0.0, 1.0, -np.pi], atol=1e-9)


def test_acceleration_is_the_slope_of_the_speed():
    run = [sample(0.02 * i, velocity=(5.0 + 0.04 * i, 0.0)) for i in range(10)]
    assert_allclose(acceleration_from_velocity(run), [2.0, 0.0], atol=1e-9)


def test_acceleration_of_a_steady_turn_points_to_its_centre():
    run = [sample(0.02 * i, velocity=(10.0, 0.0), yaw_rate=0.3) for i in range(5)]
    assert_allclose(acceleration_from_velocity(run), [0.0, 3.0], atol=1e-9)


def test_one_sample_says_nothing_about_acceleration():
    assert_allclose(acceleration_from_velocity([sample(0.0, velocity=(5.0, 0.0))]), [0.0, 0.0])
