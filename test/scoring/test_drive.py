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

"""Interpolation, tracker and bicycle, against direct statements of the same problems."""

import numpy as np
from pair_drive_ros.scoring.example import SPEED
from pair_drive_ros.scoring.interpolation import (
    locate,
    plan_times_us,
    sample_path,
    sample_times_us,
    wrap,
)
from pair_drive_ros.scoring.protocol import STEP_S, STEPS
from pair_drive_ros.scoring.state import AX, HEADING, STEERING, VX, X, Y
from pair_drive_ros.scoring.tracker import fit_profiles, velocity_profile_matrix
from pair_drive_ros.scoring.vehicle import WHEELBASE
import pytest


def test_wrap_is_half_open():
    assert wrap(np.pi) == -np.pi
    assert wrap(-np.pi) == -np.pi
    assert wrap(7.0) == pytest.approx(7.0 - 2.0 * np.pi)


def test_times_are_truncated_microseconds():
    start = 1_637_252_007_653_402
    assert plan_times_us(start)[0] == start
    assert set(sample_times_us(start) - start - 100_000 * np.arange(41)) == {-1, 0}


def test_samples_hold_the_ends():
    segment, fraction = locate(np.array([-5, 5, 15, 25]), np.array([0, 10, 20]))
    assert segment.tolist() == [0, 0, 1, 1]
    assert fraction.tolist() == [0.0, 0.5, 0.5, 1.0]


def test_heading_takes_the_short_way():
    poses = np.array([[0.0, 0.0, 3.1], [1.0, 0.0, -3.1]])
    path = sample_path(poses, np.array([0, 10]), np.array([5]))
    assert abs(path[0, 2]) == pytest.approx(np.pi, abs=1e-12)


def random_path(seed):
    rng = np.random.default_rng(seed)
    heading = np.cumsum(rng.normal(0.0, 0.03, STEPS + 1))
    ahead = rng.uniform(0.2, 1.0, STEPS + 1)
    steps = np.stack([ahead * np.cos(heading), ahead * np.sin(heading)], axis=-1)
    return np.column_stack([np.cumsum(steps, axis=0), heading])[None]


def test_speeds_solve_the_least_squares_problem():
    path = random_path(1)
    scratch = np.zeros((1, 3, STEPS))
    fit_profiles(path, 0, np.ascontiguousarray(velocity_profile_matrix().T), scratch)
    displacement, heading = np.diff(path[0, :, :2], axis=0), path[0, :-1, 2]
    rows, right = [], []
    for t in range(STEPS):
        speed = np.concatenate([[1.0], np.full(t, STEP_S), np.zeros(STEPS - 1 - t)])
        for axis, direction in enumerate((np.cos(heading[t]), np.sin(heading[t]))):
            rows.append(STEP_S * direction * speed)
            right.append(displacement[t, axis])
    weight = np.sqrt(1e-4)
    for t in range(1, STEPS - 2):
        rows.append(weight * np.eye(STEPS)[t])
        right.append(0.0)
    rows.append(weight * (np.eye(STEPS)[STEPS - 1] - np.eye(STEPS)[STEPS - 2]))
    right.append(0.0)
    solution = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    expected = solution[0] + STEP_S * np.concatenate([[0.0], np.cumsum(solution[1:])])
    np.testing.assert_allclose(scratch[0, 0], expected, atol=1e-9)


def test_curvatures_solve_the_least_squares_problem():
    path = random_path(2)
    scratch = np.zeros((1, 3, STEPS))
    fit_profiles(path, 0, np.ascontiguousarray(velocity_profile_matrix().T), scratch)
    speed, turn = scratch[0, 0], np.diff(path[0, :, 2])
    rows = [STEP_S * speed[t] * np.eye(STEPS)[t] for t in range(STEPS)]
    right = list(turn)
    rows.append(1e-5 * np.eye(STEPS)[0])
    for t in range(1, STEPS):
        rows.append((np.eye(STEPS)[t] - np.eye(STEPS)[t - 1]) * 0.1 / STEP_S)
    right += [0.0] * STEPS
    expected = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    np.testing.assert_allclose(scratch[0, 1], expected, atol=1e-9)


def test_constant_speed_straight_on_is_kept(trace, straight, protocol):
    states = trace(straight(), protocol).states[0, 0]
    np.testing.assert_allclose(states[:, X], SPEED * STEP_S * np.arange(41), atol=1e-3)
    np.testing.assert_allclose(states[:, [Y, HEADING, STEERING]], 0.0, atol=1e-12)
    np.testing.assert_allclose(states[:, AX], 0.0, atol=1e-2)


def test_euler_steps_of_the_bicycle(trace, protocol):
    plan = np.array([[[4.0 * k, 0.1 * k * k, 0.05 * k] for k in range(1, 9)]])
    states = trace(plan, protocol).states[0, 0]
    before, after = states[:-1], states[1:]
    turn = before[:, VX] * np.tan(before[:, STEERING]) / WHEELBASE
    np.testing.assert_allclose(after[:, HEADING], before[:, HEADING] + STEP_S * turn, atol=1e-12)
    np.testing.assert_allclose(after[:, VX], before[:, VX] + STEP_S * after[:, AX], atol=1e-12)
    np.testing.assert_allclose(after[:, X], before[:, X] + STEP_S * before[:, VX]
                               * np.cos(before[:, HEADING]), atol=1e-12)
