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

"""
Time the message conversions against plain references that a first version would use.

Run ``python -m benchmarks.conversions`` in the source tree. It prints, for each conversion, the
median milliseconds a call, those of the reference and their ratio; the results are compared
before they are timed.
"""

import array
from collections.abc import Callable
import os
import statistics
import struct
import time
from types import SimpleNamespace

import cv2
import numpy as np
from pair_drive_ros.conversions.image import decode_compressed, decode_image
from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.conversions.outputs import multi_dof_trajectory
from pair_drive_ros.conversions.point_cloud import decode_points
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import constant_turn_rate_motion
from pair_drive_ros.core.trajectory import Trajectory

HEIGHT, WIDTH = 1080, 1920
POINTS = 130_000


def milliseconds(call: Callable[[], object], seconds: float = 1.5) -> float:
    """Return the median time of a call, from at least 3 calls after a first one."""
    call()
    samples = []
    end = time.perf_counter() + seconds
    while len(samples) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return statistics.median(samples)


def image_message(encoding: str, channels: int, padding: int) -> SimpleNamespace:
    """Return an image as rclpy delivers it."""
    step = WIDTH * channels + padding
    pixels = np.random.default_rng(0).integers(0, 256, HEIGHT * step, np.uint8)
    return SimpleNamespace(height=HEIGHT, width=WIDTH, encoding=encoding, step=step,
                           is_bigendian=0, data=array.array('B', pixels.tobytes()))


def image_by_rows(msg: SimpleNamespace) -> np.ndarray:
    """Copy row by row, then turn the channels round."""
    image = np.empty((msg.height, msg.width, 3), np.uint8)
    for row in range(msg.height):
        start = row * msg.step
        line = np.frombuffer(msg.data[start:start + msg.width * 3], np.uint8)
        image[row] = line.reshape(msg.width, 3)
    return np.ascontiguousarray(image[..., ::-1]) if msg.encoding == 'bgr8' else image


def jpeg_message() -> SimpleNamespace:
    """Return a JPEG with smooth content and some noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).integers(0, 24, (HEIGHT, WIDTH))
    gradient = np.stack([rows * 200 // HEIGHT + noise, columns * 200 // WIDTH + noise,
                         noise + 40], axis=-1).astype(np.uint8)
    data = cv2.imencode('.jpg', gradient)[1].tobytes()
    return SimpleNamespace(format='jpeg', data=array.array('B', data))


def jpeg_without_checks(msg: SimpleNamespace) -> np.ndarray:
    """Decode without looking at the header or for the end."""
    pixels = cv2.imdecode(np.frombuffer(msg.data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def cloud_message() -> SimpleNamespace:
    """Return an unorganised cloud of 16-byte points, one in a thousand without a return."""
    points = np.random.default_rng(0).normal(0.0, 30.0, (POINTS, 4)).astype('<f4')
    points[::1000, :3] = np.nan
    fields = [SimpleNamespace(name=name, offset=4 * index, datatype=7, count=1)
              for index, name in enumerate(('x', 'y', 'z', 'intensity'))]
    return SimpleNamespace(height=1, width=POINTS, fields=fields, is_bigendian=False,
                           point_step=16, row_step=16 * POINTS, is_dense=False,
                           data=array.array('B', points.tobytes()))


def cloud_by_points(msg: SimpleNamespace) -> np.ndarray:
    """Unpack point by point and leave out those that are NaN."""
    return np.array([point for point in struct.iter_unpack('<4f', msg.data)
                     if point[0] == point[0]], np.float32)


def main() -> None:
    """Print the table."""
    padded = image_message('bgr8', 3, 64)
    packed = image_message('rgb8', 3, 0)
    jpeg, cloud = jpeg_message(), cloud_message()
    size = f'{WIDTH}x{HEIGHT}'
    print(f'{os.cpu_count()} cores, numpy {np.__version__}, OpenCV {cv2.__version__}')
    print(f'{"conversion":42} {"ms":>9} {"reference ms":>13} {"ratio":>7}')
    for name, ours, reference, message in [
            (f'image bgr8 {size}, padded rows', decode_image, image_by_rows, padded),
            (f'image rgb8 {size}, packed', decode_image, image_by_rows, packed),
            (f'JPEG {size}, {len(jpeg.data) // 1024} KiB', decode_compressed,
             jpeg_without_checks, jpeg),
            (f'cloud of {POINTS} points', decode_points, cloud_by_points, cloud)]:
        np.testing.assert_array_equal(ours(message), reference(message))
        own_ms = milliseconds(lambda call=ours, msg=message: call(msg))
        reference_ms = milliseconds(lambda call=reference, msg=message: call(msg))
        print(f'{name:42} {own_ms:9.3f} {reference_ms:13.3f} {reference_ms / own_ms:6.1f}x')

    types = MessageTypes.installed()
    plan = Trajectory(0, constant_turn_rate_motion(8.0, 0.1, 0.5 * np.arange(1, 9)))
    ego = EgoState(0, np.zeros(3), np.array([8.0, 0.0]))
    own_ms = milliseconds(lambda: multi_dof_trajectory(types, plan, ego, 'odom', 0.1))
    print(f'{"MultiDOFJointTrajectory of 41 points":42} {own_ms:9.3f}')


if __name__ == '__main__':
    main()
