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

"""The network's features of a logged scene, small enough to be stored for a whole dataset."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pair_drive_ros.core.frames import DrivingCommand, EgoState
from pair_drive_ros.models.features import (
    CAMERA_FEATURE,
    histogram_from_counts,
    image_from_pixels,
    lidar_counts,
    LIDAR_FEATURE,
    status,
    STATUS_FEATURE,
    stitched_pixels,
)
from pair_drive_training.data.frames import Frame, LogError, SceneFrames
from pair_drive_training.data.sensors import camera_record, read_camera, read_lidar
import torch

SCENE_CAMERAS = ('CAM_L0', 'CAM_F0', 'CAM_R0')
"""NAVSIM's names of the left, front and right view."""


def scene_features(scene: SceneFrames, sensors_root: Path) -> dict[str, np.ndarray]:
    """
    Read the current frame's sensors and build what :func:`as_features` scales.

    ``camera_feature`` uint8 [3, 256, 1024], RGB; ``lidar_feature`` uint8 [1, 256, 256], points in
    a cell, 5 at most; ``status_feature`` float32 [8]. Nothing is lost: the scaled values have no
    more levels than these.

    As in the devkit the sweep is binned in the frame it is stored in, the LiDAR's, as if that
    were the ego frame: ``lidar2ego`` is not applied.

    :param sensors_root: the folder with the logs' folders, or the one above its splits
    :raises SensorError: when an image or the sweep is missing or unusable
    :raises PointCloudFileError: when the sweep is truncated or of another format
    :raises LogError: when the driving command is not one of the four
    """
    frame = scene.now
    left, front, right = (read_camera(sensors_root, camera_record(frame, name))
                          for name in SCENE_CAMERAS)
    sweep = read_lidar(sensors_root, frame)
    ego = EgoState(frame.time_us * 1000, frame.pose, frame.velocity, frame.acceleration)
    return {CAMERA_FEATURE: np.ascontiguousarray(stitched_pixels(left, front, right)),
            LIDAR_FEATURE: lidar_counts(sweep.T),
            STATUS_FEATURE: status(ego, _command(frame, scene.log_name))}


def as_features(stored: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """
    Scale stored features to what ``transfuser_features`` builds, bit by bit.

    :param stored: arrays of :func:`scene_features`, of one scene or stacked [B, ...]; the tensors
        have the same shapes
    """
    arrays = {CAMERA_FEATURE: image_from_pixels(stored[CAMERA_FEATURE]),
              LIDAR_FEATURE: histogram_from_counts(stored[LIDAR_FEATURE]),
              STATUS_FEATURE: np.array(stored[STATUS_FEATURE])}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _command(frame: Frame, log_name: str) -> DrivingCommand:
    if sorted(frame.command) != [0, 0, 0, 1]:
        raise LogError(f'{log_name}, frame {frame.token}: the driving command is '
                       f'{frame.command.tolist()}, not one of left, straight, right and unknown; '
                       'leave the scene out')
    return DrivingCommand(int(np.argmax(frame.command)))
