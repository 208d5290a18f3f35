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

"""Bad input: the diagnostics name what is wrong and what to do, and the node lives on."""

import array
import math

from nodes.rig import points
import pytest
from rclpy.exceptions import InvalidParameterValueException
from sensor_msgs.msg import Image


def spoiler(kind, change):
    """Change every message of one kind."""
    def spoil(message):
        if type(message).__name__ == kind:
            change(message)
        return message
    return spoil


def set_nan(message):
    message.pose.pose.position.x = math.nan


def set_zero_quaternion(message):
    message.pose.pose.orientation.w = 0.0


def drop_z(message):
    message.fields = points(('x', 'y', 'depth', 'intensity')).fields


def truncate_image(message):
    message.data = message.data[:60]


def declare_too_much(message):
    message.width = 4_000_000_000


@pytest.mark.parametrize(('kind', 'change', 'text'), [
    ('Odometry', set_nan, 'odometry: pose.pose.position.x'),
    ('Odometry', set_zero_quaternion, 'odometry: pose.pose.orientation'),
    ('PointCloud2', drop_z, 'lidar: '),
    ('PointCloud2', declare_too_much, 'lidar: '),
    ('CompressedImage', truncate_image, 'camera_front: ')])
def test_bad_messages_are_named_and_outlived(make_rig, kind, change, text):
    rig = make_rig()
    rig.spoil = spoiler(kind, change)
    assert rig.drive(rig.saw('reason', text))
    assert not rig.plans
    rig.spoil = lambda message: message
    assert rig.drive(lambda: len(rig.plans) >= 3)


def test_a_cloud_without_z_names_its_fields(make_rig):
    rig = make_rig()
    rig.spoil = spoiler('PointCloud2', drop_z)
    assert rig.drive(rig.saw('reason', 'depth'))


def test_an_unknown_encoding_is_named(make_rig):
    rig = make_rig(camera_transport='raw')
    publisher = rig.vehicle.create_publisher(Image, '/planner/input/camera_front/image', 10)

    def publish_raw():
        message = Image(height=2, width=2, step=6, encoding='quux13',
                        data=array.array('B', bytes(12)))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(rig.anchors[-1], 10**9)
        publisher.publish(message)

    def done():
        if rig.anchors:
            publish_raw()
        return rig.saw('reason', 'quux13')()

    assert rig.drive(done)
    assert any('camera_front: ' in status['reason'] for status in rig.statuses)


def test_a_camera_info_of_another_size_is_named(make_rig):
    rig = make_rig()

    def enlarge(message):
        message.width, message.height = 1920, 1080

    rig.spoil = spoiler('CameraInfo', enlarge)
    assert rig.drive(rig.saw('reason', 'camera_front: the image is 64x36 but its camera_info says '
                                       '1920x1080'))
    # A calibration that changes is taken over.
    rig.spoil = lambda message: message
    assert rig.drive(lambda: len(rig.plans) >= 3)


def test_points_of_an_unknown_frame_ask_for_extrinsics(make_rig):
    rig = make_rig()
    rig.spoil = spoiler('PointCloud2', lambda message: setattr(message.header, 'frame_id', 'top'))
    assert rig.drive(rig.saw('reason', 'set lidar.extrinsics'))
    assert any('top' in status['reason'] for status in rig.statuses)


def test_points_of_any_frame_do_with_extrinsics(make_rig):
    rig = make_rig(**{'lidar.extrinsics': [1.0, 0.0, 2.0, 0.0, 0.0, 0.0]})
    rig.spoil = spoiler('PointCloud2', lambda message: setattr(message.header, 'frame_id', 'top'))
    assert rig.drive(lambda: len(rig.plans) >= 3)


def test_stamps_ten_seconds_in_the_past_are_refused(make_rig):
    rig = make_rig()
    assert rig.drive(rig.saw('reason', 'camera_front: the newest stamp is 10.'),
                     stamp_ns=lambda: rig.now_ns() - 10_000_000_000)
    assert rig.saw('reason', 'A bag needs use_sim_time and /clock')()
    assert not rig.plans


def test_simulated_time_before_the_first_clock_is_said(make_rig):
    rig = make_rig(use_sim_time=True)
    assert rig.drive(rig.saw('reason', 'use_sim_time is set but no /clock has come'))
    assert not rig.plans


def test_silence_is_said(make_rig):
    rig = make_rig()
    assert rig.wait(rig.saw('reason',
                            'nothing received yet from: camera_front, lidar, odometry'))


def test_a_parameter_outside_its_range_is_refused_at_start(make_rig):
    with pytest.raises(InvalidParameterValueException, match=r'sync\.tolerance_ms'):
        make_rig(**{'sync.tolerance_ms': 9999.0})


@pytest.mark.parametrize(('parameters', 'text'), [
    ({'anchor': 'camera_rear'},
     "anchor: 'camera_rear' is none of the sensors camera_front, lidar"),
    ({'camera_transport': 'pigeon'}, "camera_transport: 'pigeon' is none of compressed, raw"),
    ({'lidar.extrinsics': [1.0, 2.0]}, 'lidar.extrinsics: expected 6 numbers, got 2'),
    ({'camera_extrinsics': [0.0] * 12},
     'camera_extrinsics: expected 6 numbers, 6 for each of the cameras front, got 12'),
    ({'checkpoint': 'nowhere.safetensors'}, 'nowhere.safetensors'),
    ({'checkpoint': 'autopilot'}, "there is no checkpoint 'autopilot'"),
    ({'policy': 'transfuser'}, 'transfuser has weights'),
    ({'policy': 'somewhere.else:Policy'}, 'somewhere.else:Policy: cannot be imported'),
    ({'policy': 'nodes.user_policy:Broken'}, 'TypeError')])
def test_parameters_that_cannot_work_keep_the_node_unconfigured(make_rig, parameters, text):
    rig = make_rig(**parameters)
    assert not rig.started
    assert rig.wait(rig.saw('message', text))
