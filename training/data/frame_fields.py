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

"""Checked access to the dictionaries that logs and synthetic scenes consist of."""

from collections.abc import Iterable, Mapping, Sequence
import numbers

import numpy as np
from pair_drive_ros.core.geometry import rigid_transform
from pair_drive_training.data.frames import Annotations, CameraRecord, LogError

_CALIBRATION = ('sensor2lidar_rotation', 'sensor2lidar_translation', 'cam_intrinsic',
                'distortion')
_REMEDY = ("is this a file of OpenScene v1.1, as NAVSIM's download scripts fetch it? If so, copy "
           'it again and compare its checksum with the source')


class Fields:
    """
    One dictionary of a file and where it lies there.

    Every method raises :class:`LogError` when a value is missing or cannot be what it should be;
    the sentence names the place, the key and the remedy.
    """

    def __init__(self, values: object, where: str):
        self.where = where
        if not isinstance(values, Mapping):
            raise self.error(f'expected a dictionary, got {type(values).__name__}')
        self._values = values

    def error(self, what: str) -> LogError:
        """Return the error for what is wrong here."""
        return LogError(f'{self.where}: {what}; {_REMEDY}')

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def __getitem__(self, key: str) -> object:
        try:
            return self._values[key]
        except KeyError:
            raise self.error(f'there is no {key!r}') from None

    def part(self, key: str) -> 'Fields':
        """Return the dictionary under a key."""
        return Fields(self[key], f'{self.where}, {key}')

    def parts(self, key: str) -> list[tuple[str, 'Fields']]:
        """Return the names and dictionaries in the dictionary under a key."""
        return [(str(name), Fields(values, f'{self.where}, {key}, {name}'))
                for name, values in self.part(key)._values.items()]

    def items(self, key: str) -> Sequence:
        """Return the list under a key."""
        values = self[key]
        if not (isinstance(values, list | tuple)
                or (isinstance(values, np.ndarray) and values.ndim)):
            raise self.error(f'{key}: expected a list, got {type(values).__name__}')
        return values

    def text(self, key: str) -> str:
        """Return text."""
        value = self[key]
        if not isinstance(value, str) or not value:
            raise self.error(f'{key}: expected text, got {value!r}')
        return str(value)

    def path(self, key: str) -> str | None:
        """Return a path as text with forward slashes, or None where the file has none."""
        value = self[key]
        return None if value is None else str(value)

    def integer(self, key: str) -> int:
        """Return a whole number."""
        value = self[key]
        if not isinstance(value, numbers.Integral):
            raise self.error(f'{key}: expected a whole number, got {value!r}')
        return int(value)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of texts or whole numbers as texts."""
        return tuple(self._name(key, value) for value in self.items(key))

    def numbers(self, key: str, *shape: int, dtype: type | None = None,
                finite: bool = True) -> np.ndarray:
        """Return numbers of a shape, finite if asked; -1 stands for any length, 0 included."""
        value = self[key]
        try:
            array = np.asarray(value, dtype)
        except (TypeError, ValueError) as error:
            raise self.error(f'{key}: no array of numbers ({error})') from error
        if array.dtype.kind not in 'biuf':
            raise self.error(f'{key}: expected numbers, got an array of {array.dtype}')
        if array.size == 0 and shape[:1] == (-1,):
            array = array.reshape(0, *shape[1:])
        if array.ndim != len(shape) or any(
                want not in (-1, have) for want, have in zip(shape, array.shape, strict=True)):
            raise self.error(f'{key}: expected shape {_shape_text(shape)}, got '
                             f'{_shape_text(array.shape)}')
        if finite and not np.isfinite(array).all():
            raise self.error(f'{key}: not finite')
        return array

    def lights(self, key: str) -> tuple[tuple[str, bool], ...]:
        """Return pairs of a lane connector's id and whether its light is red."""
        pairs = self.items(key)
        if not all(isinstance(pair, list | tuple | np.ndarray) and len(pair) == 2
                   for pair in pairs):
            raise self.error(f"{key}: expected pairs of a lane connector's id and whether it is "
                             'red')
        return tuple((self._name(key, connector), bool(is_red)) for connector, is_red in pairs)

    def _name(self, key: str, value: object) -> str:
        if not isinstance(value, (str, numbers.Integral)):
            raise self.error(f'{key}: expected texts or whole numbers, got {value!r}')
        return str(value)


def read_annotations(fields: Fields, keys: Mapping[str, str]) -> Annotations:
    """
    Read the boxes of a frame, in the precision of the file.

    :param keys: the file's names of boxes, names, velocity, instances and tracks
    """
    boxes = fields.numbers(keys['boxes'], -1, 7)
    # One unknown velocity must not cost a whole log; the scenes that need it say so.
    velocity = fields.numbers(keys['velocity'], -1, 3, finite=False)
    names, tracks = fields.names(keys['names']), fields.names(keys['tracks'])
    lengths = {keys['boxes']: len(boxes), keys['velocity']: len(velocity),
               keys['names']: len(names), keys['tracks']: len(tracks),
               keys['instances']: len(fields.items(keys['instances']))}
    if len(set(lengths.values())) != 1:
        raise fields.error('the lists differ in length: ' + ', '.join(
            f'{key} {length}' for key, length in lengths.items()))
    return Annotations(boxes, names, velocity, tracks)


def read_cameras(cameras: Iterable[tuple[str, Fields]]) -> dict[str, CameraRecord]:
    """Read the calibrated cameras of a frame by NAVSIM's names in capitals."""
    return {name.upper(): CameraRecord(
        str(camera['data_path']),
        rigid_transform(camera.numbers('sensor2lidar_translation', 3),
                        camera.numbers('sensor2lidar_rotation', 3, 3)),
        camera.numbers('cam_intrinsic', 3, 3), camera.numbers('distortion', 5))
        for name, camera in cameras
        # Whoever scores without images may have logs without calibration.
        if 'data_path' in camera and all(key in camera for key in _CALIBRATION)}


def _shape_text(shape: tuple[int, ...]) -> str:
    return '[' + ', '.join('N' if size == -1 else str(size) for size in shape) + ']'
