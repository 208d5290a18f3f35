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

"""Policies of every kind drive the node: a network that can miss sensors, a user's class."""

from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
import pytest
from std_msgs.msg import Float64
from tiny_network import straight_transfuser, TINY

THREE = ['left', 'front', 'right']
COAST = 'nodes.user_policy:Coast'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> str:
    """Weights of a network that knows its sensors, and goes straight on whatever it sees."""
    network = straight_transfuser(replace(TINY, sensor_validity=True))
    path = tmp_path_factory.mktemp('weights') / 'straight.safetensors'
    save_checkpoint(path, network, TrainingRecord('a test track', 0, 'abc1234'))
    return str(path)


def silence(*names):
    """Keep the messages of these cameras, or of the lidar, from going out."""
    def spoil(message):
        name = ('lidar' if type(message).__name__ == 'PointCloud2'
                else message.header.frame_id)
        return None if name in names else message
    return spoil


def is_now(rig, state, reason=''):
    def check():
        status = rig.statuses[-1] if rig.statuses else {}
        return (status.get('state'), status.get('reason')) == (state, reason)
    return check


def test_with_every_sensor_it_is_normal_and_says_what_it_was_trained_on(make_rig, checkpoint):
    rig = make_rig(cameras=THREE, checkpoint=checkpoint)
    assert rig.drive(is_now(rig, 'NORMAL'))
    assert rig.drive(rig.saw('trained_on', 'a test track'))
    status = rig.statuses[-1]
    assert (status['engine'], status['anchor']) == ('transfuser', 'camera_front')
    assert len(status['model_hash']) == 12
    assert rig.drive(rig.saw('e2e_latency_ms p50/p95/max', '/'))


def test_a_rig_of_one_camera_is_degraded_with_the_reason(make_rig, checkpoint):
    rig = make_rig(cameras=['front'], checkpoint=checkpoint, **{'lidar.enabled': False})
    assert rig.drive(is_now(rig, 'DEGRADED', 'plans without left, right, lidar'))
    # WARN, once the rate of plans is known.
    assert rig.drive(lambda: rig.statuses[-1]['level'] == 1)
    assert set(rig.plan_stamps()) <= set(rig.anchors)


def test_a_camera_the_network_does_not_know_is_no_obstacle(make_rig, checkpoint):
    rig = make_rig(cameras=['rear', *THREE], checkpoint=checkpoint)
    rig.spoil = silence('rear')
    assert rig.drive(is_now(rig, 'NORMAL'))


def test_sensors_that_die_are_done_without_until_they_are_back(make_rig, checkpoint):
    rig = make_rig(cameras=THREE, checkpoint=checkpoint)
    assert rig.drive(is_now(rig, 'NORMAL'))
    rig.spoil = silence('left', 'lidar')
    assert rig.drive(is_now(rig, 'DEGRADED', 'plans without left, lidar'))
    rig.spoil = lambda message: message
    assert rig.drive(is_now(rig, 'NORMAL'))
    assert 'STOP' not in rig.states()


def test_while_the_anchor_is_dead_another_sensor_anchors(make_rig, checkpoint):
    rig = make_rig(cameras=THREE, checkpoint=checkpoint)
    # A stamp of its own tells the anchors apart.
    offset_ns = 3_000_000

    def shift_left(message):
        if message.header.frame_id == 'left':
            message.header.stamp.nanosec = min(message.header.stamp.nanosec + offset_ns,
                                               999_999_999)
        return message

    rig.spoil = shift_left
    assert rig.drive(is_now(rig, 'NORMAL'))
    count = len(rig.plans)
    without_front = silence('front')
    rig.spoil = lambda message: without_front(shift_left(message))
    assert rig.drive(is_now(rig, 'DEGRADED', 'plans without front'))
    assert rig.drive(lambda: rig.statuses[-1].get('anchor') == 'camera_left')
    # Latency goes on being measured, from the anchor that was used.
    latencies = []
    rig.vehicle.create_subscription(Float64, '/planner/debug/processing_time_ms',
                                    lambda message: latencies.append(message.data), 10)
    assert rig.drive(lambda: len(latencies) >= 3)
    assert all(0.0 < latency < 5_000.0 for latency in latencies)
    from_left = [stamp for stamp in rig.plan_stamps()[count:] if stamp - offset_ns in rig.anchors]
    assert from_left
    rig.spoil = shift_left
    assert rig.drive(lambda: rig.statuses[-1].get('anchor') == 'camera_front')


def test_a_lidar_that_never_comes_is_waited_for_and_then_done_without(make_rig, checkpoint):
    rig = make_rig(cameras=THREE, checkpoint=checkpoint)
    rig.spoil = silence('lidar')
    assert rig.drive(rig.saw('reason', 'nothing received yet from: lidar'))
    assert not rig.plans
    assert rig.drive(is_now(rig, 'DEGRADED', 'plans without lidar'))


def test_when_every_sensor_is_dead_the_car_stops(make_rig, checkpoint):
    rig = make_rig(cameras=THREE, checkpoint=checkpoint)
    assert rig.drive(is_now(rig, 'NORMAL'))
    rig.spoil = silence('left', 'front', 'right', 'lidar')
    assert rig.drive(rig.saw('state', 'STOP'))
    assert rig.plans[-1].points[-1].velocities[0].linear.x == pytest.approx(0.0, abs=1e-6)


def test_a_users_policy_runs_by_its_import_path_and_needs_no_sensor_but_the_anchor(make_rig):
    rig = make_rig(cameras=THREE, policy=COAST)
    rig.spoil = silence('left', 'right', 'lidar')
    assert rig.drive(is_now(rig, 'NORMAL'))
    assert (rig.statuses[-1]['engine'], rig.statuses[-1]['trained_on']) == (COAST, 'none')
    assert set(rig.plan_stamps()) <= set(rig.anchors)
    plan = rig.plans[-1]
    ahead = [point.transforms[0].translation.x for point in plan.points]
    np.testing.assert_allclose(np.diff(ahead), 0.5, atol=1e-6)
    assert stamp_to_ns(plan.header.stamp) in rig.anchors


def test_the_bringup_finds_the_users_module_on_the_path(tmp_path):
    (tmp_path / 'my_policies.py').write_text(
        (Path(__file__).parent / 'user_policy.py').read_text())
    parameters = tmp_path / 'mine.yaml'
    parameters.write_text("/**:\n  ros__parameters:\n    checkpoint: ''\n"
                          '    policy: my_policies:Coast\n')
    search = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    process = subprocess.Popen(
        [sys.executable, '-m', 'pair_drive_ros', 'bringup', '--params-file', parameters],
        stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': search})
    assert any('planning with the my_policies:Coast engine (trained on: none)' in line
               for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10.0) == 0
