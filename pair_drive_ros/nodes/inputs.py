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

"""Subscribes to the rig's topics and hands every message, undecoded, to the assembler."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
import importlib.util
import time
from typing import Any

from geometry_msgs.msg import AccelWithCovarianceStamped
from nav_msgs.msg import Odometry
import numpy as np
from pair_drive_ros.conversions.camera_info import camera_calibration, same_calibration
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.image import decode_compressed, decode_image
from pair_drive_ros.conversions.odometry import acceleration, driving_command, ego_state
from pair_drive_ros.conversions.point_cloud import lidar_sweep
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.core.frames import CameraCalibration, CameraImage, LidarSweep
from pair_drive_ros.core.timing import LatencyWindow
from pair_drive_ros.nodes.parameter_table import sensor_names
from pair_drive_ros.nodes.sensor_poses import SensorPoses
from pair_drive_ros.planning.assembler import FrameAssembler, ODOMETRY
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Int8

# Depth 5 rides out a stall of the executor of half a second at 10 Hz; callbacks are cheap.
SENSOR_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
ODOMETRY_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                         durability=DurabilityPolicy.TRANSIENT_LOCAL)
_KEPT_ARRIVALS = 64


class InputTopics:
    """
    The subscriptions of a planner.

    Callbacks keep a reference, note the time and wake the planner thread, nothing else.

    :param values: the node's parameters
    :param wake: called after each sensor or odometry message
    """

    def __init__(self, node: LifecycleNode, values: dict[str, Any], assembler: FrameAssembler,
                 wake: Callable[[], None]):
        self._node = node
        self._assembler = assembler
        self._wake = wake
        self._poses = SensorPoses(values)
        self._camera_info: dict[str, CameraInfo] = {}
        # With the message and the pose that they were made of.
        self._calibrations: dict[str, tuple[CameraInfo, np.ndarray | None, CameraCalibration]] = {}
        self._arrivals: dict[str, OrderedDict[int, int]] = {
            name: OrderedDict() for name in sensor_names(values)}
        self.received: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.incompatible_qos: list[str] = []
        self.callback_ms = LatencyWindow()
        self._subscriptions = self._subscribe_rig(values)

    def arrival_ns(self, sensor: str, stamp_ns: int) -> int | None:
        """Return the steady-clock instant at which a sensor's message with this stamp came."""
        return self._arrivals[sensor].get(stamp_ns)

    def destroy(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _subscribe_rig(self, values: dict[str, Any]) -> list:
        compressed = values['camera_transport'] == 'compressed'
        image_type, suffix = (CompressedImage, '/compressed') if compressed else (Image, '')
        decode = decode_compressed if compressed else decode_image
        subscriptions = []
        for name in values['cameras']:
            topic = f'~/input/camera_{name}'
            subscriptions += [
                self._subscribe(image_type, f'{topic}/image{suffix}', f'camera_{name}', SENSOR_QOS,
                                partial(self._on_sensor, partial(self._camera, name, decode))),
                self._subscribe(CameraInfo, f'{topic}/camera_info', f'camera_{name}.camera_info',
                                SENSOR_QOS, partial(self._on_camera_info, name))]
        if values['lidar.enabled']:
            subscriptions.append(self._subscribe(
                PointCloud2, '~/input/points', 'lidar', SENSOR_QOS,
                partial(self._on_sensor, self._lidar)))
        if self._poses.needs_transforms and importlib.util.find_spec('tf2_msgs'):
            from tf2_msgs.msg import TFMessage
            subscriptions.append(self._subscribe(
                TFMessage, '/tf_static', 'tf_static',
                QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL),
                lambda _, message: self._poses.add_transforms(message)))
        return [*subscriptions,
                self._subscribe(Odometry, '~/input/odometry', ODOMETRY, ODOMETRY_QOS,
                                self._on_odometry),
                self._subscribe(AccelWithCovarianceStamped, '~/input/acceleration',
                                'acceleration', ODOMETRY_QOS, self._on_acceleration),
                self._subscribe(Int8, '~/input/command', 'command', LATCHED_QOS,
                                self._on_command)]

    def _subscribe(self, message_type: type, topic: str, source: str, qos: QoSProfile,
                   handle: Callable[[str, Any], None]):
        self.received[source] = self.lost[source] = 0

        def on_message(message: Any) -> None:
            start_ns = time.monotonic_ns()
            self.received[source] += 1
            try:
                handle(source, message)
            except ConversionError as error:
                self._node.get_logger().error(f'{source}: {error}', throttle_duration_sec=5.0)
            self.callback_ms.add((time.monotonic_ns() - start_ns) * 1e-6)

        def on_lost(info: Any) -> None:
            self.lost[source] += info.total_count_change

        def on_incompatible(info: Any) -> None:
            self.incompatible_qos.append(source)
            self._node.get_logger().warning(
                f'{source}: a publisher of {topic} offers another {info.last_policy_kind}; '
                'set qos_overrides for this topic')

        return self._node.create_subscription(
            message_type, topic, on_message, qos,
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=on_lost, incompatible_qos=on_incompatible),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _on_sensor(self, convert: Callable[[Any], CameraImage | LidarSweep], source: str,
                   message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        arrivals = self._arrivals[source]
        arrivals[stamp_ns] = time.monotonic_ns()
        while len(arrivals) > _KEPT_ARRIVALS:
            arrivals.popitem(last=False)
        self._assembler.add_sensor(source, stamp_ns, partial(_named, source, convert, message))
        self._wake()

    def _on_camera_info(self, name: str, _: str, message: CameraInfo) -> None:
        # Drivers repeat it with every image; the first one stays, and what was made of it.
        known = self._camera_info.get(name)
        if known is None or not same_calibration(known, message):
            self._camera_info[name] = message

    def _on_odometry(self, source: str, message: Odometry) -> None:
        self._assembler.add_odometry(stamp_to_ns(message.header.stamp),
                                     partial(_named, source, ego_state, message))
        self._wake()

    def _on_acceleration(self, source: str, message: AccelWithCovarianceStamped) -> None:
        self._assembler.add_acceleration(stamp_to_ns(message.header.stamp),
                                         partial(_named, source, acceleration, message))

    def _on_command(self, source: str, message: Int8) -> None:
        self._assembler.set_command(driving_command(message))

    def _camera(self, name: str, decode: Callable[[Any], np.ndarray],
                message: Image | CompressedImage) -> CameraImage:
        rgb = decode(message)
        calibration = self._calibration(name, message.header.frame_id)
        if calibration and rgb.shape[:2] != (calibration.height, calibration.width):
            raise ConversionError(
                f'the image is {rgb.shape[1]}x{rgb.shape[0]} but its camera_info says '
                f'{calibration.width}x{calibration.height}; publish the camera_info of this '
                'image stream')
        return CameraImage(name, stamp_to_ns(message.header.stamp), rgb, calibration)

    def _calibration(self, name: str, frame_id: str) -> CameraCalibration | None:
        info = self._camera_info.get(name)
        if info is None:
            return None
        pose = self._poses.base_from_camera(name, frame_id or info.header.frame_id)
        made = self._calibrations.get(name)
        if made is None or made[0] is not info or made[1] is not pose:
            made = self._calibrations[name] = info, pose, camera_calibration(info, pose)
        return made[2]

    def _lidar(self, message: PointCloud2) -> LidarSweep:
        return lidar_sweep(message, self._poses.base_from_lidar(message.header.frame_id))


def _named(source: str, convert: Callable[[Any], Any], message: Any) -> Any:
    """Convert a message; an error says which source it came from."""
    try:
        return convert(message)
    except ValueError as error:
        text = str(error)
        raise ConversionError(text if text.startswith(source) else f'{source}: {text}') from error
