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

"""Readers of the real data beside the checkout, and the pictures that show they are right."""

import codecs
from dataclasses import dataclass
import io
from pathlib import Path
import pickle
from typing import Any

import cv2
import numpy as np
from pair_drive_ros.core.frames import (
    CameraCalibration,
    CameraImage,
    DrivingCommand,
    EgoState,
    LidarSweep,
    PlannerInput,
)
from pair_drive_ros.core.geometry import invert_transform, project_to_image, transform_points

_TENSOR_MAGIC = 0x33FF1101
_TENSOR_DTYPES = {1: np.int32, 2: np.float16, 3: np.float32, 4: np.int64, 8: np.uint8}
_NO_DISTORTION = (np.zeros(5), 'plumb_bob')
# What numpy names in a pickle of one of its scalars, wherever this version keeps it.
_SCALAR = np.float64(0.0).__reduce__()[0]
_PICKLE_GLOBALS = {('_codecs', 'encode'): codecs.encode,
                   ('numpy', 'dtype'): np.dtype,
                   ('numpy.core.multiarray', 'scalar'): _SCALAR,
                   ('numpy._core.multiarray', 'scalar'): _SCALAR}


@dataclass(frozen=True)
class RealFrame:
    """One input with each camera's pose: ``base_from_camera`` [4, 4] by camera name."""

    frame: PlannerInput
    base_from_camera: dict[str, np.ndarray]


def read_tensor(path: Path) -> np.ndarray:
    """Read a .tensor file: int32 magic, rank, dtype code and sizes, then the raw values."""
    content = path.read_bytes()
    magic, rank, code = np.frombuffer(content, np.int32, 3)
    assert magic == _TENSOR_MAGIC, path
    shape = np.frombuffer(content, np.int32, rank, 12)
    return np.frombuffer(content, _TENSOR_DTYPES[int(code)], offset=12 + 4 * rank).reshape(shape)


class _PlainUnpickler(pickle.Unpickler):
    """Containers, numbers, strings and numpy scalars; anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_GLOBALS:
            raise pickle.UnpicklingError(f'{module}.{name} is not allowed')
        return _PICKLE_GLOBALS[module, name]


def read_plain_pickle(content: bytes) -> Any:
    """Unpickle plain data."""
    return _PlainUnpickler(io.BytesIO(content)).load()


def navsim_frame(folder: Path) -> RealFrame:
    """
    Read the NAVSIM frame: its left, front and right camera, the points, the ego status.

    The last of the three ego states is the present one: its command (right) and its lateral
    acceleration continue into the human's future, those of the first (straight) do not.
    """
    rgb = read_tensor(folder / 'camera_rgb.tensor')
    resized = read_tensor(folder / 'img_aug_matrix.tensor').reshape(-1, 4, 4)
    intrinsics = read_tensor(folder / 'camera_intrinsics.tensor').reshape(-1, 4, 4)
    poses = read_tensor(folder / 'camera2lidar.tensor').reshape(-1, 4, 4)
    cameras, base_from_camera = {}, {}
    for index, name in enumerate(('left', 'front', 'right')):
        height, width = rgb.shape[1:3]
        matrix = (resized[index] @ intrinsics[index])[:3, :3].astype(np.float64)
        base_from_camera[name] = poses[index].astype(np.float64)
        calibration = CameraCalibration(width, height, matrix, *_NO_DISTORTION,
                                        base_from_camera[name])
        cameras[name] = CameraImage(name, 0, rgb[index], calibration)
    points = read_tensor(folder / 'points.tensor').reshape(-1, 5)[:, :4].astype(np.float32)
    status = read_tensor(folder / 'status.tensor').reshape(3, 8)[-1].astype(np.float64)
    ego = EgoState(0, np.zeros(3), status[4:6], status[6:8])
    command = DrivingCommand(int(status[:4].argmax()))
    frame = PlannerInput(0, ego, command, cameras, LidarSweep(0, points))
    return RealFrame(frame, base_from_camera)


def nuscenes_frame(folder: Path) -> RealFrame:
    """Read the nuScenes keyframe; its speed is that of the true future's first half second."""
    [info_path] = folder.glob('n015*.pkl')
    info = read_plain_pickle(info_path.read_bytes())['data_list'][0]
    names = {'CAM_FRONT_LEFT': 'left', 'CAM_FRONT': 'front', 'CAM_FRONT_RIGHT': 'right',
             'CAM_BACK_LEFT': 'back_left', 'CAM_BACK': 'back', 'CAM_BACK_RIGHT': 'back_right'}
    cameras, base_from_camera = {}, {}
    for key, name in names.items():
        image = info['images'][key]
        rgb = cv2.cvtColor(cv2.imread(str(folder / image['img_path'])), cv2.COLOR_BGR2RGB)
        height, width = rgb.shape[:2]
        calibration = CameraCalibration(width, height, np.array(image['cam2img']),
                                        *_NO_DISTORTION)
        cameras[name] = CameraImage(name, 0, rgb, calibration)
        # Through the LiDAR, not cam2ego: the cameras fired up to 40 ms before it, at 9 m/s.
        base_from_camera[name] = (np.array(info['lidar_points']['lidar2ego'])
                                  @ invert_transform(np.array(image['lidar2cam'])))
    raw = np.fromfile(folder / info['lidar_points']['lidar_path'], np.float32).reshape(-1, 5)
    base_from_lidar = np.array(info['lidar_points']['lidar2ego'])
    points = np.column_stack([transform_points(base_from_lidar, raw[:, :3]), raw[:, 3]])
    ego = EgoState(0, np.zeros(3), np.array([9.0, 0.0]))
    frame = PlannerInput(0, ego, DrivingCommand.STRAIGHT, cameras, LidarSweep(0, points))
    return RealFrame(frame, base_from_camera)


