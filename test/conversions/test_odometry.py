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

"""Ego motion and the route's command."""

import math

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.odometry import acceleration, driving_command, ego_state
from pair_drive_ros.core.frames import DrivingCommand
import pytest


def odometry(kit, *, position=(10.0, -4.0, 0.5), orientation=(0.0, 0.0, 0.6, 0.8),
             linear=(7.0, 0.1, 0.0), angular=(0.0, 0.0, 0.2), frame_id='map'):
    """Build a nav_msgs/Odometry."""
    pose = kit.types['geometry_msgs/msg/Pose'](
        position=kit.vector('Point', *position),
        orientation=kit.vector('Quaternion', *orientation))
    twist = kit.types['geometry_msgs/msg/Twist'](linear=kit.vector('Vector3', *linear),
                                                 angular=kit.vector('Vector3', *angular))
    covariance = np.zeros(36)
    return kit.types['nav_msgs/msg/Odometry'](
        header=kit.header(1_700_000_000_123_456_789, frame_id), child_frame_id='base_link',
        pose=kit.types['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=covariance),
        twist=kit.types['geometry_msgs/msg/TwistWithCovariance'](twist=twist,
                                                                 covariance=covariance))


def test_ego_state(kit):
    """Every value arrives in its place; the acceleration is not known."""
    ego = ego_state(odometry(kit))
    assert ego.stamp_ns == 1_700_000_000_123_456_789
    assert ego.frame_id == 'map'
    np.testing.assert_allclose(ego.pose, [10.0, -4.0, 2.0 * math.atan2(0.6, 0.8)])
    np.testing.assert_array_equal(ego.velocity, [7.0, 0.1])
    np.testing.assert_array_equal(ego.acceleration, [0.0, 0.0])
    assert ego.yaw_rate == 0.2


def test_heading_on_a_slope(kit):
    """The heading is that of the x axis seen from above, whatever the pitch and roll."""
    half = 0.1  # 0.2 rad nose down after turning left by 90 degrees
    orientation = (-math.sqrt(0.5) * math.sin(half), math.sqrt(0.5) * math.sin(half),
                   math.sqrt(0.5) * math.cos(half), math.sqrt(0.5) * math.cos(half))
    assert ego_state(odometry(kit, orientation=orientation)).pose[2] == pytest.approx(math.pi / 2)


@pytest.mark.parametrize(('values', 'wrong'), [
    ({'position': (math.nan, 0.0, 0.0)}, r'pose\.pose\.position\.x is nan'),
    ({'position': (0.0, math.inf, 0.0)}, r'pose\.pose\.position\.y is inf'),
    ({'linear': (0.0, math.nan, 0.0)}, r'twist\.twist\.linear\.y is nan'),
    ({'angular': (0.0, 0.0, -math.inf)}, r'twist\.twist\.angular\.z is -inf'),
    ({'orientation': (0.0,) * 4}, r'pose\.pose\.orientation.*norm 0 '),
    ({'orientation': (0.0, 0.0, math.nan, 1.0)}, r'pose\.pose\.orientation: z is nan'),
    ({'frame_id': ''}, 'header.frame_id is empty'),
])
def test_impossible_odometry(kit, values, wrong):
    """The error names the field by its path."""
    with pytest.raises(ConversionError, match=f'odometry: {wrong}'):
        ego_state(odometry(kit, **values))


def test_unused_values_may_be_unknown(kit):
    """Odometry in the plane often has no height."""
    ego = ego_state(odometry(kit, position=(1.0, 2.0, math.nan)))
    np.testing.assert_array_equal(ego.pose[:2], [1.0, 2.0])


def acceleration_message(kit, x, y):
    """Build a geometry_msgs/AccelWithCovarianceStamped."""
    accel = kit.types['geometry_msgs/msg/Accel'](linear=kit.vector('Vector3', x, y, 9.8),
                                                 angular=kit.vector('Vector3', 0.0, 0.0, 0.0))
    return kit.types['geometry_msgs/msg/AccelWithCovarianceStamped'](
        header=kit.header(),
        accel=kit.types['geometry_msgs/msg/AccelWithCovariance'](accel=accel,
                                                                 covariance=np.zeros(36)))


def test_acceleration(kit):
    """Forward and left; up is not used."""
    np.testing.assert_array_equal(acceleration(acceleration_message(kit, -1.5, 0.25)),
                                  [-1.5, 0.25])


def test_impossible_acceleration(kit):
    """The error names the field by its path."""
    with pytest.raises(ConversionError, match=r'acceleration: accel\.accel\.linear\.y is nan'):
        acceleration(acceleration_message(kit, 0.0, math.nan))


@pytest.mark.parametrize('command', DrivingCommand)
def test_driving_command(kit, command):
    """The numbers are those of the network's one-hot vector."""
    assert driving_command(kit.types['std_msgs/msg/Int8'](data=int(command))) is command


@pytest.mark.parametrize('number', [-128, -1, 4, 127])
def test_unknown_command(kit, number):
    """A number without a meaning is refused, not taken for UNKNOWN."""
    with pytest.raises(ConversionError, match=f'{number} is none of 0 LEFT, 1 STRAIGHT'):
        driving_command(kit.types['std_msgs/msg/Int8'](data=number))
