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

"""Rigid motions: known answers and inverses."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.core.geometry import (
    compose,
    constant_turn_rate_motion,
    invert_transform,
    project_to_image,
    relative_to,
    rigid_transform,
    transform_points,
    wrap_angle,
)

metres = st.floats(-1e3, 1e3)
angles = st.floats(-10.0, 10.0)
poses = st.tuples(metres, metres, angles).map(np.array)


def test_wrap_angle_maps_to_the_half_open_interval():
    assert_allclose(wrap_angle(np.array([0.0, np.pi, -np.pi, 3 * np.pi, 0.1 - 4 * np.pi])),
                    [0.0, -np.pi, -np.pi, -np.pi, 0.1], atol=1e-12)


def test_compose_turns_the_relative_pose():
    assert_allclose(compose(np.array([1.0, 2.0, np.pi / 2]), np.array([3.0, 1.0, 0.5])),
                    [0.0, 5.0, np.pi / 2 + 0.5], atol=1e-12)


@given(poses, poses)
def test_relative_to_inverts_compose(base, relative):
    back = relative_to(base, compose(base, relative))
    assert_allclose(back[:2], relative[:2], atol=1e-9)
    assert_allclose(wrap_angle(back[2] - relative[2]), 0.0, atol=1e-9)


def test_constant_turn_rate_motion_is_straight_without_turning():
    assert_allclose(constant_turn_rate_motion(5.0, 0.0, np.array([1.0, 2.0])),
                    [[5.0, 0.0, 0.0], [10.0, 0.0, 0.0]])


def test_constant_turn_rate_motion_follows_a_circle():
    quarter = constant_turn_rate_motion(np.pi / 2, np.pi / 2, np.array([1.0]))[0]
    assert_allclose(quarter, [1.0, 1.0, np.pi / 2])


def test_transforms_invert_and_keep_the_dtype():
    angle = 0.3
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0.0],
                         [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    transform = rigid_transform(np.array([1.0, -2.0, 0.5]), rotation)
    assert_allclose(transform @ invert_transform(transform), np.eye(4), atol=1e-12)
    moved = transform_points(transform, np.array([[0.0, 0.0, 0.0]], np.float32))
    assert moved.dtype == np.float32
    assert_allclose(moved, [[1.0, -2.0, 0.5]])


def test_projection_keeps_only_points_ahead():
    intrinsics = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])
    pixels, ahead = project_to_image(np.array([[1.0, 0.5, 10.0], [0.0, 0.0, -3.0]]), intrinsics)
    assert ahead.tolist() == [True, False]
    assert_allclose(pixels, [[60.0, 45.0]])
