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

"""Ego motion and route intention from their messages."""

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, finite_fields, Message
from pair_drive_ros.conversions.rotation import message_quaternion, yaw
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.core.frames import DrivingCommand, EgoState


def ego_state(msg: Message) -> EgoState:
    """
    Return the ego state of a nav_msgs/Odometry.

    The pose is in ``header.frame_id``, the twist in the child frame, which must be ``base_link``
    (rear axle). An odometry carries no acceleration: it stays zero.

    :raises ConversionError: when a used value is not finite, the orientation is no rotation or
        the frame has no name
    """
    if not msg.header.frame_id:
        raise ConversionError('odometry: header.frame_id is empty; the publisher must name the '
                              'fixed frame of the pose (odom or map)')
    x, y, speed_x, speed_y, yaw_rate = finite_fields(
        msg, 'odometry', ('pose.pose.position.x', 'pose.pose.position.y', 'twist.twist.linear.x',
                          'twist.twist.linear.y', 'twist.twist.angular.z'))
    heading = yaw(message_quaternion(msg.pose.pose.orientation,
                                     'odometry: pose.pose.orientation'))
    return EgoState(stamp_to_ns(msg.header.stamp), pose=np.array([x, y, heading]),
                    velocity=np.array([speed_x, speed_y]), yaw_rate=float(yaw_rate),
                    frame_id=msg.header.frame_id)


def acceleration(msg: Message) -> np.ndarray:
    """
    Return float64 [2], m/s^2 along x and y, of a geometry_msgs/AccelWithCovarianceStamped.

    :raises ConversionError: when one is not finite
    """
    return finite_fields(msg, 'acceleration', ('accel.accel.linear.x', 'accel.accel.linear.y'))


def driving_command(msg: Message) -> DrivingCommand:
    """
    Return the route intention of a std_msgs/Int8.

    :raises ConversionError: outside 0 to 3
    """
    try:
        return DrivingCommand(int(msg.data))
    except ValueError as error:
        known = ', '.join(f'{command.value} {command.name}' for command in DrivingCommand)
        raise ConversionError(f'driving command: {msg.data} is none of {known}') from error
