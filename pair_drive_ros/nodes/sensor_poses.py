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

"""Where the sensors sit: from the parameters, or else from /tf_static."""

import threading
from typing import Any

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.outputs import BASE_FRAME
from pair_drive_ros.conversions.rotation import rotation_from_rpy
from pair_drive_ros.conversions.transforms import StaticTransforms
from pair_drive_ros.core.geometry import rigid_transform


class SensorPoses:
    """
    The pose of every sensor in ``base_link``.

    Thread-safe: a callback adds transforms, the planner thread asks. What parameters give is not
    looked up.

    :param values: the node's parameters
    """

    def __init__(self, values: dict[str, Any]):
        lidar, cameras = values['lidar.extrinsics'], np.reshape(values['camera_extrinsics'],
                                                                (-1, 6))
        self._lidar = _pose(lidar) if lidar else None
        self._cameras = ({name: _pose(numbers) for name, numbers
                          in zip(values['cameras'], cameras, strict=True)} if len(cameras) else {})
        self.needs_transforms = bool(
            (values['lidar.enabled'] and self._lidar is None)
            or (values['cameras'] and not self._cameras))
        """Whether a sensor's pose is not among the parameters."""
        self._transforms = StaticTransforms()
        self._looked_up: dict[str, np.ndarray | None] = {}
        self._lock = threading.Lock()

    def add_transforms(self, message: Any) -> None:
        """
        Take in a message of /tf_static.

        :raises ConversionError: see :class:`StaticTransforms`
        """
        with self._lock:
            self._looked_up.clear()
            self._transforms.add(message)

    def base_from_lidar(self, frame_id: str) -> np.ndarray:
        """
        Return the transform [4, 4] of the points' frame to ``base_link``.

        :raises ConversionError: when it is not known
        """
        if self._lidar is not None:
            return self._lidar
        try:
            with self._lock:
                return self._transforms.lookup(BASE_FRAME, frame_id)
        except ConversionError as error:
            raise ConversionError(f'{error}; set lidar.extrinsics') from error

    def base_from_camera(self, name: str, frame_id: str) -> np.ndarray | None:
        """
        Return the transform [4, 4] of a camera's optical frame to ``base_link``.

        None where it is not known, which only some networks mind. The same array is returned
        until a transform is added.

        :param frame_id: of the optical frame
        """
        if name in self._cameras:
            return self._cameras[name]
        with self._lock:
            if frame_id not in self._looked_up:
                self._looked_up[frame_id] = self._found(frame_id)
            return self._looked_up[frame_id]

    def _found(self, frame_id: str) -> np.ndarray | None:
        # No optical frame is base_link, whose z axis points up: the driver left its own out.
        if frame_id == BASE_FRAME:
            return None
        try:
            return self._transforms.lookup(BASE_FRAME, frame_id)
        except ConversionError:
            return None


def _pose(numbers: Any) -> np.ndarray:
    return rigid_transform(np.array(numbers[:3]), rotation_from_rpy(*numbers[3:]))
