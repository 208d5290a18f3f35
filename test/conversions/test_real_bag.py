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

"""Real messages from a bag: rclpy and rosbags read the same, and it is what was recorded."""

import lzma
import subprocess
import sys

import cv2
import numpy as np
from pair_drive_ros.conversions.image import decode_compressed
from pair_drive_ros.conversions.odometry import ego_state
from pair_drive_ros.conversions.point_cloud import decode_points, lidar_sweep
from pair_drive_ros.conversions.stamp import stamp_to_ns
import pytest

pytestmark = pytest.mark.shared_data
FRAMES = 3


@pytest.fixture(scope='module')
def recording(shared_data):
    """Return the folder of a camera and LiDAR recording."""
    return shared_data / '08_kitti_cam_lidar_78'


@pytest.fixture(scope='module')
def messages(recording, shared_data, tmp_path_factory):
    """Return {type: [(message, serialised message), ...]} of a bag of the recording."""
    highlevel = pytest.importorskip('rosbags.highlevel')
    bag = tmp_path_factory.mktemp('bag') / 'recording'
    subprocess.run([sys.executable, shared_data / 'tools' / 'make_kitti_bag.py', recording, bag,
                    str(FRAMES)], check=True)
    read = {}
    with highlevel.AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            read.setdefault(connection.msgtype, []).append(
                (reader.deserialize(raw, connection.msgtype), bytes(raw)))
    return read


def in_rclpy(raw, package, name):
    """Return the message as a node would receive it."""
    module = pytest.importorskip(f'{package}.msg')
    from rclpy.serialization import deserialize_message
    return deserialize_message(raw, getattr(module, name))


def test_images(recording, messages):
    """A camera's JPEG decodes to what OpenCV makes of the file."""
    for index, (message, raw) in enumerate(messages['sensor_msgs/msg/CompressedImage']):
        rgb = decode_compressed(message)
        file = cv2.imread(str(recording / 'image_02' / f'{index:04d}.jpg'))
        np.testing.assert_array_equal(rgb, file[..., ::-1])
        np.testing.assert_array_equal(
            decode_compressed(in_rclpy(raw, 'sensor_msgs', 'CompressedImage')), rgb)
    assert index == FRAMES - 1


def test_clouds(recording, messages):
    """Every return of the sweep is there, in millimetres as recorded."""
    for index, (message, raw) in enumerate(messages['sensor_msgs/msg/PointCloud2']):
        file = lzma.decompress((recording / 'velodyne' / f'{index:04d}.xz').read_bytes())
        count = int(np.frombuffer(file, '<i4', 1)[0])
        millimetres = np.frombuffer(file, '<i4', 3 * count, 4).reshape(3, count).T
        points = decode_points(message)
        np.testing.assert_allclose(points[:, :3], millimetres / 1000.0, atol=1e-4)
        received = in_rclpy(raw, 'sensor_msgs', 'PointCloud2')
        np.testing.assert_array_equal(decode_points(received), points)
        assert lidar_sweep(received, np.eye(4)).stamp_ns == stamp_to_ns(message.header.stamp)
    assert index == FRAMES - 1


def test_odometry(recording, messages):
    """Positions are those of the pose file; both libraries give the same state."""
    poses = np.loadtxt(recording / 'kiss_icp_poses_ESTIMATED.txt').reshape(-1, 3, 4)
    for index, (message, raw) in enumerate(messages['nav_msgs/msg/Odometry']):
        ego = ego_state(message)
        np.testing.assert_allclose(ego.pose[:2], poses[index, :2, 3])
        forward = poses[index, :2, 0]
        assert ego.pose[2] == pytest.approx(np.arctan2(forward[1], forward[0]), abs=1e-6)
        received = ego_state(in_rclpy(raw, 'nav_msgs', 'Odometry'))
        np.testing.assert_array_equal(received.pose, ego.pose)
        np.testing.assert_array_equal(received.velocity, ego.velocity)
    assert index == FRAMES - 1
