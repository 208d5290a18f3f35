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

"""Plans as messages: poses, times, frames; every message serialises."""

import math

import numpy as np
from pair_drive_ros.conversions import outputs
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.message_types import MessageTypes
from pair_drive_ros.conversions.odometry import ego_state
from pair_drive_ros.conversions.rotation import message_quaternion, yaw
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import compose, constant_turn_rate_motion, wrap_angle
from pair_drive_ros.core.trajectory import Trajectory
import pytest

STAMP_NS = 1_700_000_000_900_000_007
TIMES_S = 0.5 * np.arange(1, 9)
PLAN = Trajectory(STAMP_NS, constant_turn_rate_motion(8.0, 0.2, TIMES_S))
EGO = EgoState(STAMP_NS, np.array([100.0, 50.0, 2.5]), np.array([8.0, 0.0]), yaw_rate=0.2,
               frame_id='map')
# Field lists of autoware_planning_msgs; ROS installations bring the package themselves.
AUTOWARE = {
    'autoware_planning_msgs/msg/TrajectoryPoint': """
        builtin_interfaces/Duration time_from_start
        geometry_msgs/Pose pose
        float32 longitudinal_velocity_mps
        float32 lateral_velocity_mps
        float32 acceleration_mps2
        float32 heading_rate_rps
        float32 front_wheel_angle_rad
        float32 rear_wheel_angle_rad""",
    'autoware_planning_msgs/msg/Trajectory': """
        std_msgs/Header header
        autoware_planning_msgs/TrajectoryPoint[] points""",
}


def flat_pose(position, orientation):
    """Return x, y and heading of a pose in the plane."""
    assert position.z == 0.0
    return [position.x, position.y, yaw(message_quaternion(orientation, 'pose'))]


def assert_poses(actual, frame_id, step_s):
    """Compare with the plan, resampled, from the anchor on."""
    wanted = np.concatenate([np.zeros((1, 3)), PLAN.resample(step_s).poses])
    if frame_id == 'map':
        wanted = compose(EGO.pose, wanted)
    difference = np.array(actual) - wanted
    difference[:, 2] = wrap_angle(difference[:, 2])
    np.testing.assert_allclose(difference, 0.0, atol=1e-9)


def round_trip(message, name):
    """Serialise and deserialise with the library the message belongs to."""
    if hasattr(message, '__msgtype__'):
        typesys = pytest.importorskip('rosbags.typesys')
        store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
        return store.deserialize_cdr(store.serialize_cdr(message, name), name)
    from rclpy.serialization import deserialize_message, serialize_message
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize('frame_id', ['map', 'base_link'])
@pytest.mark.parametrize('step_s', [0.1, 0.5])
def test_multi_dof_trajectory(kit, frame_id, step_s):
    """A consumer reads back the plan it was given, point by point."""
    message = round_trip(
        outputs.multi_dof_trajectory(kit.types, PLAN, EGO, frame_id, step_s),
        'trajectory_msgs/msg/MultiDOFJointTrajectory')
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert message.header.frame_id == frame_id
    assert list(message.joint_names) == ['base_link']
    assert_poses([flat_pose(point.transforms[0].translation, point.transforms[0].rotation)
                  for point in message.points], frame_id, step_s)
    step_ns = round(step_s * 1e9)
    assert ([stamp_to_ns(point.time_from_start) for point in message.points]
            == [step_ns * index for index in range(len(message.points))])
    for point in message.points:
        assert point.velocities[0].linear.x == pytest.approx(8.0)
        assert point.velocities[0].angular.z == pytest.approx(0.2)
        assert point.accelerations[0].linear.x == pytest.approx(0.0, abs=1e-6)


def test_multi_dof_accelerations(kit):
    """Braking is negative along x and nothing else."""
    distances = 8.0 * TIMES_S - TIMES_S**2 / 2.0
    plan = Trajectory(STAMP_NS, np.stack([distances, 0 * distances, 0 * distances], axis=-1))
    ego = EgoState(STAMP_NS, np.zeros(3), np.array([8.0, 0.0]))
    message = outputs.multi_dof_trajectory(kit.types, plan, ego, 'odom', 0.5)
    for point in message.points[1:7]:
        acceleration = point.accelerations[0]
        assert acceleration.linear.x == pytest.approx(-1.0)
        assert acceleration.linear.y == acceleration.linear.z == acceleration.angular.z == 0.0


