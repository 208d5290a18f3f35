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

"""The fallback machine, and the trajectory that brings the car to a halt."""

import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.planning.fallback import (
    brake_along,
    FallbackLimits,
    FallbackMachine,
    PlannerState,
)
import pytest

TIMES = 0.5 * np.arange(1, 9)
PLAN = Trajectory(5, constant_turn_rate_motion(10.0, 0.1, TIMES))
LIMITS = FallbackLimits(output_timeout_s=0.25, hold_s=0.5, deceleration=2.5, recover_plans=3)


@pytest.fixture
def machine():
    running = FallbackMachine(LIMITS)
    assert running.on_plan(PLAN, 0.0, None, 0.1)
    return running


def test_nothing_goes_out_before_the_first_plan():
    machine = FallbackMachine(LIMITS)
    assert machine.tick('no input', 100.0) is None
    assert (machine.state, machine.reason) == (PlannerState.INIT, 'no input')


def test_a_plan_is_normal_or_degraded_with_its_reason(machine):
    assert (machine.state, machine.reason) == (PlannerState.NORMAL, '')
    machine.on_plan(PLAN, 0.1, 'no LiDAR', 0.2)
    assert (machine.state, machine.reason) == (PlannerState.DEGRADED, 'no LiDAR')


def test_late_plans_are_held_then_the_car_stops(machine):
    assert machine.tick('late', 0.34) is None
    assert machine.tick('late', 0.36) is PLAN
    assert machine.state is PlannerState.HOLD
    assert machine.tick('late', 0.85) is PLAN
    stop = machine.tick('late', 0.87)
    assert machine.state is PlannerState.STOP
    assert stop.stamp_ns == PLAN.stamp_ns
    assert machine.tick('camera_front gone', 5.0) is stop
    assert machine.reason == 'camera_front gone'


def test_one_plan_ends_a_hold(machine):
    machine.tick('late', 0.4)
    assert machine.on_plan(PLAN, 0.4, None, 0.5)
    assert machine.state is PlannerState.NORMAL


def test_a_stop_ends_after_several_plans_in_a_row(machine):
    machine.tick('late', 0.4)
    machine.tick('late', 1.0)
    assert machine.state is PlannerState.STOP
    assert not machine.on_plan(PLAN, 1.0, None, 1.1)
    assert not machine.on_plan(PLAN, 1.1, None, 1.2)
    machine.on_failure()
    assert not machine.on_plan(PLAN, 1.3, None, 1.4)
    assert not machine.on_plan(PLAN, 1.4, None, 1.5)
    assert machine.state is PlannerState.STOP
    assert machine.on_plan(PLAN, 1.5, None, 1.6)
    assert machine.state is PlannerState.NORMAL


def test_reset_forgets_the_last_plan(machine):
    machine.reset('clock jumped', 0.2)
    assert machine.tick('late', 100.0) is None
    assert machine.state is PlannerState.INIT


def speeds(trajectory):
    knots = np.concatenate([np.zeros((1, 2)), trajectory.poses[:, :2]])
    return np.hypot(*np.diff(knots, axis=0).T) / trajectory.step_s


def test_braking_keeps_the_plan_until_it_begins():
    stop = brake_along(PLAN, 1.0, 2.5)
    assert_allclose(stop.poses[:10], PLAN.resample(0.1).poses[:10], atol=1e-9)


def test_braking_is_constant_and_ends_at_rest():
    straight = Trajectory(0, constant_turn_rate_motion(10.0, 0.0, TIMES))
    stop = brake_along(straight, 0.5, 2.5)
    assert speeds(stop)[-1] == 0.0
    # 5 m before braking, then v^2 / 2a = 20 m.
    assert stop.poses[-1, 0] == pytest.approx(25.0, abs=1e-6)
    change = np.diff(speeds(stop)) / stop.step_s
    assert change.min() > -2.5 - 1e-6
    assert change.max() < 1e-6


def test_braking_goes_straight_on_where_the_path_ends():
    fast = Trajectory(0, constant_turn_rate_motion(20.0, 0.0, TIMES))
    stop = brake_along(fast, 3.0, 2.5)
    assert stop.horizon_s >= 3.0 + 8.0
    assert stop.poses[-1, 0] == pytest.approx(60.0 + 80.0)
    assert_allclose(stop.poses[:, 1], 0.0)


def test_braking_stays_on_a_curved_path():
    curve = Trajectory(0, constant_turn_rate_motion(5.0, 0.3, TIMES))
    stop = brake_along(curve, 0.0, 2.5)
    radius = 5.0 / 0.3
    off = np.hypot(stop.poses[:, 0], stop.poses[:, 1] - radius) - radius
    # Chords of a polyline with 2.5 m steps lie within 5 cm of a circle of 17 m.
    assert np.abs(off).max() < 0.05


def test_a_plan_that_stands_still_brakes_to_where_it_is():
    stop = brake_along(Trajectory(0, np.zeros((8, 3))), 0.3, 2.5)
    assert_allclose(stop.poses, 0.0)


def test_a_plan_that_has_ended_stands_at_its_end():
    stop = brake_along(PLAN, 9.0, 2.5)
    assert_allclose(stop.poses[-1], PLAN.poses[-1])
