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

"""The commands as a person runs them: real processes, real bags."""

import os
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.evaluation.demo_report import first_plans
from pair_drive_ros.nodes.demo import SAMPLE_INPUTS
from pair_drive_ros.nodes.replay import bringup_command, header_stamp_ns, planner_command, replay
from pair_drive_ros.nodes.resources import config_file
from pair_drive_training.world.drive_bag import BagOptions, write_drive_bag
import pytest
from rclpy.serialization import serialize_message


def command(*arguments, timeout=60):
    return subprocess.run([sys.executable, '-m', 'pair_drive_ros', *map(str, arguments)],
                          capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope='module')
def sample_bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('sample') / 'bag'
    write_drive_bag(path, BagOptions(seconds=2.0))
    return path


@pytest.fixture(scope='module')
def no_network(tmp_path_factory) -> Path:
    """Parameters of a planner without a network."""
    path = tmp_path_factory.mktemp('parameters') / 'no_network.yaml'
    path.write_text("/**:\n  ros__parameters:\n    checkpoint: ''\n")
    return path


def test_the_demonstration_leaves_its_report(sample_bag, no_network, tmp_path):
    result = command('demo', sample_bag, '--out', tmp_path, '--params-file', no_network)
    assert result.returncode == 0, result.stderr
    assert 'frames in     20' in result.stdout
    assert 'DEGRADED' in result.stdout
    assert 'kinematic, trained on: none' in result.stdout
    assert (tmp_path / 'plans.png').read_bytes().startswith(b'\x89PNG')
    assert 'data:image/png;base64,' in (tmp_path / 'report.html').read_text()
    assert 'plans_out' in (tmp_path / 'summary.json').read_text()


def test_the_demonstration_ends_at_once_when_the_planner_does(sample_bag, tmp_path):
    bad = tmp_path / 'bad.yaml'
    bad.write_text('/**:\n  ros__parameters:\n    checkpoint: autopilot\n')
    result = command('demo', sample_bag, '--out', tmp_path, '--params-file', bad, timeout=30)
    assert result.returncode == 2
    assert "there is no checkpoint 'autopilot'" in result.stderr
    missing = command('demo', sample_bag, '--params-file', tmp_path / 'none.yaml')
    assert missing.returncode == 2
    assert 'none.yaml: there is no such parameter file' in missing.stderr


def test_every_frame_of_the_sample_drive_gets_its_plan(sample_bag, no_network):
    recording = replay(sample_bag, bringup_command(
        [no_network, config_file('sample_rig.yaml')], SAMPLE_INPUTS),
        SAMPLE_INPUTS['camera_front/image/compressed'])
    assert recording.planner_exit == 0
    assert {plan.stamp_ns for plan in recording.plans} <= recording.anchors
    # One frame may be overtaken on a machine that is busy with something else.
    assert len(first_plans(recording)) >= len(recording.anchors) - 1
    assert ('DEGRADED', 'no trained checkpoint') in recording.states
    assert int(recording.diagnostics['received.lidar']) >= 19


@pytest.mark.parametrize(('make', 'text'), [
    (lambda bag, path: path / 'none', 'there is no such file or folder'),
    (lambda bag, path: _without_end(bag, path), 'damaged or incomplete'),
    (lambda bag, path: _file(path / 'bag.txt'), 'not a rosbag2 recording')])
def test_bags_that_cannot_be_played_end_with_a_sentence(sample_bag, tmp_path, make, text):
    result = command('play', make(sample_bag, tmp_path))
    assert result.returncode == 2
    assert text in result.stderr
    assert 'Traceback' not in result.stderr


def test_the_demonstration_names_a_missing_topic(no_network, tmp_path):
    from pair_drive_ros.evaluation.load_bag import write_load_bag
    write_load_bag(tmp_path / 'bag', 0.2)
    bag_without_poses = command('demo', tmp_path / 'bag', '--out', tmp_path / 'out',
                                '--params-file', no_network)
    assert bag_without_poses.returncode == 2
    assert '/tf_static' in bag_without_poses.stderr


def test_playing_to_nobody_names_the_topics(sample_bag):
    result = command('play', sample_bag, '--wait', '0.2')
    assert result.returncode == 2
    assert 'nobody listens to' in result.stderr
    assert '/lidar/points' in result.stderr