def nuscenes_centres(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return box centres [N, 3] in ``base_link`` and those seen by the front camera [M, 2] px."""
    [info_path] = folder.glob('n015*.pkl')
    info = read_plain_pickle(info_path.read_bytes())['data_list'][0]
    centres = np.array([instance['bbox_3d'][:3] for instance in info['instances']])
    pixels = [instance['center_2d'] for instance in info['cam_instances']['CAM_FRONT']]
    return transform_points(np.array(info['lidar_points']['lidar2ego']), centres), np.array(pixels)


def points_in_image(real: RealFrame, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels [M, 2] of the LiDAR points inside the camera's image, and the points' mask."""
    calibration = real.frame.cameras[camera].calibration
    camera_from_base = invert_transform(real.base_from_camera[camera])
    points = transform_points(camera_from_base, real.frame.lidar.points[:, :3].astype(np.float64))
    pixels, seen = project_to_image(points, calibration.intrinsics)
    inside = np.all((pixels >= 0) & (pixels < (calibration.width, calibration.height)), axis=1)
    seen[seen] = inside
    return pixels[inside], seen


def draw_points(path: Path, real: RealFrame, camera: str, scale: int = 1) -> None:
    """Write the camera's image with its LiDAR points, red near and blue far."""
    pixels, seen = points_in_image(real, camera)
    canvas = cv2.cvtColor(real.frame.cameras[camera].rgb, cv2.COLOR_RGB2BGR)
    canvas = cv2.resize(canvas, None, fx=scale, fy=scale)
    distance = np.linalg.norm(real.frame.lidar.points[seen, :2], axis=1)
    shade = np.uint8(255.0 * np.clip(1.0 - distance / 40.0, 0.0, 1.0))
    colours = cv2.applyColorMap(shade[:, None], cv2.COLORMAP_JET)[:, 0]
    for pixel, colour in zip(pixels * scale, colours, strict=True):
        cv2.circle(canvas, tuple(map(int, pixel)), scale, tuple(map(int, colour)), -1)
    cv2.imwrite(str(path), canvas)


def draw_features(path: Path, camera: np.ndarray, lidar: np.ndarray) -> None:
    """Write the stitched image [3, H, W] and, below it, the histogram, forward pointing up."""
    stitched = np.uint8(255.0 * camera.transpose(1, 2, 0))[..., ::-1]
    # Rows run forward and columns left, so turning both axes puts the front up, the left left.
    histogram = cv2.cvtColor(np.uint8(255.0 * lidar[0, ::-1, ::-1]), cv2.COLOR_GRAY2BGR)
    below = np.zeros_like(stitched)
    left = (stitched.shape[1] - histogram.shape[1]) // 2
    below[:histogram.shape[0], left:left + histogram.shape[1]] = histogram
    cv2.imwrite(str(path), np.concatenate([stitched, below]))
