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

"""The transform tree: through any common ancestor, and nowhere without one."""

import math
from types import SimpleNamespace

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.rotation import quaternion_from_yaw
from pair_drive_ros.conversions.transforms import StaticTransforms
from pair_drive_ros.core.geometry import transform_points
import pytest

NO_TURN = (0.0, 0.0, 0.0, 1.0)


def tf_message(kit, *edges):
    """Build a TFMessage of edges (parent, child, translation, quaternion)."""
    return SimpleNamespace(transforms=[
        kit.types['geometry_msgs/msg/TransformStamped'](
            header=kit.header(frame_id=parent), child_frame_id=child,
            transform=kit.types['geometry_msgs/msg/Transform'](
                translation=kit.vector('Vector3', *translation),
                rotation=kit.vector('Quaternion', *rotation)))
        for parent, child, translation, rotation in edges])


@pytest.fixture
def rig(kit):
    """Return base_link -> mast (1 up, turned left) -> lidar (2 ahead); base_link -> camera."""
    transforms = StaticTransforms()
    left = tuple(quaternion_from_yaw(math.pi / 2).tolist())
    transforms.add(tf_message(kit, ('mast', 'lidar', (2.0, 0.0, 0.0), NO_TURN)))
    transforms.add(tf_message(kit, ('base_link', 'mast', (0.0, 0.0, 1.0), left),
                              ('base_link', 'camera', (3.0, 0.0, 0.0), NO_TURN)))
    return transforms


@pytest.mark.parametrize(('target', 'source', 'point', 'wanted'), [
    ('base_link', 'lidar', (1, 0, 0), (0, 3, 1)),
    ('lidar', 'base_link', (0, 3, 1), (1, 0, 0)),
    ('camera', 'lidar', (1, 0, 0), (-3, 3, 1)),
    ('mast', 'lidar', (1, 1, 1), (3, 1, 1)),
    ('lidar', 'lidar', (1, 2, 3), (1, 2, 3)),
])
def test_lookup(rig, target, source, point, wanted):
    """Down, up, across, one step and nowhere, whatever the order of the messages."""
    moved = transform_points(rig.lookup(target, source), np.array([point], float))
    np.testing.assert_allclose(moved, [wanted], atol=1e-12)


def test_no_path(rig, kit):
    """The error lists what is known, the parents included."""
    rig.add(tf_message(kit, ('map', 'odom', (0.0, 0.0, 0.0), NO_TURN)))
    with pytest.raises(ConversionError, match="from 'odom' to 'base_link'; known frames: "
                                              'base_link, camera, lidar, map, mast, odom'):
        rig.lookup('base_link', 'odom')
    with pytest.raises(ConversionError, match="from 'radar' to 'base_link'"):
        rig.lookup('base_link', 'radar')


def test_nothing_known():
    """An empty tree says that it is empty."""
    with pytest.raises(ConversionError, match='known frames: none'):
        StaticTransforms().lookup('base_link', 'lidar')


def test_newer_transform_wins(rig, kit):
    """A republished calibration replaces the old one."""
    rig.add(tf_message(kit, ('base_link', 'camera', (5.0, 0.0, 0.0), NO_TURN)))
    np.testing.assert_allclose(rig.lookup('base_link', 'camera')[:3, 3], [5.0, 0.0, 0.0])


@pytest.mark.parametrize('edge', [('lidar', 'base_link'), ('camera', 'camera')])
def test_loops_are_refused(rig, kit, edge):
    """A loop would have no root; the tree stays as it was."""
    with pytest.raises(ConversionError, match='loop'):
        rig.add(tf_message(kit, (*edge, (0.0, 0.0, 0.0), NO_TURN)))
    np.testing.assert_allclose(rig.lookup('base_link', 'camera')[:3, 3], [3.0, 0.0, 0.0])


@pytest.mark.parametrize(('translation', 'rotation', 'wrong'), [
    ((0.0, math.nan, 0.0), NO_TURN, 'y is nan'),
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), 'no rotation'),
])
def test_impossible_transforms(kit, translation, rotation, wrong):
    """The error names both frames."""
    message = tf_message(kit, ('base_link', 'lidar', translation, rotation))
    with pytest.raises(ConversionError, match=f"from 'lidar' to 'base_link': .*{wrong}"):
        StaticTransforms().add(message)
