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

"""Message classes by name."""

from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.message_types import MessageTypes
import pytest


def test_same_class_every_time(kit):
    """A lookup yields the class itself."""
    assert kit.types['geometry_msgs/msg/Pose'] is kit.types['geometry_msgs/msg/Pose']


def test_installed_is_what_ros_imports():
    """Built messages must be of the very classes that publishers check for."""
    messages = pytest.importorskip('geometry_msgs.msg')
    assert MessageTypes.installed()['geometry_msgs/msg/Pose'] is messages.Pose


@pytest.mark.parametrize('name', ['no_such_msgs/msg/Pose', 'geometry_msgs/msg/NoSuch'])
def test_unknown_type(kit, name):
    """The error names the type; membership is false."""
    assert name not in kit.types
    with pytest.raises(ConversionError, match=name):
        kit.types[name]


def test_membership(kit):
    """Optional outputs ask before they are switched on."""
    assert 'nav_msgs/msg/Path' in kit.types
