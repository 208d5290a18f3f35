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

"""The planner keeps going whatever its engine does."""

import threading

import numpy as np
from pair_drive_ros.core.frames import CameraImage, DrivingCommand, EgoState, PlannerInput
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.planning.checks import TrajectoryLimits
from pair_drive_ros.planning.engine import Candidate, Engine, KinematicEngine, REFINEMENT_VALUES
from pair_drive_ros.planning.fallback import FallbackLimits, PlannerState
from pair_drive_ros.planning.planner import Planner
import pytest


class ScriptedEngine(Engine):
    """Answers each input with what the test put in, preferred ones first, or raises it."""

    name, model_hash, trained_on, device = 'scripted', 'none', 'none', 'cpu'
    sensors, needs_every_sensor = None, True

    def __init__(self):
        self.answer = constant_turn_rate_motion(8.0, 0.0, 0.5 * np.arange(1, 9))
        self.preferred = {}
        self.entered, self.proceed = threading.Event(), threading.Event()
        self.proceed.set()

    def warm_up(self):
        pass

    def plan(self, frame, timer):
        self.entered.set()
        self.proceed.wait(5.0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {name: Candidate(Trajectory(frame.stamp_ns, poses))
                for name, poses in {**self.preferred, 'scripted': self.answer}.items()}

    def degraded_reason(self, frame):
        return 'in the dark' if frame.lidar is None and frame.cameras else None

    def close(self):
        pass


class Bench:
    """A planner with a scripted engine and a clock that the test moves."""

    def __init__(self, engine=None):
        self.now_s = 0.0
        self.changes = []
        self.engine = engine or ScriptedEngine()
        self.planner = Planner(self.engine, TrajectoryLimits(), FallbackLimits(),
                               self.changes.append, lambda: self.now_s)

    def plan(self, stamp_ns=1, cameras=()):
        ego = EgoState(stamp_ns, np.zeros(3), np.array([8.0, 0.0]), yaw_rate=0.1)
        images = {name: CameraImage(name, stamp_ns, np.zeros((2, 2, 3), np.uint8))
                  for name in cameras}
        return self.planner.plan(
            PlannerInput(stamp_ns, ego, DrivingCommand.STRAIGHT, images, None))


@pytest.fixture
def bench():
    return Bench()


def test_a_good_plan_goes_out_with_its_story(bench):
    plan = bench.plan(stamp_ns=42)
    assert plan.trajectory.stamp_ns == plan.ego.stamp_ns == 42
    assert (plan.winner, plan.state, plan.reason) == ('scripted', PlannerState.NORMAL, '')
    assert plan.candidates == {'scripted': Candidate(plan.trajectory)}
    assert {'plan', 'checks'} <= set(plan.milliseconds)


def test_the_engine_says_of_each_input_whether_its_plan_is_degraded(bench):
    states = [(plan.state.value, plan.reason)
              for plan in (bench.plan(1), bench.plan(2, ('front',)), bench.plan(3))]
    assert states == [('NORMAL', ''), ('DEGRADED', 'in the dark'), ('NORMAL', '')]


def test_the_kinematic_engine_continues_the_motion_and_is_degraded():
    plan = Bench(KinematicEngine()).plan()
    assert (plan.state, plan.reason) == (PlannerState.DEGRADED, 'no trained checkpoint')
    np.testing.assert_allclose(
        plan.trajectory.poses, constant_turn_rate_motion(8.0, 0.1, 0.5 * np.arange(1, 9)))


def test_an_engine_that_raises_is_reported_and_bridged(bench):
    bench.plan()
    bench.engine.answer = RuntimeError('out of memory')
    failed = bench.plan(stamp_ns=2)
    assert failed.trajectory is None
    assert failed.reason == 'scripted failed: out of memory'
    bench.now_s = 0.3
    held = bench.planner.watch(failed.reason)
    assert (held.winner, held.state) == ('hold', PlannerState.HOLD)
    assert held.trajectory.stamp_ns == held.ego.stamp_ns == 1
    assert held.reason == failed.reason


def test_a_plan_that_breaks_a_limit_is_counted_and_kept_in(bench):
    bench.engine.answer = 20.0 * bench.engine.answer
    plan = bench.plan()
    assert plan.trajectory is None
    assert bench.planner.invalid_plans == 1
    assert plan.reason.startswith('scripted: speed 160.00 m/s')
    assert 'scripted' in plan.candidates


def test_the_best_candidate_is_chosen(bench):
    bench.engine.preferred = {'refined_1': 0.9 * bench.engine.answer,
                              'refined_2': 0.95 * bench.engine.answer}
    plan = bench.plan()
    assert plan.winner == 'refined_1'
    assert plan.trajectory is plan.candidates['refined_1'].trajectory
    assert list(plan.candidates) == ['refined_1', 'refined_2', 'scripted']
    bench.now_s = 0.3
    held = bench.planner.watch('late')
    assert held.trajectory is plan.trajectory and held.winner == 'hold'


def test_a_candidate_that_breaks_a_limit_is_passed_over_for_the_next(bench):
    bench.engine.preferred = {'refined_1': 20.0 * bench.engine.answer,
                              'refined_2': 30.0 * bench.engine.answer}
    plan = bench.plan()
    assert (plan.winner, plan.state) == ('scripted', PlannerState.NORMAL)
    assert (bench.planner.passed_over, bench.planner.invalid_plans) == (2, 0)


def test_when_no_candidate_is_drivable_the_input_counts_once_with_the_bests_reason(bench):
    bench.engine.preferred = {'refined_1': 20.0 * bench.engine.answer}
    bench.engine.answer = 30.0 * bench.engine.answer
    plan = bench.plan()
    assert plan.trajectory is None
    assert plan.reason.startswith('refined_1: speed 160.00 m/s')
    assert (bench.planner.passed_over, bench.planner.invalid_plans) == (0, 1)


def test_an_engine_of_one_branch_has_no_refinement_to_tell_of_or_to_switch():
    engine = KinematicEngine()
    assert engine.health() == dict.fromkeys(REFINEMENT_VALUES, 'n/a')
    assert not engine.switch_refinement(True)


def test_a_plan_that_is_not_finite_is_an_engine_failure(bench):
    bench.engine.answer = np.full((8, 3), np.nan)
    assert 'not finite' in bench.plan().reason


def test_watching_does_not_wait_for_a_slow_engine(bench):
    bench.plan()
    bench.engine.proceed.clear()
    bench.engine.entered.clear()
    thread = threading.Thread(target=bench.plan, args=(2,))
    thread.start()
    assert bench.engine.entered.wait(5.0)
    bench.now_s = 1.0
    assert bench.planner.watch('slow').winner == 'hold'
    bench.engine.proceed.set()
    thread.join(5.0)
    assert not thread.is_alive()


def test_a_plan_under_way_is_dropped_by_a_reset(bench):
    results = []
    bench.engine.proceed.clear()
    thread = threading.Thread(target=lambda: results.append(bench.plan()))
    thread.start()
    assert bench.engine.entered.wait(5.0)
    bench.planner.reset('bag looped')
    bench.engine.proceed.set()
    thread.join(5.0)
    assert results[0].trajectory is None
    assert bench.planner.state is PlannerState.INIT


def test_changes_of_state_are_told_once_each(bench):
    bench.plan()
    bench.plan()
    bench.now_s = 0.3
    bench.planner.watch('late')
    bench.planner.watch('late')
    assert [(c.previous.value, c.current.value) for c in bench.changes] == [
        ('INIT', 'NORMAL'), ('NORMAL', 'HOLD')]


def test_stopping_brakes_along_the_last_plan(bench):
    assert bench.planner.stop('deactivated').trajectory is None
    bench.plan()
    halt = bench.planner.stop('deactivated')
    assert halt.trajectory.poses[-1, 0] == pytest.approx(64.0 / 5.0, abs=0.01)
