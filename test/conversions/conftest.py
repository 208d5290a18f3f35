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

"""Messages of both worlds: rclpy's generated classes and rosbags' dataclasses."""

import array

import numpy as np
from pair_drive_ros.conversions.message_types import MessageTypes
import pytest


class MessageKit:
    """Builds the messages that the tests feed to the readers."""

    def __init__(self, types, byte_field):
        self.types = types
        self.byte_field = byte_field

    def vector(self, kind, *values):
        """Build a geometry_msgs/Vector3, Point or Quaternion."""
        return self.types[f'geometry_msgs/msg/{kind}'](**dict(zip('xyzw', values, strict=False)))

    def header(self, stamp_ns=0, frame_id='sensor'):
        """Build a std_msgs/Header."""
        sec, nanosec = divmod(stamp_ns, 10**9)
        stamp = self.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        return self.types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def image(self, encoding, height, width, step, data, is_bigendian=0):
        """Build a sensor_msgs/Image."""
        return self.types['sensor_msgs/msg/Image'](
            header=self.header(), height=height, width=width, encoding=encoding,
            is_bigendian=is_bigendian, step=step, data=self.byte_field(data))

    def compressed(self, data, encoding='rgb8; jpeg compressed bgr8'):
        """Build a sensor_msgs/CompressedImage."""
        return self.types['sensor_msgs/msg/CompressedImage'](
            header=self.header(), format=encoding, data=self.byte_field(data))

    def cloud(self, fields, data, *, height=1, width=1, point_step=16, row_step=None,
              is_bigendian=False, stamp_ns=0):
        """Build a sensor_msgs/PointCloud2 from fields (name, offset, datatype[, count])."""
        field = self.types['sensor_msgs/msg/PointField']
        return self.types['sensor_msgs/msg/PointCloud2'](
            header=self.header(stamp_ns), height=height, width=width,
            fields=[field(name=name, offset=offset, datatype=datatype,
                          count=count[0] if count else 1)
                    for name, offset, datatype, *count in fields],
            is_bigendian=is_bigendian, point_step=point_step,
            row_step=width * point_step if row_step is None else row_step,
            data=self.byte_field(data), is_dense=False)


def _rclpy_kit():
    pytest.importorskip('sensor_msgs.msg', reason='no ROS message packages on this machine')
    return MessageKit(MessageTypes.installed(), lambda data: array.array('B', bytes(data)))


def _rosbags_kit():
    typesys = pytest.importorskip('rosbags.typesys')
    typestore = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    # What rosbags reads from a file is a view of read-only bytes.
    return MessageKit(MessageTypes.of_typestore(typestore),
                      lambda data: np.frombuffer(bytes(data), np.uint8))


@pytest.fixture(scope='session', params=[_rclpy_kit, _rosbags_kit],
                ids=['rclpy', 'rosbags'])
def kit(request):
    """Build messages of one of the two worlds."""
    return request.param()
