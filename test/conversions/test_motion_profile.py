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

"""Derivatives along a plan, against motions with known speeds."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.kinematics import motion_profile
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory
import pytest

TIMES_S = 0.5 * np.arange(1, 9)


def ego_at(stamp_ns=0, speed=0.0, yaw_rate=0.0):
    """Return an ego state somewhere in odom."""
    return EgoState(stamp_ns, np.array([5.0, -3.0, 2.0]), np.array([speed, 0.0]),
                    yaw_rate=yaw_rate)


def straight(distances):
    """Return a plan along x."""
    return Trajectory(0, np.stack([distances, 0.0 * TIMES_S, 0.0 * TIMES_S], axis=-1))


@given(st.floats(-15, 15), st.floats(-0.7, 0.7), st.sampled_from([0.1, 0.25, 0.5]))
def test_constant_turns_are_exact(speed, yaw_rate, step_s):
    """Arcs keep their speed and yaw rate at every point, in reverse too."""
    plan = Trajectory(0, constant_turn_rate_motion(speed, yaw_rate, TIMES_S))
    profile = motion_profile(plan, ego_at(0, speed, yaw_rate), step_s)
    count = round(4.0 / step_s) + 1
    np.testing.assert_allclose(profile.times_s, step_s * np.arange(count), atol=1e-12)
    np.testing.assert_allclose(profile.speed, np.full(count, speed), atol=1e-9)
    np.testing.assert_allclose(profile.yaw_rate, np.full(count, yaw_rate), atol=1e-9)
    np.testing.assert_allclose(profile.acceleration, np.zeros(count), atol=1e-7)
    np.testing.assert_allclose(profile.yaw_acceleration, np.zeros(count), atol=1e-7)


@given(st.floats(0, 15), st.floats(-1, 3))
def test_constant_acceleration_has_no_spikes(speed, acceleration):
    """Upsampling a gentle plan must not invent hard braking between its poses."""
    plan = straight(speed * TIMES_S + acceleration * TIMES_S**2 / 2.0)
    profile = motion_profile(plan, ego_at(0, speed), 0.1)
    inside = profile.times_s < 3.75
    reached = speed + acceleration * profile.times_s[inside]
    if reached.min() > 0.0:  # a reversal inside a step of the plan shows in no pose
        np.testing.assert_allclose(profile.speed[inside], reached, atol=1e-9)
        np.testing.assert_allclose(profile.acceleration[:37], acceleration, atol=1e-7)
    assert np.abs(profile.acceleration).max() <= 2.0 * abs(acceleration) + 1e-6


@settings(max_examples=50)
@given(st.lists(st.floats(-8, 8), min_size=8, max_size=8), st.floats(-10, 10))
def test_accelerations_lead_from_speed_to_speed(steps, speed):
    """Integrating the accelerations gives the speeds, from the ego's own on."""
    profile = motion_profile(straight(np.cumsum(steps)), ego_at(0, speed), 0.1)
    assert profile.speed[0] == speed
    np.testing.assert_allclose(profile.speed[:-1] + 0.1 * profile.acceleration[:-1],
                               profile.speed[1:], atol=1e-9)
    assert profile.acceleration[-1] == 0.0


def test_the_sign_is_the_headings():
    """Driving backwards is negative although the distance is not."""
    reverse = motion_profile(straight(-2.0 * TIMES_S), ego_at(0, -2.0), 0.5)
    np.testing.assert_allclose(reverse.speed, -2.0)
    turned = Trajectory(0, np.array([[2.0, 0.0, np.pi - 1e-9], [1.0, 0.0, np.pi - 1e-9]]))
    assert motion_profile(turned, ego_at(), 0.5).speed[-1] > 0.0


def test_poses_start_at_the_anchor():
    """The first pose is the origin at time 0; the plan's own poses are among the others."""
    plan = Trajectory(0, constant_turn_rate_motion(6.0, 0.3, TIMES_S))
    profile = motion_profile(plan, ego_at(), 0.1)
    np.testing.assert_array_equal(profile.poses[0], np.zeros(3))
    np.testing.assert_allclose(profile.poses[5::5], plan.poses, atol=1e-12)


def test_turns_across_pi():
    """The heading's jump from pi to -pi is no turn."""
    headings = np.linspace(3.0, 3.3, 8)
    poses = np.stack([TIMES_S * 0.0, TIMES_S * 0.0, np.concatenate([headings[:4],
                                                                   headings[4:] - 2 * np.pi])],
                     axis=-1)
    profile = motion_profile(Trajectory(0, poses), ego_at(), 0.5)
    np.testing.assert_allclose(profile.yaw_rate[3:], 0.3 / 7 / 0.5, atol=1e-9)


def test_other_stamp():
    """An ego state of another instant would misplace the plan."""
    with pytest.raises(ConversionError, match='ego state 7 ns'):
        motion_profile(straight(TIMES_S), ego_at(7), 0.1)


@pytest.mark.parametrize('step_s', [0.0, -0.1, np.nan])
def test_impossible_step(step_s):
    """A step must lead forward."""
    with pytest.raises(ConversionError, match='must be positive'):
        motion_profile(straight(TIMES_S), ego_at(), step_s)
