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

"""A rig of sensors for node tests: real topics, real messages, one process."""

import array
from collections.abc import Callable
import threading
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
import numpy as np
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.nodes.planner_node import PlannerNode
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2, PointField
from trajectory_msgs.msg import MultiDOFJointTrajectory

PERIOD_S = 0.05
JPEG = array.array('B', cv2.imencode('.jpg', np.full((36, 64, 3), 90, np.uint8))[1].tobytes())
DEFAULTS = {'cameras': ['front'], 'autostart': True, 'checkpoint': '',
            'refinement.refiner': '', 'refinement.selector': ''}


class Rig:
    """
    A planner node and a vehicle that publishes for it, spun by one thread.

    Every message passes through a ``spoil`` hook of the test: it may change the message, or
    return None to keep it from going out. ``header.frame_id`` of an image is its camera's name.
    """

    def __init__(self, start: bool = True, **parameters):
        rclpy.init(args=[])
        parameters = {**DEFAULTS, **parameters}
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        try:
            self.planner = PlannerNode(parameter_overrides=overrides)
        except Exception:
            rclpy.shutdown()
            raise
        self.vehicle = rclpy.create_node('vehicle')
        self._clients: dict[str, Any] = {}
        self.spoil: Callable[[object], object | None] = lambda message: message
        self.plans: list[MultiDOFJointTrajectory] = []
        self.statuses: list[dict[str, str]] = []
        self.anchors: list[int] = []
        qos = QoSProfile(depth=50)
        self._cameras = {name: self.vehicle.create_publisher(
            CompressedImage, f'/planner/input/camera_{name}/image/compressed', qos)
            for name in parameters['cameras']}
        self._camera_infos = {name: self.vehicle.create_publisher(
            CameraInfo, f'/planner/input/camera_{name}/camera_info', qos)
            for name in parameters['cameras']}
        self._lidar = self.vehicle.create_publisher(PointCloud2, '/planner/input/points', qos)
        self._odometry = self.vehicle.create_publisher(
            Odometry, '/planner/input/odometry', qos)
        self.vehicle.create_subscription(MultiDOFJointTrajectory, '/planner/output/trajectory',
                                         self.plans.append, qos)
        self.vehicle.create_subscription(DiagnosticArray, '/diagnostics', self._on_status, qos)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.planner)
        self._executor.add_node(self.vehicle)
        self.started = self.planner.autostart() if start else False
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self):
        if self._executor is None:
            return
        self.planner.stand_down()
        self._executor.shutdown()
        self._executor = None
        self._thread.join(5.0)
        self.planner.destroy_node()
        self.vehicle.destroy_node()
        rclpy.try_shutdown()

    def now_ns(self) -> int:
        return self.vehicle.get_clock().now().nanoseconds

    def publish(self, stamp_ns: int | None = None) -> None:
        """Publish one synchronised frame: odometry, LiDAR, cameras with their calibrations."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        for publisher, message in ((self._odometry, odometry()), (self._lidar, points()),
                                   *((publisher, camera_info(name))
                                     for name, publisher in self._camera_infos.items()),
                                   *((publisher, image(name))
                                     for name, publisher in self._cameras.items())):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            message = self.spoil(message)
            if message is not None:
                publisher.publish(message)
        self.anchors.append(stamp_ns)

    def drive(self, done: Callable[[], bool], timeout_s: float = 10.0,
              stamp_ns: Callable[[], int] | None = None) -> bool:
        """Publish at 20 Hz until ``done``; False when it never was."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if done():
                return True
            self.publish(stamp_ns() if stamp_ns else None)
            time.sleep(PERIOD_S)
        return done()

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service of the planner and return its answer."""
        if name not in self._clients:
            self._clients[name] = self.vehicle.create_client(service_type, name)
            # Asked once: on a busy machine a service that had answered was said not to be there
            # for 20 s, twice in many runs of the whole suite and never in this file alone.
            assert self._clients[name].wait_for_service(20.0)
        future = self._clients[name].call_async(request)
        assert self.wait(future.done)
        return future.result()

    def wait(self, done: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Wait without publishing."""
        deadline_s = time.monotonic() + timeout_s
        while not done() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return done()

    def saw(self, key: str, text: str) -> Callable[[], bool]:
        """Whether some diagnostic so far had ``text`` in its value of ``key``."""
        return lambda: any(text in status.get(key, '') for status in list(self.statuses))

    def states(self) -> list[str]:
        """States in the order they were entered."""
        found: list[str] = []
        for status in list(self.statuses):
            if not found or found[-1] != status['state']:
                found.append(status['state'])
        return found

    def plan_stamps(self) -> list[int]:
        return [stamp_to_ns(plan.header.stamp) for plan in list(self.plans)]

    def _on_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.statuses.append({'level': status.level[0], 'message': status.message,
                                  **{item.key: item.value for item in status.values}})


def odometry(speed: float = 5.0) -> Odometry:
    message = Odometry()
    message.header.frame_id, message.child_frame_id = 'odom', 'base_link'
    message.pose.pose.orientation.w = 1.0
    message.twist.twist.linear.x = speed
    return message


def points(names: tuple[str, ...] = ('x', 'y', 'z', 'intensity')) -> PointCloud2:
    cloud = np.arange(40, dtype=np.float32).reshape(10, 4)
    message = PointCloud2(height=1, width=10, point_step=16, row_step=160, is_dense=True)
    message.header.frame_id = 'base_link'
    message.fields = [PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
                      for index, name in enumerate(names)]
    message.data = array.array('B', cloud.tobytes())
    return message


def camera_info(name: str) -> CameraInfo:
    message = CameraInfo(width=64, height=36, distortion_model='plumb_bob', d=[0.0] * 5,
                         k=[50.0, 0.0, 32.0, 0.0, 50.0, 18.0, 0.0, 0.0, 1.0])
    message.header.frame_id = name
    return message


def image(name: str) -> CompressedImage:
    message = CompressedImage(format='jpeg', data=JPEG)
    message.header.frame_id = name
    return message
