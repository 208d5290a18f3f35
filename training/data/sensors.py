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

"""Camera images and LiDAR sweeps of a log's frames, from NAVSIM's sensor blobs."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePath
from types import SimpleNamespace

import numpy as np
from pair_drive_ros.conversions.errors import ConversionError
from pair_drive_ros.conversions.image import decode_compressed
from pair_drive_training.data.frames import CameraRecord, Frame, SceneFrames
from pair_drive_training.data.point_cloud_file import decode_pcd


class SensorError(ValueError):
    """A sensor file is missing or unusable; the sentence names the file and the remedy."""


def read_camera(sensors_root: Path, record: CameraRecord) -> np.ndarray:
    """
    Decode one image, a JPEG or a PNG, as it was taken: not undistorted, EXIF orientation ignored.

    :param sensors_root: the folder with the logs' folders, or the one above its splits
    :return: uint8 [H, W, 3], RGB
    :raises SensorError: when the file is missing, truncated or not of its calibration's size
    """
    path = _sensor_path(sensors_root, record.data_path)
    content = _content(path)
    try:
        image = decode_compressed(SimpleNamespace(data=content))
    except ConversionError as error:
        raise SensorError(f'{path}: the {len(content)} bytes are no whole JPEG or PNG image; copy '
                          'the file again') from error
    height, width = image.shape[:2]
    column, row = record.intrinsics[:2, 2]
    if not (0.0 < column < width and 0.0 < row < height):
        raise SensorError(f'{path}: the image has {width} x {height} pixels, but its calibration '
                          f'puts the optical axis at ({column:.0f}, {row:.0f}); use the original '
                          'image of the dataset, not a resized one')
    return image


def read_lidar(sensors_root: Path, frame: Frame) -> np.ndarray:
    """
    Read the merged sweep of a frame, float32 [6, N]: rows as in ``POINT_FIELDS``.

    The points are in the LiDAR frame of the log, as stored; ``lidar2ego`` is not applied.

    :param sensors_root: the folder with the logs' folders, or the one above its splits
    :raises SensorError: when the log names no sweep or the file is missing
    :raises PointCloudFileError: when the file is truncated or no binary PCD of a merged sweep
    """
    path = _sensor_path(sensors_root, _lidar_path(frame))
    return decode_pcd(_content(path), path)


def camera_record(frame: Frame, name: str) -> CameraRecord:
    """
    Return the record of a camera by NAVSIM's name.

    :raises SensorError: when the log does not name the camera with its calibration
    """
    if name not in frame.cameras:
        raise SensorError(f'frame {frame.token}: the log has no calibrated {name}, only '
                          f'{", ".join(frame.cameras) or "no camera"}; use a log of the '
                          'OpenScene dataset with its sensors')
    return frame.cameras[name]


def missing_files(sensors_root: Path, scene: SceneFrames, cameras: Iterable[str],
                  lidar: bool) -> list[Path]:
    """
    Name the sensor files of the current frame that are absent or empty; nothing is opened.

    :param cameras: NAVSIM's names of the cameras that are needed
    :param lidar: whether the sweep is needed
    :raises SensorError: when the log itself does not name one of them
    """
    named = [camera_record(scene.now, name).data_path for name in cameras]
    if lidar:
        named.append(_lidar_path(scene.now))
    paths = [_sensor_path(sensors_root, relative) for relative in named]
    return [path for path in paths if not path.is_file() or path.stat().st_size == 0]


def _lidar_path(frame: Frame) -> str:
    if frame.lidar_path is None:
        raise SensorError(f'frame {frame.token}: the log names no LiDAR sweep; leave the scene '
                          'out, or use a policy that drives without LiDAR')
    return frame.lidar_path


def _sensor_path(sensors_root: Path, relative: str) -> Path:
    return _log_root(sensors_root, PurePath(relative).parts[0]) / relative


# Asked once per log, for a folder of logs on a network disk is slow to list.
@cache
def _log_root(sensors_root: Path, log_folder: str) -> Path:
    """Return the folder that holds the log's: ``sensors_root`` or a split's folder in it."""
    if not sensors_root.is_dir():
        raise SensorError(f'{sensors_root}: no such folder; name the folder of the sensor blobs')
    if (sensors_root / log_folder).exists():
        return sensors_root
    splits = sorted(path.parent for path in sensors_root.glob(f'*/{log_folder}'))
    return splits[0] if splits else sensors_root


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SensorError(f'{path}: no such file; download the sensor blobs of this log, and name '
                          "the folder that holds the logs' folders or the one above its splits "
                          '(trainval, test)') from error
    except OSError as error:
        raise SensorError(f'{path}: cannot be read ({error.strerror}); check the disk and the '
                          "file's rights") from error
