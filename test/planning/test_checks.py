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

"""The trajectory checker lets good plans pass and names what is wrong with bad ones."""

import numpy as np
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.planning.checks import find_violations, TrajectoryLimits
import pytest

TIMES = 0.5 * np.arange(1, 9)


def violations(poses, speed):
    ego = EgoState(0, np.zeros(3), np.array([speed, 0.0]))
    return find_violations(Trajectory(0, poses), ego, TrajectoryLimits())


@pytest.mark.parametrize(('speed', 'yaw_rate'), [(0.0, 0.0), (8.0, 0.2), (3.0, -0.5), (30.0, 0.1)])
def test_steady_motion_passes(speed, yaw_rate):
    assert violations(constant_turn_rate_motion(speed, yaw_rate, TIMES), speed) == []


def test_comfortable_braking_passes():
    distance = np.where(TIMES < 3.0, 9.0 * TIMES - 1.5 * TIMES**2, 13.5)
    poses = np.stack([distance, np.zeros(8), np.zeros(8)], axis=-1)
    assert violations(poses, 9.0) == []


def test_teleporting_is_named():
    poses = constant_turn_rate_motion(5.0, 0.0, TIMES)
    poses[3:, 0] += 40.0
    found = violations(poses, 5.0)
    assert any(text.startswith('speed 85.00 m/s exceeds 40.00 m/s at 2.0 s') for text in found)


def test_start_that_does_not_fit_the_ego_speed_is_named():
    assert violations(constant_turn_rate_motion(0.0, 0.0, TIMES), 15.0)[0].startswith(
        'acceleration 60.00 m/s^2')


def test_hard_turn_at_speed_is_named():
    found = violations(constant_turn_rate_motion(20.0, 1.0, TIMES), 20.0)
    assert any(text.startswith('lateral acceleration') for text in found)


def test_heading_against_the_direction_of_travel_is_named():
    poses = constant_turn_rate_motion(5.0, 0.0, TIMES)
    poses[:, 1] = 2.0 * poses[:, 0]
    assert any(text.startswith('heading deviation') for text in violations(poses, 11.0))
