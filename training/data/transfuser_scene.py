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

"""
The network's features of a logged scene, small enough to be stored for a whole dataset.

They are stored in the sizes of the full networks and of the mini ones. A smaller image cannot be
made of a stored one: resizing an image twice gives other pixels than the car's one resizing.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from pair_drive_ros.core.frames import (
    CameraCalibration,
    CameraImage,
    DrivingCommand,
    EgoState,
)
from pair_drive_ros.models.features import (
    CAMERA_FEATURE,
    column_places,
    GROUND_FEATURE,
    LIDAR,
    lidar_counts,
    LIDAR_FEATURE,
    LIDAR_MAX_COUNT,
    MAX_PIXEL,
    sensors_of,
    stacked_ground,
    status,
    STATUS_FEATURE,
    STITCHED_CAMERAS,
    stitched_pixels,
    VALIDITY_FEATURE,
)
from pair_drive_ros.models.policy import FeatureSpec, TensorSpec
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_training.data.cache import Cache, CacheError
from pair_drive_training.data.frames import CameraRecord, LogError, SceneFrames
from pair_drive_training.data.records import SCENES
from pair_drive_training.data.sensors import camera_record, read_camera, read_lidar
import torch

SCENE_CAMERAS = ('CAM_L0', 'CAM_F0', 'CAM_R0')
"""NAVSIM's names of the left, front and right view."""

FEATURES, FEATURES_MINI = 'features', 'features_mini'
FEATURE_SPECS = {
    FEATURES: TransfuserConfig().feature_spec,
    FEATURES_MINI: TransfuserConfig.mini(sensor_validity=False, sensor_dropout=0.0).feature_spec}
"""Kinds of stored features, and what they hold."""

_STORED_TYPES = {CAMERA_FEATURE: np.uint8, LIDAR_FEATURE: np.uint8, GROUND_FEATURE: np.uint8,
                 STATUS_FEATURE: np.float32}


