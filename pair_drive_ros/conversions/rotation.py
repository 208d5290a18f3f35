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
Rotations of ROS messages: quaternions in the order x, y, z, w.

The arithmetic is that of tf_transformations, or of transforms3d, which it wraps, where
tf_transformations is not installed. transforms3d puts w first.
"""

from collections.abc import Sequence

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, finite_fields, Message
from transforms3d.euler import euler2mat, euler2quat
from transforms3d.quaternions import quat2mat

try:
    import tf_transformations
except ImportError:
    tf_transformations = None

NORM_TOLERANCE = 1e-2
"""How far from 1 a norm may be; rounding stays far below, a forgotten field far above."""


def message_quaternion(msg: Message, name: str) -> np.ndarray:
    """
    Return a geometry_msgs/Quaternion as float64 [4] x, y, z, w of norm 1.

    :param name: where the message comes from, for the error
    :raises ConversionError: when it is not finite or no rotation
    """
    return _unit(finite_fields(msg, name, ('x', 'y', 'z', 'w')), name)


def rotation_matrix(quaternion: Sequence[float] | np.ndarray) -> np.ndarray:
    """
    Return the matrix [3, 3] of a quaternion x, y, z, w.

    :raises ConversionError: when the norm is not 1 within ``NORM_TOLERANCE``
    """
    x, y, z, w = _unit(np.asarray(quaternion, np.float64), 'quaternion')
    if tf_transformations is not None:
        return np.asarray(tf_transformations.quaternion_matrix((x, y, z, w)))[:3, :3]
    return quat2mat((w, x, y, z))


def yaw(quaternion: Sequence[float] | np.ndarray) -> float:
    """
    Return the heading, rad, of the rotated x axis in the plane.

    :raises ConversionError: see :func:`rotation_matrix`
    """
    forward = rotation_matrix(quaternion)[:, 0]
    return float(np.arctan2(forward[1], forward[0]))


def quaternion_from_yaw(angle: float) -> np.ndarray:
    """Return the quaternion x, y, z, w of a rotation about z, rad."""
    if tf_transformations is not None:
        return np.asarray(tf_transformations.quaternion_from_euler(0.0, 0.0, angle))
    w, x, y, z = euler2quat(0.0, 0.0, angle, axes='sxyz')
    return np.array([x, y, z, w])


def rotation_from_rpy(roll: float, pitch: float, yaw_angle: float) -> np.ndarray:
    """Return the matrix [3, 3] of turns about the fixed x, y and z axis, in this order (URDF)."""
    if tf_transformations is not None:
        return np.asarray(tf_transformations.euler_matrix(roll, pitch, yaw_angle))[:3, :3]
    return euler2mat(roll, pitch, yaw_angle, axes='sxyz')


def _unit(quaternion: np.ndarray, name: str) -> np.ndarray:
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) <= NORM_TOLERANCE:
        raise ConversionError(f'{name}: the quaternion {quaternion.tolist()} (x, y, z, w) has '
                              f'norm {norm:.3g} and is no rotation; the publisher must fill in '
                              'a unit quaternion')
    return quaternion / norm