@pytest.mark.parametrize('frame_id', ['map', 'base_link'])
def test_path(kit, frame_id):
    """Each pose says when it is to be reached; the header says from when the data are."""
    message = round_trip(outputs.path(kit.types, PLAN, EGO, frame_id, 0.1), 'nav_msgs/msg/Path')
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert_poses([flat_pose(stamped.pose.position, stamped.pose.orientation)
                  for stamped in message.poses], frame_id, 0.1)
    for index, stamped in enumerate(message.poses):
        assert stamp_to_ns(stamped.header.stamp) == STAMP_NS + 100_000_000 * index
        assert stamped.header.frame_id == message.header.frame_id == frame_id


@pytest.mark.parametrize('frame_id', ['map', 'base_link'])
def test_plan_markers(kit, frame_id):
    """One strip a plan, told apart by namespace and colour, from the anchor to the end."""
    straight = Trajectory(STAMP_NS, np.stack([8 * TIMES_S, 0 * TIMES_S, 0 * TIMES_S], axis=-1))
    message = round_trip(
        outputs.plan_markers(kit.types, {'imitation': straight, 'selected': PLAN}, EGO, frame_id,
                             0.5), 'visualization_msgs/msg/MarkerArray')
    imitation, selected = message.markers
    assert (imitation.ns, selected.ns) == ('imitation', 'selected')
    assert imitation.color != selected.color and imitation.color.a == selected.color.a == 1.0
    anchor_and_plan = np.concatenate([np.zeros((1, 3)), PLAN.poses])
    wanted = compose(EGO.pose, anchor_and_plan) if frame_id == 'map' else anchor_and_plan
    np.testing.assert_allclose([[point.x, point.y] for point in selected.points], wanted[:, :2],
                               atol=1e-9)
    for marker in message.markers:
        assert stamp_to_ns(marker.header.stamp) == STAMP_NS
        assert marker.header.frame_id == frame_id
        assert (marker.type, marker.action) == (4, 0)  # LINE_STRIP, ADD
        assert marker.scale.x > 0.0
        assert marker.pose.orientation.w == 1.0
        assert stamp_to_ns(marker.lifetime) == 500_000_000


def test_many_plans(kit):
    """Every candidate of a tree gets a strip, however many there are."""
    plans = {f'candidate {index}': PLAN for index in range(20)}
    message = outputs.plan_markers(kit.types, plans, EGO, 'map', 0.5)
    assert [marker.ns for marker in message.markers] == list(plans)


@pytest.fixture(scope='module')
def autoware():
    """Return a typestore that knows Autoware's trajectory."""
    typesys = pytest.importorskip('rosbags.typesys')
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    for name, fields in AUTOWARE.items():
        store.register(typesys.get_types_from_msg(fields, name))
    return store


def autoware_points(store, plan, ego, frame_id='base_link', wheelbase_m=3.0):
    """Return the points of the message after a trip over the wire."""
    name = 'autoware_planning_msgs/msg/Trajectory'
    message = outputs.autoware_trajectory(MessageTypes.of_typestore(store), plan, ego, frame_id,
                                          0.5, wheelbase_m)
    received = store.deserialize_cdr(store.serialize_cdr(message, name), name)
    assert stamp_to_ns(received.header.stamp) == plan.stamp_ns
    assert received.header.frame_id == frame_id
    return received.points


@pytest.mark.parametrize('frame_id', ['map', 'base_link'])
def test_autoware_trajectory(autoware, frame_id):
    """Poses, times and the wheel angle of a bicycle on the plan's circle."""
    points = autoware_points(autoware, PLAN, EGO, frame_id)
    assert_poses([flat_pose(point.pose.position, point.pose.orientation) for point in points],
                 frame_id, 0.5)
    radius = 8.0 / 0.2
    for index, point in enumerate(points):
        assert stamp_to_ns(point.time_from_start) == 500_000_000 * index
        assert point.longitudinal_velocity_mps == pytest.approx(8.0)
        assert point.heading_rate_rps == pytest.approx(0.2)
        assert point.front_wheel_angle_rad == pytest.approx(math.atan(3.0 / radius))
        assert point.acceleration_mps2 == pytest.approx(0.0, abs=1e-6)
        assert point.lateral_velocity_mps == point.rear_wheel_angle_rad == 0.0