def scene_features(scene: SceneFrames, sensors_root: Path,
                   kinds: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """
    Read the current frame's sensors once and build what :func:`as_features` scales, by kind.

    ``camera_feature`` uint8 [3, rows, columns], RGB; ``lidar_feature`` uint8 [1, bins, bins],
    points in a cell, 5 at most; ``status_feature`` float32 [8]; ``ground_feature`` uint8
    [9, bins / 2, bins] where the kind has it. Nothing is lost: the scaled values have no more
    levels than these.

    As in the devkit the sweep is binned in the frame it is stored in, the LiDAR's, as if that
    were the ego frame: ``lidar2ego`` is not applied. Nor is it to the cameras laid on the ground.

    :param sensors_root: the folder with the logs' folders, or the one above its splits
    :param kinds: of ``FEATURE_SPECS``
    :raises SensorError: when an image or the sweep is missing or unusable
    :raises PointCloudFileError: when the sweep is truncated or of another format
    :raises LogError: when the driving command is not one of the four
    """
    frame = scene.now
    cameras = {name: _camera(sensors_root, camera_record(frame, record), name)
               for name, record in zip(STITCHED_CAMERAS, SCENE_CAMERAS, strict=True)}
    left, front, right = (cameras[name].rgb for name in STITCHED_CAMERAS)
    points = read_lidar(sensors_root, frame).T
    ego = _status(frame.velocity, frame.acceleration, frame.command,
                  f'{scene.log_name}, frame {frame.token}')
    features = {}
    for kind in kinds:
        spec = FEATURE_SPECS[kind]
        bins = spec[LIDAR_FEATURE].shape[1]
        pixels = stitched_pixels(left, front, right, *spec[CAMERA_FEATURE].shape[1:])
        features[kind] = {CAMERA_FEATURE: np.ascontiguousarray(pixels),
                          LIDAR_FEATURE: lidar_counts(points, bins),
                          STATUS_FEATURE: ego}
        if GROUND_FEATURE in spec:
            features[kind][GROUND_FEATURE] = stacked_ground(cameras, bins)
    return features


def features_kind(spec: FeatureSpec) -> str:
    """
    Name the kind of record that holds a policy's features, by the sizes it was built for.

    A policy that reads the status alone finds it in ``scenes``, which needs no sensor data.

    :param spec: the policy's ``feature_spec``
    :raises CacheError: when no kind holds features of these names and sizes
    """
    for kind, held in FEATURE_SPECS.items():
        offered = {**held, VALIDITY_FEATURE: TensorSpec((len(sensors_of(spec)),))}
        if all(offered.get(name) == expected for name, expected in spec.items()):
            return kind if sensors_of(spec) else SCENES
    read = ', '.join(f'{name} {list(expected.shape)}' for name, expected in spec.items())
    offers = '; '.join(
        f'{kind}: ' + ', '.join(f'{name} {list(offered.shape)}'
                                for name, offered in spec.items())
        for kind, spec in FEATURE_SPECS.items())
    raise CacheError(f'the policy reads {read}, but a cache holds other features ({offers}) and '
                     f'{VALIDITY_FEATURE}, one number a sensor; configure the policy with the '
                     'sizes of one of these kinds (image_height, image_width, lidar_bins)')


def read_features(cache: Cache, tokens: Sequence[str],
                  spec: FeatureSpec) -> dict[str, np.ndarray]:
    """
    Copy what :func:`as_features` needs of many scenes, stacked [B, ...], out of the shards.

    :param spec: the policy's ``feature_spec``; features that it does not name are not read
    :raises CacheError: when the cache lacks a scene or the kind of features, or holds them in the
        sizes of another version of the package
    :raises ShardError: when a shard is damaged
    :raises LogError: when the driving command of a scene is not one of the four
    """
    kind = features_kind(spec)
    stored = {name: np.empty((len(tokens), *spec[name].shape), dtype)
              for name, dtype in _STORED_TYPES.items() if name in spec}
    for row, token in enumerate(tokens):
        arrays, index = cache.shard_of(kind, token)
        if kind == SCENES:
            arrays = {STATUS_FEATURE: _recorded_status(arrays, index)[None]}
            index = 0
        for name, rows in stored.items():
            if arrays[name].shape[1:] != rows.shape[1:]:
                raise CacheError(
                    f'{kind}: the cache holds {name} of {list(arrays[name].shape[1:])}, but this '
                    f'version of the package reads {list(rows.shape[1:])}; make the cache again')
            rows[row] = arrays[name][index]
    return stored


def as_features(stored: Mapping[str, np.ndarray | torch.Tensor], spec: FeatureSpec,
                missing: Collection[str] = ()) -> dict[str, torch.Tensor]:
    """
    Scale stored features to what ``transfuser_features`` builds of a frame, bit by bit.

    :param stored: arrays of :func:`scene_features`, or tensors of any device, of one scene or
        stacked [B, ...]; what is returned has the same shapes and device
    :param spec: the policy's ``feature_spec``, which names the features that are made
    :param missing: sensors to take away, as if the frame had been without them: their place is
        zero and marked invalid
    """
    features = {name: torch.as_tensor(stored[name]).float() for name in _STORED_TYPES
                if name in spec}
    if CAMERA_FEATURE in spec:
        image = features[CAMERA_FEATURE] = features[CAMERA_FEATURE] / MAX_PIXEL
        for name, place in zip(STITCHED_CAMERAS, column_places(image.shape[-1]), strict=True):
            if name in missing:
                image[..., place] = 0.0
    if LIDAR_FEATURE in spec:
        features[LIDAR_FEATURE] = features[LIDAR_FEATURE] / LIDAR_MAX_COUNT
        if LIDAR in missing:
            features[LIDAR_FEATURE].zero_()
    if GROUND_FEATURE in spec:
        ground = features[GROUND_FEATURE] = features[GROUND_FEATURE] / MAX_PIXEL
        for layer, name in enumerate(STITCHED_CAMERAS):
            if name in missing:
                ground[..., 3 * layer:3 * layer + 3, :, :] = 0.0
    if STATUS_FEATURE in spec:
        features[STATUS_FEATURE] = features[STATUS_FEATURE].clone()
    if VALIDITY_FEATURE in spec:
        name, feature = next(iter(features.items()))
        there = feature.new_tensor([sensor not in missing for sensor in sensors_of(spec)])
        scenes = feature.shape[:-len(spec[name].shape)]
        features[VALIDITY_FEATURE] = there.expand(*scenes, -1).clone()
    return features


def _camera(sensors_root: Path, record: CameraRecord, name: str) -> CameraImage:
    """Read an image with its calibration; the stamp is not looked at."""
    rgb = read_camera(sensors_root, record)
    return CameraImage(name, 0, rgb, CameraCalibration(
        rgb.shape[1], rgb.shape[0], record.intrinsics, record.distortion, 'plumb_bob',
        record.sensor2lidar))


def _recorded_status(arrays: Mapping[str, np.ndarray], index: int) -> np.ndarray:
    """Build the status from a record of ``scenes``, whose last past frame is the current one."""
    velocity, acceleration, command = (arrays[name][index, -1]
                                       for name in ('velocity', 'acceleration', 'command'))
    return _status(velocity, acceleration, command,
                   f'{arrays["log_name"][index]}, frame {arrays["token"][index]}')


def _status(velocity: np.ndarray, acceleration: np.ndarray, command: np.ndarray,
            where: str) -> np.ndarray:
    if sorted(command) != [0, 0, 0, 1]:
        raise LogError(f'{where}: the driving command is {command.astype(int).tolist()}, not one '
                       'of left, straight, right and unknown; leave the scene out')
    return status(EgoState(0, np.zeros(3), velocity, acceleration),
                  DrivingCommand(int(np.argmax(command))))
