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

"""Networks that read the cameras laid on the ground get calibrations with poses, or say so."""

from dataclasses import replace
from importlib.machinery import ModuleSpec
import sys
from types import ModuleType, SimpleNamespace

from geometry_msgs.msg import TransformStamped
import numpy as np
from pair_drive_ros.conversions.camera_info import camera_calibration
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.nodes import inputs
from pair_drive_ros.nodes.parameter_table import defaults
from pair_drive_ros.nodes.sensor_poses import SensorPoses
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from tiny_network import OPTICAL, straight_transfuser, TINY

# What a camera looks like that sees straight ahead: the z axis of its frame is the car's x axis.
AHEAD = [1.5, 0.0, 1.6, -np.pi / 2, 0.0, -np.pi / 2]
LEFT = [1.4, 0.2, 1.7, -np.pi / 2, 0.0, 0.0]
UNKNOWN = ('front: the pose of the camera in base_link is not known; set the parameter '
           'camera_extrinsics, or publish it on /tf_static')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> str:
    """Weights of a network that reads the ground view and goes straight on whatever it sees."""
    network = straight_transfuser(replace(TINY, ground_view=True, sensor_validity=True))
    path = tmp_path_factory.mktemp('weights') / 'ground.safetensors'
    save_checkpoint(path, network, TrainingRecord('a test track', 0, 'abc1234'))
    return str(path)


@pytest.fixture
def calibrated(monkeypatch):
    """Return the list of all poses that calibrations are made with."""
    poses = []

    def spy(message, base_from_camera=None):
        poses.append(base_from_camera)
        return camera_calibration(message, base_from_camera)

    monkeypatch.setattr(inputs, 'camera_calibration', spy)
    return poses


@pytest.fixture
def tf2_msgs(monkeypatch):
    """Stand in for a package that no wheel has: a message of /tf_static holds one transform."""
    package, module = ModuleType('tf2_msgs'), ModuleType('tf2_msgs.msg')
    package.__spec__ = ModuleSpec('tf2_msgs', None)
    module.TFMessage = TransformStamped
    monkeypatch.setitem(sys.modules, 'tf2_msgs', package)
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', module)
    add = SensorPoses.add_transforms
    monkeypatch.setattr(SensorPoses, 'add_transforms',
                        lambda self, message: add(self, SimpleNamespace(transforms=[message])))