def test_the_planner_ends_well_when_told_to(no_network):
    process = subprocess.Popen([sys.executable, '-m', 'pair_drive_ros', 'bringup',
                                '--params-file', no_network],
                               stderr=subprocess.PIPE, text=True)
    assert any('planning with the kinematic engine' in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10.0) == 0


@pytest.mark.parametrize(('yaml', 'text', 'code'), [
    ('output.step_s: 99.0', 'output.step_s', 2),
    ('cameras: front', 'cameras', 2),
    ('checkpoint: autopilot', "there is no checkpoint 'autopilot'", 1),
    ("checkpoint: ''\n    policy: my_policies", "there is no policy 'my_policies'", 1),
    ('anchor: nowhere', "'nowhere' is none of the sensors", 1)])
def test_parameters_out_of_range_end_the_bringup_with_a_sentence(tmp_path, yaml, text, code):
    path = tmp_path / 'bad.yaml'
    path.write_text(f'/**:\n  ros__parameters:\n    {yaml}\n')
    result = command('bringup', '--params-file', path)
    assert result.returncode == code
    assert text in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_missing_parameter_file_is_named(tmp_path):
    result = command('bringup', '--params-file', tmp_path / 'none.yaml')
    assert result.returncode == 2
    assert 'none.yaml: there is no such parameter file' in result.stderr


def test_where_ros2_is_the_planner_is_launched_by_it(tmp_path, monkeypatch):
    (tmp_path / 'ros2').write_text('#!/bin/sh\n')
    (tmp_path / 'ros2').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    words = planner_command([Path('a.yaml'), Path('rig.yaml')], SAMPLE_INPUTS)
    assert words[:4] == ['ros2', 'launch', 'pair_drive_ros', 'planner.launch.py']
    assert {'use_sim_time:=true', 'params_file:=a.yaml', 'rig_file:=rig.yaml',
            'odometry_topic:=/odom', 'camera_left_topic:=/camera/left/image/compressed',
            'camera_left_info_topic:=/camera/left/camera_info'} <= set(words)


def test_header_stamps_are_read_without_decoding():
    message = MessageTypes.installed()['sensor_msgs/msg/CompressedImage'](format='jpeg')
    message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_123, 456_789_000
    message.header.frame_id = 'camera'
    assert header_stamp_ns(serialize_message(message)) == 1_700_000_123_456_789_000


@pytest.mark.shared_data
def test_the_kitti_drive_gets_its_plans(shared_data, tmp_path):
    bag = tmp_path / 'kitti'
    subprocess.run([sys.executable, shared_data / 'tools' / 'make_kitti_bag.py',
                    shared_data / '08_kitti_cam_lidar_78', bag], check=True)
    rig = tmp_path / 'kitti_rig.yaml'
    # The velodyne is 1.73 m above the road; the odometry is its own, so it stands for base_link.
    rig.write_text("/**:\n  ros__parameters:\n    cameras: [front]\n    checkpoint: ''\n"
                   '    lidar.extrinsics: [0.0, 0.0, 1.73, 0.0, 0.0, 0.0]\n')
    inputs = {name: SAMPLE_INPUTS[name]
              for name in ('camera_front/image/compressed', 'points', 'odometry')}
    recording = replay(bag, bringup_command([config_file('planner.yaml'), rig], inputs),
                       inputs['camera_front/image/compressed'])
    assert len(recording.anchors) == 78
    assert len(first_plans(recording)) >= 74
    assert {plan.stamp_ns for plan in recording.plans} <= recording.anchors
    speeds = [np.hypot(*(plan.poses[1] - plan.poses[0])[:2]) / plan.step_s
              for plan in first_plans(recording)]
    # The car rolls at up to 2.4 m/s and stops.
    assert max(speeds) < 3.0
    assert recording.planner_exit == 0


def _without_end(bag: Path, folder: Path) -> Path:
    data = next(bag.glob('*.mcap')).read_bytes()
    damaged = folder / 'damaged.mcap'
    damaged.write_bytes(data[:len(data) // 2])
    return damaged


def _file(path: Path) -> Path:
    path.write_text('hello')
    return path
