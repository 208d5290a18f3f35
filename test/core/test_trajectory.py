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

"""Trajectories: times, resampling, sampling, refusals."""

import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory, TrajectoryError
import pytest

STRAIGHT = constant_turn_rate_motion(4.0, 0.0, 0.5 * np.arange(1, 9))


def test_times_and_horizon_are_navsims():
    plan = Trajectory(0, STRAIGHT)
    assert_allclose(plan.times_s, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
    assert plan.horizon_s == 4.0


def test_resampling_keeps_the_line_and_the_horizon():
    fine = Trajectory(7, STRAIGHT).resample(0.1)
    assert len(fine.poses) == 40
    assert fine.stamp_ns == 7
    assert_allclose(fine.poses[:, 0], 0.4 * np.arange(1, 41))


def test_resampling_back_gives_the_same_plan():
    poses = constant_turn_rate_motion(6.0, 0.4, 0.5 * np.arange(1, 9))
    assert_allclose(Trajectory(0, poses).resample(0.1).resample(0.5).poses, poses, atol=1e-12)


def test_headings_are_interpolated_across_the_cut():
    plan = Trajectory(0, np.array([[1.0, 0.0, 3.1], [2.0, 0.0, -3.1]]))
    assert abs(plan.poses_at(np.array([0.75]))[0, 2]) == pytest.approx(np.pi)


def test_sample_at_holds_the_end_and_says_so():
    plan = Trajectory(1_000_000_000, STRAIGHT)
    assert_allclose(plan.sample_at(1_250_000_000).pose, [1.0, 0.0, 0.0])
    assert not plan.sample_at(5_000_000_000).past_end
    beyond = plan.sample_at(6_000_000_000)
    assert beyond.past_end
    assert_allclose(beyond.pose, [16.0, 0.0, 0.0])


def test_sample_before_the_stamp_is_refused():
    with pytest.raises(TrajectoryError, match='before the trajectory'):
        Trajectory(1_000_000_000, STRAIGHT).sample_at(0)


@pytest.mark.parametrize(('poses', 'step_s', 'text'), [
    (np.zeros((0, 3)), 0.5, 'T > 0'),
    (np.zeros((8, 2)), 0.5, 'expected'),
    (np.array([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]]), 0.5, 'pose 1 is not finite'),
    (np.zeros((8, 3)), 0.0, 'positive time')])
def test_malformed_trajectories_are_refused(poses, step_s, text):
    with pytest.raises(TrajectoryError, match=text):
        Trajectory(0, poses, step_s)
