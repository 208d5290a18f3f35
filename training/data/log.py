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

"""OpenScene logs (v1.1, NAVSIM's): one pickle per log, one dictionary per 2 Hz frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pair_drive_ros.conversions.rotation import rotation_matrix
from pair_drive_ros.core.geometry import rigid_transform
from pair_drive_training.data.frame_fields import Fields, read_annotations, read_cameras
from pair_drive_training.data.frames import Frame, LogError
from pair_drive_training.data.unpickling import load_pickle

_ANNOTATIONS = {'boxes': 'gt_boxes', 'names': 'gt_names', 'velocity': 'gt_velocity_3d',
                'instances': 'instance_tokens', 'tracks': 'track_tokens'}
_UNIT_TOLERANCE = 1e-14


@dataclass(frozen=True)
class LogFrames:
    """All frames of one log, in the order of time; ``map_name`` as in the maps' folder."""

    log_name: str
    map_name: str
    frames: tuple[Frame, ...]


def find_logs(folder: Path) -> list[Path]:
    """
    Find the logs of a folder, or of its sub-folders one or two levels down (trainval, test).

    :return: paths of ``*.pkl``, sorted by file name
    :raises LogError: when there is none
    """
    if not folder.is_dir():
        raise LogError(f'{folder}: no such folder; give the folder of the logs '
                       '(navsim_logs/test, or navsim_logs above it)')
    logs = [path for pattern in ('*.pkl', '*/*.pkl', '*/*/*.pkl') for path in folder.glob(pattern)
            if not path.name.startswith('.')]
    if not logs:
        raise LogError(f'{folder}: neither here nor two levels below lies a log (*.pkl); give the '
                       'folder of the logs (navsim_logs/test, or navsim_logs above it)')
    return sorted(logs, key=lambda path: (path.name, path))


def read_log(path: Path) -> LogFrames:
    """
    Read and check a log.

    :raises LogError: when the file, or a frame of it, cannot be used
    """
    raw = load_pickle(path)
    if not isinstance(raw, list) or not raw:
        raise LogError(f'{path}: expected a list of frames, got {type(raw).__name__}; is this a '
                       'log of OpenScene (navsim_logs/<split>/<log>.pkl)?')
    fields = [Fields(values, f'{path}, frame {index}') for index, values in enumerate(raw)]
    frames = tuple(_read_frame(frame) for frame in fields)
    for key in ('log_name', 'map_location'):
        if len({frame.text(key) for frame in fields}) > 1:
            raise LogError(f'{path}: {key} changes within the log; one file holds one log, get it '
                           'again from its source')
    check_order(frames, str(path))
    return LogFrames(fields[0].text('log_name'), map_name(fields[0].text('map_location')), frames)


def map_name(location: str) -> str:
    """Return the name of a log's city in the maps' folder."""
    return 'us-nv-las-vegas-strip' if location == 'las_vegas' else location


def check_order(frames: tuple[Frame, ...], where: str) -> None:
    """
    Check that time ascends and that every frame has a token of its own.

    :raises LogError: naming the first pair that does not
    """
    seen: dict[str, int] = {}
    for index, frame in enumerate(frames):
        if index and frame.time_us <= frames[index - 1].time_us:
            raise LogError(f'{where}, frame {index}: its timestamp {frame.time_us} does not come '
                           f'after {frames[index - 1].time_us} of the frame before; get the file '
                           'again from its source')
        if frame.token in seen:
            raise LogError(f'{where}, frame {index}: frame {seen[frame.token]} has the token '
                           f'{frame.token} too; get the file again from its source')
        seen[frame.token] = index


def yaw_of(quaternion: np.ndarray) -> float:
    """
    Return the yaw, rad, of a quaternion [4] w, x, y, z as the devkit reads it.

    This is pyquaternion's ``yaw_pitch_roll`` (sic): with roll and pitch it is not the direction of
    the rotated x axis. All of NAVSIM's poses, boxes and plans are made with it.
    """
    squared = np.dot(quaternion, quaternion)
    if abs(1.0 - squared) >= _UNIT_TOLERANCE:
        quaternion = quaternion / np.sqrt(squared)
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * z - x * y), 1 - 2 * (y ** 2 + z ** 2)))


def _read_frame(fields: Fields) -> Frame:
    position = fields.numbers('ego2global_translation', 3, dtype=np.float64)
    motion = fields.numbers('ego_dynamic_state', 4).astype(np.float32)
    return Frame(
        token=fields.text('token'), time_us=fields.integer('timestamp'),
        roadblock_ids=fields.names('roadblock_ids'),
        traffic_lights=fields.lights('traffic_lights'),
        annotations=read_annotations(fields.part('anns'), _ANNOTATIONS),
        pose=np.array([position[0], position[1], yaw_of(
            _quaternion(fields, 'ego2global_rotation'))]),
        velocity=motion[:2], acceleration=motion[2:],
        command=fields.numbers('driving_command', 4, dtype=np.float32),
        cameras=read_cameras(fields.parts('cams')), lidar_path=fields.path('lidar_path'),
        lidar2ego=_lidar2ego(fields))


def _lidar2ego(fields: Fields) -> np.ndarray:
    quaternion = _quaternion(fields, 'lidar2ego_rotation')
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return rigid_transform(fields.numbers('lidar2ego_translation', 3, dtype=np.float64),
                           rotation_matrix((x, y, z, w)))


def _quaternion(fields: Fields, key: str) -> np.ndarray:
    quaternion = fields.numbers(key, 4, dtype=np.float64)
    if not quaternion.any():
        raise fields.error(f'{key}: all zero, no rotation')
    return quaternion
