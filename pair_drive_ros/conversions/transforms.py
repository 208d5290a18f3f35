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

"""Where the sensors sit: the tree of static transforms."""

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError, finite_fields, Message
from pair_drive_ros.conversions.rotation import message_quaternion, rotation_matrix
from pair_drive_ros.core.geometry import invert_transform, rigid_transform


class StaticTransforms:
    """The transforms of ``/tf_static``, collected message by message."""

    def __init__(self) -> None:
        # child frame -> (parent frame, parent_from_child)
        self._parents: dict[str, tuple[str, np.ndarray]] = {}

    def add(self, msg: Message) -> None:
        """
        Take in a tf2_msgs/TFMessage; a frame that is already known gets the newer transform.

        :raises ConversionError: when a transform is not rigid or would close a loop; those of
            the message before it have been taken
        """
        for stamped in msg.transforms:
            parent, child = stamped.header.frame_id, stamped.child_frame_id
            name = f'transform from {child!r} to {parent!r}'
            if child in self._chain(parent):
                raise ConversionError(f'{name}: the frames would form a loop; '
                                      'each frame needs one parent')
            translation = finite_fields(stamped.transform.translation, name, ('x', 'y', 'z'))
            rotation = rotation_matrix(message_quaternion(stamped.transform.rotation, name))
            self._parents[child] = parent, rigid_transform(translation, rotation)

    def lookup(self, target_frame: str, source_frame: str) -> np.ndarray:
        """
        Return the 4x4 ``target_from_source``.

        :raises ConversionError: when nothing connects the frames
        """
        from_target, from_source = self._chain(target_frame), self._chain(source_frame)
        common = next((frame for frame in from_source if frame in from_target), None)
        if common is None:
            frames = sorted({*self._parents, *(parent for parent, _ in self._parents.values())})
            raise ConversionError(f'no static transform from {source_frame!r} to '
                                  f'{target_frame!r}; known frames: {", ".join(frames) or "none"}')
        return invert_transform(from_target[common]) @ from_source[common]

    def _chain(self, frame: str) -> dict[str, np.ndarray]:
        """Ancestors of the frame up to its root, itself first: ``ancestor_from_frame``."""
        transform = np.eye(4)
        chain = {frame: transform}
        while frame in self._parents:
            frame, parent_from_frame = self._parents[frame]
            transform = parent_from_frame @ transform
            chain[frame] = transform
        return chain