def test_autoware_reversing_faster(autoware):
    """Speed is signed; acceleration is that of the absolute speed; wheels turn the other way."""
    ego = EgoState(STAMP_NS, np.zeros(3), np.array([-2.0, 0.0]), yaw_rate=0.1)
    plan = Trajectory(STAMP_NS, constant_turn_rate_motion(-2.0, 0.1, TIMES_S))
    for point in autoware_points(autoware, plan, ego):
        assert point.longitudinal_velocity_mps == pytest.approx(-2.0)
        assert point.front_wheel_angle_rad == pytest.approx(-math.atan(3.0 * 0.1 / 2.0))
    distances = -2.0 * TIMES_S - TIMES_S**2 / 2.0
    plan = Trajectory(STAMP_NS, np.stack([distances, 0 * distances, 0 * distances], axis=-1))
    points = autoware_points(autoware, plan, ego)
    assert points[3].longitudinal_velocity_mps == pytest.approx(-3.5)
    assert points[3].acceleration_mps2 == pytest.approx(1.0)


def test_autoware_at_rest(autoware):
    """A standing vehicle has no curvature; its wheels point ahead."""
    ego = EgoState(STAMP_NS, np.zeros(3), np.zeros(2), yaw_rate=0.01)
    plan = Trajectory(STAMP_NS, np.zeros((8, 3)))
    assert all(point.front_wheel_angle_rad == 0.0
               for point in autoware_points(autoware, plan, ego))


def build_all(kit, autoware, plan, ego, frame_id):
    """Yield a way to build each output."""
    types = kit.types
    return [lambda: outputs.multi_dof_trajectory(types, plan, ego, frame_id, 0.1),
            lambda: outputs.path(types, plan, ego, frame_id, 0.1),
            lambda: outputs.plan_markers(types, {'plan': plan}, ego, frame_id, 0.5),
            lambda: autoware_points(autoware, plan, ego, frame_id)]


def test_other_frame(kit, autoware):
    """A frame that the odometry says nothing about is refused by every output."""
    for build in build_all(kit, autoware, PLAN, EGO, 'odom'):
        with pytest.raises(ConversionError, match="to 'odom', the odometry is given in 'map'"):
            build()


def test_other_stamp(kit, autoware):
    """An ego state of another instant is refused by every output, in base_link too."""
    later = EgoState(STAMP_NS + 1, EGO.pose, EGO.velocity, frame_id='map')
    for build in build_all(kit, autoware, PLAN, later, 'base_link'):
        with pytest.raises(ConversionError, match='interpolate the odometry'):
            build()


def test_odometry_to_trajectory(kit):
    """From message to message: the plan starts where the odometry says the car is."""
    pose = kit.types['geometry_msgs/msg/Pose'](
        position=kit.vector('Point', 3.0, 4.0, 0.0),
        orientation=kit.vector('Quaternion', 0.0, 0.0, 0.6, 0.8))
    twist = kit.types['geometry_msgs/msg/Twist'](
        linear=kit.vector('Vector3', 8.0, 0.0, 0.0), angular=kit.vector('Vector3', 0.0, 0.0, 0.0))
    covariance = np.zeros(36)
    ego = ego_state(kit.types['nav_msgs/msg/Odometry'](
        header=kit.header(STAMP_NS, 'odom'), child_frame_id='base_link',
        pose=kit.types['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=covariance),
        twist=kit.types['geometry_msgs/msg/TwistWithCovariance'](twist=twist,
                                                                 covariance=covariance)))
    start = outputs.path(kit.types, PLAN, ego, 'odom', 0.5).poses[0].pose
    assert flat_pose(start.position, start.orientation) == pytest.approx(
        [3.0, 4.0, 2.0 * math.atan2(0.6, 0.8)])


def test_candidate_array(kit):
    plans = {'imitation': PLAN, 'kinematic': Trajectory(PLAN.stamp_ns, PLAN.poses + 1.0)}
    message = outputs.candidate_array(kit.types, plans)
    sizes = [(dim.label, dim.size, dim.stride) for dim in message.layout.dim]
    count = len(PLAN.poses)
    assert sizes == [('imitation,kinematic', 2, 6 * count), ('pose', count, 3 * count),
                     ('x,y,heading', 3, 3)]
    np.testing.assert_allclose(np.reshape(message.data, (2, count, 3)),
                               [plan.poses for plan in plans.values()], rtol=1e-6)
