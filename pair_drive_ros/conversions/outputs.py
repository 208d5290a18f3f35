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

"""Planned trajectories to ROS messages."""

from collections.abc import Mapping, Sequence

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, Message
from pair_drive_ros.conversions.kinematics import motion_profile
from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.conversions.rotation import quaternion_from_yaw
from pair_drive_ros.conversions.stamp import duration_message, time_message
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.core.trajectory import Trajectory

BASE_FRAME = 'base_link'
MIN_STEERING_SPEED = 0.1
"""Below this speed, m/s, the curvature is noise and the wheels are sent straight."""

# Okabe and Ito's colours, which stay apart for colour-blind readers, in the order of the plans.
PLAN_COLORS = ((0.00, 0.62, 0.45), (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.80, 0.47, 0.65),
               (0.84, 0.37, 0.00), (0.00, 0.45, 0.70), (0.94, 0.89, 0.26))
LINE_WIDTH_M = 0.2


def multi_dof_trajectory(types: MessageTypes, trajectory: Trajectory, ego: EgoState,
                         frame_id: str, step_s: float) -> Message:
    """
    Build a trajectory_msgs/MultiDOFJointTrajectory of the one joint ``base_link``.

    The first point is the anchor at time 0. Poses are in ``frame_id``: ``base_link`` (at the
    trajectory's stamp) or the frame of the odometry. Velocities and accelerations are in the
    body frame, x forward and about z; :func:`motion_profile` says how they are found.

    :param ego: the ego state at the trajectory's stamp
    :raises ConversionError: on another frame, another stamp or a step that is not positive
    """
    profile = motion_profile(trajectory, ego, step_s)
    points = [
        types['trajectory_msgs/msg/MultiDOFJointTrajectoryPoint'](
            transforms=[types['geometry_msgs/msg/Transform'](
                translation=_vector(types, pose[0], pose[1]),
                rotation=_orientation(types, pose[2]))],
            velocities=[_twist(types, speed, yaw_rate)],
            accelerations=[_twist(types, acceleration, yaw_acceleration)],
            time_from_start=duration_message(types, round(time_s * 1e9)))
        for pose, speed, yaw_rate, acceleration, yaw_acceleration, time_s in zip(
            _poses_in(frame_id, profile.poses, ego).tolist(), profile.speed.tolist(),
            profile.yaw_rate.tolist(), profile.acceleration.tolist(),
            profile.yaw_acceleration.tolist(), profile.times_s.tolist(), strict=True)]
    return types['trajectory_msgs/msg/MultiDOFJointTrajectory'](
        header=_header(types, trajectory.stamp_ns, frame_id), joint_names=[BASE_FRAME],
        points=points)


def path(types: MessageTypes, trajectory: Trajectory, ego: EgoState, frame_id: str,
         step_s: float) -> Message:
    """
    Build a nav_msgs/Path; each pose carries the instant at which it is to be reached.

    Frames and errors are those of :func:`multi_dof_trajectory`.
    """
    profile = motion_profile(trajectory, ego, step_s)
    poses = [
        types['geometry_msgs/msg/PoseStamped'](
            header=_header(types, trajectory.stamp_ns + round(time_s * 1e9), frame_id),
            pose=_pose(types, pose))
        for time_s, pose in zip(profile.times_s.tolist(),
                                _poses_in(frame_id, profile.poses, ego).tolist(),
                                strict=True)]
    return types['nav_msgs/msg/Path'](header=_header(types, trajectory.stamp_ns, frame_id),
                                      poses=poses)


def autoware_trajectory(types: MessageTypes, trajectory: Trajectory, ego: EgoState,
                        frame_id: str, step_s: float, wheelbase_m: float) -> Message:
    """
    Build an autoware_planning_msgs/Trajectory.

    The rear axle does not slide, so the lateral velocity is zero. As that message demands, the
    acceleration is that of the absolute speed: positive when a reversing vehicle speeds up.
    Frames and errors are those of :func:`multi_dof_trajectory`.

    :param wheelbase_m: turns curvature into the front wheel angle of a kinematic bicycle
    """
    profile = motion_profile(trajectory, ego, step_s)
    absolute_speed = np.abs(profile.speed)
    acceleration = np.diff(absolute_speed, append=absolute_speed[-1]) / step_s
    moving = absolute_speed > MIN_STEERING_SPEED
    curvature = np.divide(profile.yaw_rate, profile.speed, where=moving,
                          out=np.zeros_like(profile.speed))
    wheel_angle = np.arctan(wheelbase_m * curvature)
    points = [
        types['autoware_planning_msgs/msg/TrajectoryPoint'](
            time_from_start=duration_message(types, round(time_s * 1e9)),
            pose=_pose(types, pose), longitudinal_velocity_mps=speed, lateral_velocity_mps=0.0,
            acceleration_mps2=change, heading_rate_rps=yaw_rate, front_wheel_angle_rad=angle,
            rear_wheel_angle_rad=0.0)
        for time_s, pose, speed, change, yaw_rate, angle in zip(
            profile.times_s.tolist(), _poses_in(frame_id, profile.poses, ego).tolist(),
            profile.speed.tolist(), acceleration.tolist(), profile.yaw_rate.tolist(),
            wheel_angle.tolist(), strict=True)]
    return types['autoware_planning_msgs/msg/Trajectory'](
        header=_header(types, trajectory.stamp_ns, frame_id), points=points)


