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

"""Real frames as sensor messages, through the assembler, to the network's features."""

import cv2
import numpy as np
from numpy.testing import assert_allclose
from pair_drive_ros.conversions.image import decode_compressed, decode_image
from pair_drive_ros.conversions.point_cloud import lidar_sweep
from pair_drive_ros.core.frames import CameraImage, PlannerInput
from pair_drive_ros.core.geometry import invert_transform, rigid_transform, transform_points
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.planning.assembler import FrameAssembler, SyncLimits
import pytest
from rosbags.typesys import get_typestore, Stores
from shared_formats import navsim_frame, nuscenes_frame
import torch

pytestmark = pytest.mark.shared_data
TYPES = get_typestore(Stores.ROS2_JAZZY).types
BASE_FROM_LIDAR = rigid_transform(np.array([0.9, 0.0, 1.8]),
                                  np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


def header(stamp_ns, frame_id):
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return TYPES['std_msgs/msg/Header'](
        stamp=TYPES['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds),
        frame_id=frame_id)


def raw_image(image):
    height, width, _ = image.rgb.shape
    return TYPES['sensor_msgs/msg/Image'](
        header=header(image.stamp_ns, image.name), height=height, width=width, encoding='bgr8',
        is_bigendian=0, step=3 * width, data=image.rgb[..., ::-1].ravel())


def png_image(image):
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header=header(image.stamp_ns, image.name), format='png',
        data=cv2.imencode('.png', image.rgb[..., ::-1])[1].ravel())


def cloud(sweep):
    """Return the sweep as its sensor would send it, from its own place on the roof."""
    points = sweep.points.copy()
    points[:, :3] = transform_points(invert_transform(BASE_FROM_LIDAR), points[:, :3])
    field = TYPES['sensor_msgs/msg/PointField']
    return TYPES['sensor_msgs/msg/PointCloud2'](
        header=header(sweep.stamp_ns, 'lidar'), height=1, width=len(points),
        fields=[field(name=name, offset=4 * index, datatype=7, count=1)
                for index, name in enumerate(('x', 'y', 'z', 'intensity'))],
        is_bigendian=False, point_step=16, row_step=16 * len(points),
        data=np.frombuffer(points.tobytes(), np.uint8), is_dense=True)


@pytest.mark.parametrize(('folder', 'cameras', 'read', 'message', 'decode'), [
    ('01_navsim_frame_8bc34517e08758ff', 3, navsim_frame, raw_image, decode_image),
    ('06_nuscenes_frame_scene0061', 6, nuscenes_frame, png_image, decode_compressed)])
def test_messages_of_a_real_frame_give_its_features(shared_data, folder, cameras, read, message,
                                                    decode):
    frame = read(shared_data / folder).frame
    assert len(frame.cameras) == cameras
    names = [f'camera_{name}' for name in frame.cameras]
    assembler = FrameAssembler([*names, 'lidar'], 'camera_front', SyncLimits())
    assembler.add_odometry(frame.stamp_ns, lambda: frame.ego)
    assembler.add_acceleration(frame.stamp_ns, lambda: frame.ego.acceleration)
    assembler.set_command(frame.command)
    for name, image in frame.cameras.items():
        assembler.add_sensor(
            f'camera_{name}', image.stamp_ns,
            lambda name=name, image=image: CameraImage(name, image.stamp_ns,
                                                       decode(message(image))))
    assembler.add_sensor('lidar', frame.lidar.stamp_ns,
                         lambda: lidar_sweep(cloud(frame.lidar), BASE_FROM_LIDAR))

    assembled = assembler.assemble(frame.stamp_ns)

    assert isinstance(assembled, PlannerInput), assembled
    assert assembled.stamp_ns == frame.stamp_ns
    assert_allclose(assembled.lidar.points, frame.lidar.points, atol=1e-4)
    expected, found = transfuser_features(frame), transfuser_features(assembled)
    torch.testing.assert_close(found['camera_feature'], expected['camera_feature'])
    torch.testing.assert_close(found['status_feature'], expected['status_feature'])
    # Moving a point to the roof and back rounds it, and one on a bin's edge may change bins.
    changed = found['lidar_feature'] != expected['lidar_feature']
    assert changed.float().mean() < 1e-3
