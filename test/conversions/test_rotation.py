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

"""Quaternions of ROS (x, y, z, w) against known turns and against both libraries."""

from contextlib import contextmanager
import math
from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.conversions import rotation
from pair_drive_ros.conversions.errors import ConversionError
import pytest

angles = st.floats(-math.pi, math.pi)
HALF = math.sqrt(0.5)


def fake_tf_transformations():
    """Give the three functions in use the contracts of tf_transformations, w last."""
    def quaternion_from_euler(roll, pitch, yaw):
        assert roll == pitch == 0.0
        return [0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0)]

    def quaternion_matrix(quaternion):
        vector, w = np.array(quaternion[:3]), quaternion[3]
        cross = np.cross(np.eye(3), vector).T
        matrix = np.eye(4)
        matrix[:3, :3] += 2.0 * w * cross.T + 2.0 * cross @ cross
        return matrix

    def euler_matrix(roll, pitch, yaw):
        matrix = np.eye(4)
        for axis, angle in enumerate((roll, pitch, yaw)):
            turn = np.zeros(4)
            turn[axis], turn[3] = math.sin(angle / 2.0), math.cos(angle / 2.0)
            matrix = quaternion_matrix(turn) @ matrix
        return matrix

    module = ModuleType('tf_transformations')
    module.quaternion_from_euler = quaternion_from_euler
    module.quaternion_matrix = quaternion_matrix
    module.euler_matrix = euler_matrix
    return module


LIBRARIES = {'transforms3d': None,
             'tf_transformations': rotation.tf_transformations or fake_tf_transformations()}


@pytest.fixture(scope='module', params=LIBRARIES)
def either(request):
    """Yield a way to run a block with one of the two libraries."""
    @contextmanager
    def use():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rotation, 'tf_transformations', LIBRARIES[request.param])
            yield rotation
    return use


@pytest.mark.parametrize(('quaternion', 'image_of_xyz'), [
    ((0, 0, 0, 1), 'x y z'),
    ((0, 0, HALF, HALF), 'y -x z'),
    ((HALF, 0, 0, HALF), 'x z -y'),
    ((0, HALF, 0, HALF), '-z y x'),
    ((0, 0, 0, -1), 'x y z'),
    ((0.5, 0.5, 0.5, 0.5), 'y z x'),
])
def test_known_rotations(either, quaternion, image_of_xyz):
    """Where the three axes go is written down here, not computed."""
    axes = {'x': (1, 0, 0), 'y': (0, 1, 0), 'z': (0, 0, 1)}
    wanted = np.array([np.array(axes[word[-1]]) * (-1 if word[0] == '-' else 1)
                       for word in image_of_xyz.split()]).T
    with either() as library:
        np.testing.assert_allclose(library.rotation_matrix(quaternion), wanted, atol=1e-12)


@given(angles)
def test_yaw_round_trip(either, angle):
    """A heading survives the quaternion."""
    with either() as library:
        turned = library.yaw(library.quaternion_from_yaw(angle))
    assert math.cos(turned - angle) == pytest.approx(1.0)
    assert math.sin(turned - angle) == pytest.approx(0.0, abs=1e-9)


@given(angles, angles, angles)
def test_rpy_is_the_order_of_urdf(either, roll, pitch, yaw):
    """Fixed axes: x first, then y, then z."""
    turn_x = np.array([[1, 0, 0], [0, math.cos(roll), -math.sin(roll)],
                       [0, math.sin(roll), math.cos(roll)]])
    turn_y = np.array([[math.cos(pitch), 0, math.sin(pitch)], [0, 1, 0],
                       [-math.sin(pitch), 0, math.cos(pitch)]])
    turn_z = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0],
                       [0, 0, 1]])
    with either() as library:
        np.testing.assert_allclose(library.rotation_from_rpy(roll, pitch, yaw),
                                   turn_z @ turn_y @ turn_x, atol=1e-9)


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_matrices_are_rotations(either, values):
    """The result is orthonormal and right-handed; q and -q are one rotation."""
    unit = np.array(values) / np.linalg.norm(values)
    with either() as library:
        matrix, opposite = library.rotation_matrix(unit), library.rotation_matrix(-unit)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    np.testing.assert_allclose(opposite, matrix, atol=1e-9)


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_both_libraries_agree(values):
    """The fallback is the same rotation as the real tf_transformations'."""
    library = pytest.importorskip('tf_transformations')
    from transforms3d.quaternions import quat2mat
    x, y, z, w = np.array(values) / np.linalg.norm(values)
    np.testing.assert_allclose(library.quaternion_matrix((x, y, z, w))[:3, :3],
                               quat2mat((w, x, y, z)), atol=1e-9)


@pytest.mark.parametrize('scale', [0.991, 1.009])
def test_rounded_quaternions_are_normalised(kit, scale):
    """A norm within a hundredth of 1 is rounding."""
    message = kit.vector('Quaternion', 0.0, 0.0, scale * HALF, scale * HALF)
    np.testing.assert_allclose(rotation.message_quaternion(message, 'imu'), [0, 0, HALF, HALF])
    np.testing.assert_allclose(rotation.rotation_matrix(scale * np.array([0, 0, HALF, HALF])),
                               [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize('quaternion', [
    (0, 0, 0, 0), (0, 0, 0, 0.98), (0, 0, 0, 1.02), (0, 0, 0, np.nan), (np.inf, 0, 0, 1)])
def test_no_rotation(kit, quaternion):
    """The all-zero default of the message is the usual mistake."""
    with pytest.raises(ConversionError, match='no rotation'):
        rotation.rotation_matrix(quaternion)
    message = kit.vector('Quaternion', *map(float, quaternion))
    with pytest.raises(ConversionError, match='imu: '):
        rotation.message_quaternion(message, 'imu')


def test_message_order(kit):
    """Components are read by name, w last."""
    message = kit.vector('Quaternion', 0.1, 0.3, 0.5, math.sqrt(0.65))
    np.testing.assert_allclose(rotation.message_quaternion(message, 'imu'),
                               [0.1, 0.3, 0.5, math.sqrt(0.65)])
