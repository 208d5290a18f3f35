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

"""Publishes plans: trajectory, path, markers and, where its package is, Autoware's message."""

from typing import Any

from nav_msgs.msg import Path
from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.conversions.outputs import (
    autoware_trajectory,
    BASE_FRAME,
    candidate_array,
    multi_dof_trajectory,
    path,
    plan_markers,
)
from pair_drive_ros.planning.planner import Plan
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Float32MultiArray, Float64
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import MarkerArray

_MARKER_LIFETIME_S = 0.5
_AUTOWARE = 'autoware_planning_msgs/msg/Trajectory'
_OUTPUT_QOS = QoSProfile(depth=1)


class OutputTopics:
    """
    The publishers of a planner.

    Messages that nobody listens to are not built. Publishing is thread-safe in rclpy.

    :param values: the node's parameters
    """

    def __init__(self, node: LifecycleNode, values: dict[str, Any]):
        self._node = node
        self._in_base_frame = values['output.frame'] == 'base_link'
        self._step_s = values['output.step_s']
        self._wheelbase_m = values['vehicle.wheelbase']
        self._types = MessageTypes.installed()
        self._trajectory = self._advertise(MultiDOFJointTrajectory, '~/output/trajectory')
        self._path = self._advertise(Path, '~/output/path')
        self._autoware = None
        if _AUTOWARE in self._types:
            self._autoware = self._advertise(self._types[_AUTOWARE],
                                             '~/output/autoware_trajectory')
        self._markers = self._advertise(MarkerArray, '~/debug/markers')
        self._candidates = self._advertise(Float32MultiArray, '~/debug/candidates')
        self._latency = self._advertise(Float64, '~/debug/processing_time_ms')

    def publish(self, plan: Plan) -> None:
        """Publish a plan that has a trajectory."""
        trajectory, ego = plan.trajectory, plan.ego
        frame_id = BASE_FRAME if self._in_base_frame else ego.frame_id
        where = (self._types, trajectory, ego, frame_id, self._step_s)
        self._trajectory.publish(multi_dof_trajectory(*where))
        if self._path.get_subscription_count():
            self._path.publish(path(*where))
        if self._autoware is not None and self._autoware.get_subscription_count():
            self._autoware.publish(autoware_trajectory(*where, self._wheelbase_m))
        candidates = {name: candidate.trajectory for name, candidate in plan.candidates.items()}
        if self._markers.get_subscription_count():
            plans = {'selected': trajectory, **candidates}
            self._markers.publish(plan_markers(self._types, plans, ego, frame_id,
                                               _MARKER_LIFETIME_S))
        if candidates and self._candidates.get_subscription_count():
            self._candidates.publish(candidate_array(self._types, candidates))

    def publish_latency(self, milliseconds: float) -> None:
        """Publish the time from the anchor's arrival to its plan."""
        self._latency.publish(Float64(data=milliseconds))

    def destroy(self) -> None:
        """End every publisher."""
        for publisher in (self._trajectory, self._path, self._autoware, self._markers,
                          self._candidates, self._latency):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _advertise(self, message_type: type, topic: str):
        return self._node.create_lifecycle_publisher(
            message_type, topic, _OUTPUT_QOS,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
