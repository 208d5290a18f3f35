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

"""The planner node on a live graph: plans, states, lifecycle, services."""

import time

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
import numpy as np
from pair_drive_ros.conversions.stamp import stamp_to_ns
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float32MultiArray, Int8
from std_srvs.srv import SetBool, Trigger


def change_state(rig, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return rig.call(ChangeState, '/planner/change_state', request).success


def test_plans_bear_the_anchors_stamps_and_frame(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 10)
    assert set(rig.plan_stamps()) <= set(rig.anchors)
    plan = rig.plans[-1]
    assert plan.header.frame_id == 'odom'
    assert plan.joint_names == ['base_link']
    assert len(plan.points) == 41
    start, end = plan.points[0], plan.points[-1]
    assert end.time_from_start.sec == 4
    # At 5 m/s, 4 s carry it 20 m.
    assert end.transforms[0].translation.x - start.transforms[0].translation.x == pytest.approx(20)
    assert end.velocities[0].linear.x == pytest.approx(5.0)


def test_without_a_checkpoint_it_says_degraded(make_rig):
    rig = make_rig()
    assert rig.drive(rig.saw('state', 'DEGRADED'))
    status = rig.statuses[-1]
    assert status['reason'] == 'no trained checkpoint'
    assert status['message'] == 'DEGRADED: no trained checkpoint'
    assert (status['engine'], status['trained_on']) == ('kinematic', 'none')


def test_diagnostics_have_the_documented_keys(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 20)
    assert rig.drive(rig.saw('sync_dt_ms.lidar', '0.0'))
    keys = set(rig.statuses[-1])
    assert {'state', 'reason', 'since_s', 'engine', 'trained_on', 'model_hash', 'device',
            'anchor', 'plan_rate_hz',
            'e2e_latency_ms p50/p95/max', 'il_ms p50/p95/max', 'rl_ms p50/p95/max',
            'rl_used_ratio', 'deadline_misses', 'refinement_failures', 'refinement',
            'refiner_hash', 'selector_hash', 'passed_over', 'input_age_ms.camera_front',
            'input_age_ms.odometry', 'sync_dt_ms.camera_front', 'dropped.lidar',
            'received.odometry', 'incompatible_qos', 'invalid_count'} <= keys


def test_the_plan_may_be_published_in_base_link(make_rig):
    rig = make_rig(**{'output.frame': 'base_link', 'output.step_s': 0.5})
    assert rig.drive(lambda: rig.plans)
    assert rig.plans[0].header.frame_id == 'base_link'
    assert len(rig.plans[0].points) == 9


def test_a_sensor_that_stops_for_a_second_leads_to_hold_stop_and_back(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 5)
    rig.spoil = lambda message: None if 'PointCloud2' in type(message).__name__ else message
    assert rig.drive(rig.saw('state', 'STOP'))
    assert rig.saw('reason', 'lidar: no message within 50 ms of the anchor camera_front')()
    rig.spoil = lambda message: message
    assert rig.drive(lambda: rig.states()[-1] == 'DEGRADED')
    # A machine that stalls may hold for a moment before; the way back is always this one.
    states = [state for state in rig.states() if state != 'INIT']
    assert states[0] == 'DEGRADED'
    assert states[-3:] == ['HOLD', 'STOP', 'DEGRADED']
    assert set(rig.plan_stamps()) <= set(rig.anchors)
    assert {status['level'] for status in rig.statuses if status['state'] == 'STOP'} == {2}


def test_stamps_are_never_invented_while_stopping(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 5)
    assert rig.wait(rig.saw('state', 'STOP'))
    stop = rig.plans[-1]
    assert stamp_to_ns(stop.header.stamp) in rig.anchors
    assert stop.points[-1].velocities[0].linear.x == pytest.approx(0.0, abs=1e-6)


def test_deactivating_publishes_a_way_to_halt_and_reactivating_plans_again(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 5)
    assert change_state(rig, Transition.TRANSITION_DEACTIVATE)
    count = len(rig.plans)
    assert rig.wait(lambda: rig.plans[-1].points[-1].velocities[0].linear.x < 1e-6)
    time.sleep(0.3)
    count = len(rig.plans)
    rig.publish()
    time.sleep(0.3)
    assert len(rig.plans) == count
    assert change_state(rig, Transition.TRANSITION_ACTIVATE)
    assert rig.drive(lambda: len(rig.plans) > count + 3)


def test_cleaning_up_and_configuring_again_works(make_rig):
    rig = make_rig()
    assert change_state(rig, Transition.TRANSITION_DEACTIVATE)
    assert change_state(rig, Transition.TRANSITION_CLEANUP)
    assert change_state(rig, Transition.TRANSITION_CONFIGURE)
    assert change_state(rig, Transition.TRANSITION_ACTIVATE)
    assert rig.drive(lambda: len(rig.plans) >= 3)


def test_parameters_are_fixed_while_configured(make_rig):
    rig = make_rig()
    results = rig.planner.set_parameters([Parameter('output.step_s', value=0.2)])
    assert not results[0].successful
    assert 'deactivate and clean it up first' in results[0].reason


def test_reset_service_starts_over(make_rig):
    rig = make_rig()
    assert rig.drive(lambda: len(rig.plans) >= 3)
    response = rig.call(Trigger, '/planner/reset', Trigger.Request())
    assert response.success
    assert rig.wait(rig.saw('reason', 'reset by service'))
    count = len(rig.plans)
    assert rig.drive(lambda: len(rig.plans) > count + 2)


def test_refinement_cannot_be_switched_where_there_is_none(make_rig):
    response = make_rig().call(SetBool, '/planner/set_refinement_enabled',
                               SetBool.Request(data=True))
    assert not response.success
    assert 'no refinement' in response.message


def test_a_command_outside_the_range_keeps_the_previous_one(make_rig):
    rig = make_rig()
    from rclpy.qos import DurabilityPolicy, QoSProfile
    publisher = rig.vehicle.create_publisher(
        Int8, '/planner/input/command',
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    publisher.publish(Int8(data=9))
    assert rig.wait(rig.saw('received.command', '1'))
    assert rig.drive(lambda: len(rig.plans) >= 3)


def test_paths_and_markers_go_out_when_somebody_listens(make_rig):
    from nav_msgs.msg import Path
    from visualization_msgs.msg import MarkerArray
    rig = make_rig()
    paths, markers, candidates = [], [], []
    rig.vehicle.create_subscription(Path, '/planner/output/path', paths.append, 10)
    rig.vehicle.create_subscription(MarkerArray, '/planner/debug/markers', markers.append, 10)
    rig.vehicle.create_subscription(Float32MultiArray, '/planner/debug/candidates',
                                    candidates.append, 10)
    assert rig.drive(lambda: paths and markers and candidates)
    assert [dim.size for dim in candidates[0].layout.dim] == [1, 8, 3]
    stamps = [stamp_to_ns(pose.header.stamp) for pose in paths[0].poses]
    assert np.diff(stamps).tolist() == [100_000_000] * 40
    assert {marker.ns for marker in markers[0].markers} == {'selected', 'kinematic'}


def test_a_publisher_with_another_qos_is_named_and_can_be_overridden(make_rig):
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    rig = make_rig()
    publisher = rig.vehicle.create_publisher(Odometry, '/planner/input/odometry', best_effort)
    assert rig.wait(rig.saw('incompatible_qos', 'odometry'))
    rig.vehicle.destroy_publisher(publisher)
    rig.close()
    name = 'qos_overrides./planner/input/odometry.subscription.reliability'
    rig = make_rig(**{name: 'best_effort'})
    rig.vehicle.create_publisher(Odometry, '/planner/input/odometry', best_effort)
    assert rig.drive(lambda: len(rig.plans) >= 3)
    assert rig.statuses[-1]['incompatible_qos'] == 'none'


def test_a_clock_that_jumps_back_starts_over(make_rig):
    rig = make_rig(use_sim_time=True)
    clock = rig.vehicle.create_publisher(Clock, '/clock', 10)
    instants = iter(range(100 * 20, 10**6))

    def tick(number):
        stamp_ns = number * 50_000_000
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 10**9)
        clock.publish(message)
        return stamp_ns

    assert rig.drive(lambda: len(rig.plans) >= 5, stamp_ns=lambda: tick(next(instants)))
    instants = iter(range(10 * 20, 10**6))
    count = len(rig.plans)
    assert rig.drive(rig.saw('reason', 'the clock jumped back'),
                     stamp_ns=lambda: tick(next(instants)))
    assert rig.drive(lambda: len(rig.plans) > count + 5, stamp_ns=lambda: tick(next(instants)))
    assert rig.plan_stamps()[-1] < 100 * 10**9
