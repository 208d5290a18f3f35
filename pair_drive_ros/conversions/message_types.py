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

"""Message classes by their full name, from installed ROS packages or from a rosbags typestore."""

from collections.abc import Callable
import importlib
from typing import Any

from pair_drive_ros.conversions.errors import ConversionError


class MessageTypes:
    """
    Look up message classes: ``types['geometry_msgs/msg/Pose']``.

    Whoever builds a message names every field of it, because the classes of rosbags have no
    defaults.
    """

    def __init__(self, find: Callable[[str], type], remedy: str):
        self._find = find
        self._remedy = remedy
        self._found: dict[str, type] = {}

    @classmethod
    def installed(cls) -> 'MessageTypes':
        """Take the classes that rclpy publishes, from the sourced ROS environment."""
        return cls(_import_class, 'install the package that defines it and source its setup file')

    @classmethod
    def of_typestore(cls, typestore: Any) -> 'MessageTypes':
        """Take the classes of a ``rosbags.typesys`` store."""
        return cls(typestore.types.__getitem__, 'register its definition in the typestore')

    def __getitem__(self, name: str) -> Any:
        """
        Return the class.

        :param name: ``package/msg/Type``
        :raises ConversionError: when the source has no such class
        """
        if name not in self._found:
            try:
                self._found[name] = self._find(name)
            except (ImportError, AttributeError, KeyError) as error:
                raise ConversionError(f'message type {name} is not available; '
                                      f'{self._remedy}') from error
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether the class is available."""
        try:
            self[name]
        except ConversionError:
            return False
        return True


def _import_class(name: str) -> type:
    package, kind, type_name = name.split('/')
    return getattr(importlib.import_module(f'{package}.{kind}'), type_name)
