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

"""A bag that weighs what a real rig sends: it measures transport and reception, nothing else."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

CAMERAS = ('left', 'front', 'right')
WIDTH, HEIGHT = 1600, 900
POINTS = 100_000
FRAME_HZ, ODOMETRY_HZ = 10, 50
_START_NS = 1_700_000_000 * 10**9


def write_load_bag(path: Path, seconds: float) -> None:
    """
    Write three 1600x900 JPEG cameras and 100,000 points at 10 Hz, odometry at 50 Hz.

    The images are textured noise of about 0.4 MB each, the points random.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    image, info, cloud, odometry = _image(store), _info(store), _cloud(store), _odometry(store)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {**{f'/camera/{name}/camera_info': info for name in CAMERAS},
                  **{f'/camera/{name}/image/compressed': image for name in CAMERAS},
                  '/lidar/points': cloud, '/odom': odometry}
        connections = {topic: writer.add_connection(topic, message.__msgtype__, typestore=store)
                       for topic, message in topics.items()}
        for tick in range(round(seconds * ODOMETRY_HZ)):
            stamp_ns = _START_NS + tick * 10**9 // ODOMETRY_HZ
            for topic, message in topics.items():
                if topic == '/odom' or tick % (ODOMETRY_HZ // FRAME_HZ) == 0:
                    stamp = message.header.stamp
                    stamp.sec, stamp.nanosec = divmod(stamp_ns, 10**9)
                    writer.write(connections[topic], stamp_ns,
                                 store.serialize_cdr(message, message.__msgtype__))


def _header(store: Any, frame_id: str) -> Any:
    return store.types['std_msgs/msg/Header'](
        stamp=store.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0), frame_id=frame_id)


def _image(store: Any) -> Any:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    data = cv2.imencode('.jpg', cv2.GaussianBlur(noise, (0, 0), 1.0),
                        [cv2.IMWRITE_JPEG_QUALITY, 80])[1].ravel()
    return store.types['sensor_msgs/msg/CompressedImage'](
        header=_header(store, 'camera'), format='jpeg', data=data)


def _info(store: Any) -> Any:
    matrix = np.array([[0.8 * WIDTH, 0.0, 0.5 * WIDTH], [0.0, 0.8 * WIDTH, 0.5 * HEIGHT],
                       [0.0, 0.0, 1.0]])
    region = store.types['sensor_msgs/msg/RegionOfInterest'](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return store.types['sensor_msgs/msg/CameraInfo'](
        header=_header(store, 'camera'), width=WIDTH, height=HEIGHT, distortion_model='plumb_bob',
        d=np.zeros(5), k=matrix.ravel(), r=np.eye(3).ravel(),
        p=np.column_stack([matrix, np.zeros(3)]).ravel(), binning_x=0, binning_y=0, roi=region)


def _cloud(store: Any) -> Any:
    points = np.random.default_rng(1).uniform(-50.0, 50.0, (POINTS, 4)).astype('<f4')
    field = store.types['sensor_msgs/msg/PointField']
    return store.types['sensor_msgs/msg/PointCloud2'](
        header=_header(store, 'base_link'), height=1, width=POINTS,
        fields=[field(name=name, offset=4 * index, datatype=7, count=1)
                for index, name in enumerate(('x', 'y', 'z', 'intensity'))],
        is_bigendian=False, point_step=16, row_step=16 * POINTS,
        data=np.frombuffer(points.tobytes(), np.uint8), is_dense=True)


def _odometry(store: Any) -> Any:
    vector, types = store.types['geometry_msgs/msg/Vector3'], store.types
    pose = types['geometry_msgs/msg/Pose'](
        position=types['geometry_msgs/msg/Point'](x=0.0, y=0.0, z=0.0),
        orientation=types['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0))
    twist = types['geometry_msgs/msg/Twist'](linear=vector(x=8.0, y=0.0, z=0.0),
                                             angular=vector(x=0.0, y=0.0, z=0.0))
    return types['nav_msgs/msg/Odometry'](
        header=_header(store, 'odom'), child_frame_id='base_link',
        pose=types['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=np.zeros(36)),
        twist=types['geometry_msgs/msg/TwistWithCovariance'](twist=twist,
                                                             covariance=np.zeros(36)))
