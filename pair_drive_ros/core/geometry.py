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
Rigid motions in the plane and in space.

An SE(2) pose is ``[x, y, heading]`` in metres and radians; arrays of poses carry it in the last
axis. An SE(3) transform is a 4x4 float64 matrix named ``target_from_source``.
"""

import numpy as np

FloatArray = np.ndarray


def wrap_angle(angle: FloatArray | float) -> FloatArray:
    """Return the angle in [-pi, pi), element-wise."""
    return (np.asarray(angle, dtype=np.float64) + np.pi) % (2.0 * np.pi) - np.pi


def compose(base: FloatArray, relative: FloatArray) -> FloatArray:
    """
    Express poses given relative to ``base`` in the frame of ``base``'s parent.

    :param base: SE(2) poses [..., 3]
    :param relative: SE(2) poses [..., 3], broadcast against ``base``
    """
    base, relative = np.asarray(base, np.float64), np.asarray(relative, np.float64)
    cos, sin = np.cos(base[..., 2]), np.sin(base[..., 2])
    x, y = relative[..., 0], relative[..., 1]
    return np.stack([base[..., 0] + cos * x - sin * y,
                     base[..., 1] + sin * x + cos * y,
                     wrap_angle(base[..., 2] + relative[..., 2])], axis=-1)


def relative_to(base: FloatArray, pose: FloatArray) -> FloatArray:
    """Invert :func:`compose`: poses [..., 3] of the parent frame as seen from ``base``."""
    base, pose = np.asarray(base, np.float64), np.asarray(pose, np.float64)
    cos, sin = np.cos(base[..., 2]), np.sin(base[..., 2])
    dx, dy = pose[..., 0] - base[..., 0], pose[..., 1] - base[..., 1]
    return np.stack([cos * dx + sin * dy,
                     -sin * dx + cos * dy,
                     wrap_angle(pose[..., 2] - base[..., 2])], axis=-1)


def constant_turn_rate_motion(speed: float, yaw_rate: float, times_s: FloatArray) -> FloatArray:
    """
    Poses [T, 3] reached from the origin with constant speed (m/s) and yaw rate (rad/s).

    ``sinc`` keeps the chord exact for every yaw rate, zero included.
    """
    times_s = np.asarray(times_s, np.float64)
    turn = yaw_rate * times_s
    chord = speed * times_s * np.sinc(turn / (2.0 * np.pi))
    return np.stack([chord * np.cos(turn / 2.0), chord * np.sin(turn / 2.0), wrap_angle(turn)],
                    axis=-1)


def rigid_transform(translation: FloatArray, rotation: FloatArray) -> FloatArray:
    """Build the 4x4 ``target_from_source`` of a translation [3] and a rotation matrix [3, 3]."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def invert_transform(target_from_source: FloatArray) -> FloatArray:
    """Return ``source_from_target`` of a rigid 4x4 transform."""
    rotation = target_from_source[:3, :3].T
    return rigid_transform(-rotation @ target_from_source[:3, 3], rotation)


def transform_points(target_from_source: FloatArray, points: FloatArray) -> FloatArray:
    """Move points [N, 3] from the source to the target frame, keeping their dtype."""
    rotation = target_from_source[:3, :3].astype(points.dtype)
    # Not a matrix product: for so small a matrix BLAS would wake threads that then spin on.
    moved = np.einsum('ij,nj->ni', rotation, points)
    return moved + target_from_source[:3, 3].astype(points.dtype)


def project_to_image(points: FloatArray, intrinsics: FloatArray,
                     min_depth: float = 0.1) -> tuple[FloatArray, FloatArray]:
    """
    Project points of the camera's optical frame (x right, y down, z forward) by a pinhole.

    :param points: [N, 3] metres
    :param intrinsics: [3, 3]
    :return: pixels [M, 2] of the points deeper than ``min_depth`` and the mask [N] of those
    """
    ahead = points[:, 2] > min_depth
    image = points[ahead] @ intrinsics.T
    return image[:, :2] / image[:, 2:3], ahead