def transform(child='front', parent='base_link') -> TransformStamped:
    """Place a camera that looks straight ahead."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.z = 1.5, 1.6
    turn.x, turn.y, turn.z, turn.w = 0.5, -0.5, 0.5, -0.5
    return message


def without(kind):
    """Keep the messages of one kind from going out."""
    return lambda message: None if type(message).__name__ == kind else message


def poses(**values):
    return SensorPoses({**defaults(), **values})


def is_now(rig, state):
    return lambda: bool(rig.statuses) and rig.statuses[-1]['state'] == state


def test_with_extrinsics_of_every_camera_it_is_normal(make_rig, checkpoint, calibrated):
    rig = make_rig(cameras=['left', 'front', 'right'], checkpoint=checkpoint,
                   camera_extrinsics=[*LEFT, *AHEAD, *AHEAD])
    assert rig.drive(is_now(rig, 'NORMAL'))
    assert rig.drive(lambda: len(rig.plans) >= 5)
    # Made once for each camera, though camera_info comes with every image.
    assert len(calibrated) == 3
    left, front, _ = calibrated
    np.testing.assert_allclose(front[:3, :3], OPTICAL, atol=1e-9)
    np.testing.assert_allclose(front[:3, 3], AHEAD[:3])
    np.testing.assert_allclose(left[:3, 2], [0.0, 1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(left[:3, 3], LEFT[:3])


def test_an_unknown_pose_is_the_reason_and_nothing_breaks(make_rig, checkpoint):
    rig = make_rig(checkpoint=checkpoint)
    assert rig.drive(rig.saw('reason', UNKNOWN))
    assert not rig.plans
    assert int(rig.statuses[-1]['input_errors']) == 0


def test_without_camera_info_it_is_asked_for_until_it_comes(make_rig, checkpoint):
    rig = make_rig(checkpoint=checkpoint, camera_extrinsics=AHEAD)
    rig.spoil = without('CameraInfo')
    assert rig.drive(rig.saw('reason', 'front: no calibration of the camera is known'))
    assert rig.saw('reason', 'publish its camera_info')()
    assert not rig.plans
    rig.spoil = lambda message: message
    assert rig.drive(lambda: len(rig.plans) >= 3)


@pytest.mark.parametrize('changes', [{}, {'camera_extrinsics': AHEAD}])
@pytest.mark.parametrize('spoil', [without('CameraInfo'), lambda message: message])
def test_engines_that_do_not_read_the_ground_need_none_of_it(make_rig, changes, spoil):
    rig = make_rig(**changes)
    rig.spoil = spoil
    assert rig.drive(lambda: len(rig.plans) >= 3)


@pytest.mark.parametrize('empty_image_frame', [False, True])
def test_transforms_that_come_late_are_used(make_rig, checkpoint, tf2_msgs, calibrated,
                                            empty_image_frame):
    rig = make_rig(checkpoint=checkpoint)

    def spoil(message):
        # Then the frame that camera_info names counts.
        if empty_image_frame and type(message).__name__ == 'CompressedImage':
            message.header.frame_id = ''
        return message

    rig.spoil = spoil
    assert rig.drive(rig.saw('reason', UNKNOWN))
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = rig.vehicle.create_publisher(TransformStamped, '/tf_static', latched)
    publisher.publish(transform())
    assert rig.drive(lambda: len(rig.plans) >= 3)
    assert len(calibrated) == 2 and calibrated[0] is None
    np.testing.assert_allclose(calibrated[1][:3], np.column_stack([OPTICAL, AHEAD[:3]]),
                               atol=1e-9)


@pytest.mark.parametrize('values, needs', [
    ({}, True), ({'camera_extrinsics': 3 * AHEAD}, True),
    ({'lidar.extrinsics': AHEAD}, True),
    ({'camera_extrinsics': 3 * AHEAD, 'lidar.extrinsics': AHEAD}, False),
    ({'camera_extrinsics': 3 * AHEAD, 'lidar.enabled': False}, False),
    ({'cameras': (), 'lidar.extrinsics': AHEAD}, False)])
def test_transforms_are_needed_unless_parameters_say_everything(values, needs):
    assert poses(**values).needs_transforms is needs


def test_what_parameters_give_is_not_looked_up():
    known = poses(camera_extrinsics=[*LEFT, *AHEAD, *AHEAD])
    known.add_transforms(SimpleNamespace(transforms=[transform('left')]))
    np.testing.assert_allclose(known.base_from_camera('left', 'left')[:3, 3], LEFT[:3])
    # A camera of any frame, even of none.
    assert known.base_from_camera('front', '') is known.base_from_camera('front', 'somewhere')
    np.testing.assert_allclose(known.base_from_camera('front', '')[:3, :3], OPTICAL, atol=1e-9)


def test_poses_stay_the_same_array_until_transforms_come():
    tree = poses()
    assert tree.base_from_camera('front', 'front') is None
    tree.add_transforms(SimpleNamespace(transforms=[transform('front', 'mast')]))
    assert tree.base_from_camera('front', 'front') is None
    tree.add_transforms(SimpleNamespace(transforms=[transform('mast')]))
    found = tree.base_from_camera('front', 'front')
    assert tree.base_from_camera('front', 'front') is found
    np.testing.assert_allclose(found[:3, :3], OPTICAL @ OPTICAL, atol=1e-9)
    tree.add_transforms(SimpleNamespace(transforms=[transform('other')]))
    np.testing.assert_array_equal(tree.base_from_camera('front', 'front'), found)
    np.testing.assert_array_equal(tree.base_from_lidar('front'), found)


def test_a_camera_is_not_in_base_link_itself():
    """The frame of the car is no optical one; of points it is a good one."""
    assert poses().base_from_camera('front', 'base_link') is None
    np.testing.assert_array_equal(poses().base_from_lidar('base_link'), np.eye(4))
    with pytest.raises(ConversionError, match=r"from 'top' to 'base_link'.*set lidar\.extrinsics"):
        poses().base_from_lidar('top')