def plan_markers(types: MessageTypes, plans: Mapping[str, Trajectory], ego: EgoState,
                 frame_id: str, lifetime_s: float) -> Message:
    """
    Build a visualization_msgs/MarkerArray with one line strip a plan, from the anchor on.

    The label is the namespace, so that a viewer can switch each plan off; colours follow the
    order of ``plans``. A marker vanishes ``lifetime_s`` after it arrived. Frames and errors are
    those of :func:`multi_dof_trajectory`.
    """
    return types['visualization_msgs/msg/MarkerArray'](markers=[
        _line_strip(types, label, trajectory, ego, frame_id, lifetime_s,
                    PLAN_COLORS[index % len(PLAN_COLORS)])
        for index, (label, trajectory) in enumerate(plans.items())])


def candidate_array(types: MessageTypes, candidates: Mapping[str, Trajectory]) -> Message:
    """
    Build a std_msgs/Float32MultiArray [K, T, 3] of all candidates: x m, y m, heading rad.

    They are in ``base_link`` at their common stamp, at the candidates' own time step, in the
    order of their names in the label of the first dimension.
    """
    poses = np.stack([candidate.poses for candidate in candidates.values()])
    dimension = types['std_msgs/msg/MultiArrayDimension']
    labels = (','.join(candidates), 'pose', 'x,y,heading')
    strides = [int(np.prod(poses.shape[axis:])) for axis in range(poses.ndim)]
    return types['std_msgs/msg/Float32MultiArray'](
        layout=types['std_msgs/msg/MultiArrayLayout'](
            dim=[dimension(label=label, size=size, stride=stride) for label, size, stride
                 in zip(labels, poses.shape, strides, strict=True)],
            data_offset=0),
        data=poses.astype(np.float32).ravel())


def _poses_in(frame_id: str, poses: np.ndarray, ego: EgoState) -> np.ndarray:
    """Express poses [M, 3] of the anchor's ``base_link`` in the frame of the message."""
    if frame_id == BASE_FRAME:
        return poses
    if frame_id != ego.frame_id:
        raise ConversionError(f'trajectory: no way from {BASE_FRAME!r} to {frame_id!r}, the '
                              f'odometry is given in {ego.frame_id!r}; ask for one of these two')
    return compose(ego.pose, poses)


def _line_strip(types: MessageTypes, label: str, trajectory: Trajectory, ego: EgoState,
                frame_id: str, lifetime_s: float, color: tuple[float, float, float]) -> Message:
    profile = motion_profile(trajectory, ego, trajectory.step_s)
    poses = _poses_in(frame_id, profile.poses, ego)
    marker = types['visualization_msgs/msg/Marker']
    no_bytes = np.empty(0, np.uint8)
    header = _header(types, trajectory.stamp_ns, frame_id)
    return marker(
        header=header, ns=label, id=0, type=marker.LINE_STRIP, action=marker.ADD,
        pose=_pose(types, (0.0, 0.0, 0.0)),
        scale=types['geometry_msgs/msg/Vector3'](x=LINE_WIDTH_M, y=0.0, z=0.0),
        color=types['std_msgs/msg/ColorRGBA'](r=color[0], g=color[1], b=color[2], a=1.0),
        lifetime=duration_message(types, round(lifetime_s * 1e9)), frame_locked=False,
        points=[_point(types, x, y) for x, y in poses[:, :2].tolist()], colors=[],
        texture_resource='',
        texture=types['sensor_msgs/msg/CompressedImage'](header=header, format='',
                                                         data=no_bytes),
        uv_coordinates=[], text='', mesh_resource='',
        mesh_file=types['visualization_msgs/msg/MeshFile'](filename='', data=no_bytes),
        mesh_use_embedded_materials=False)


def _header(types: MessageTypes, stamp_ns: int, frame_id: str) -> Message:
    return types['std_msgs/msg/Header'](stamp=time_message(types, stamp_ns), frame_id=frame_id)


def _pose(types: MessageTypes, pose: Sequence[float]) -> Message:
    x, y, heading = pose
    return types['geometry_msgs/msg/Pose'](position=_point(types, x, y),
                                           orientation=_orientation(types, heading))


def _orientation(types: MessageTypes, heading: float) -> Message:
    x, y, z, w = quaternion_from_yaw(heading).tolist()
    return types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w)


def _point(types: MessageTypes, x: float, y: float) -> Message:
    return types['geometry_msgs/msg/Point'](x=x, y=y, z=0.0)


def _vector(types: MessageTypes, x: float, y: float) -> Message:
    return types['geometry_msgs/msg/Vector3'](x=x, y=y, z=0.0)


def _twist(types: MessageTypes, forward: float, about_z: float) -> Message:
    vector = types['geometry_msgs/msg/Vector3']
    return types['geometry_msgs/msg/Twist'](linear=vector(x=forward, y=0.0, z=0.0),
                                            angular=vector(x=0.0, y=0.0, z=about_z))
