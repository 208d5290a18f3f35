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
What the planner sees: immutable snapshots of sensors, ego and command.

Stamps are integer nanoseconds of the sensor's clock. ``base_link`` is the rear axle: x forward,
y left, z up (REP-103, REP-105).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import enum

import numpy as np


class FrameError(ValueError):
    """A snapshot was built from values that cannot be true (shape, dtype, not finite)."""


class DrivingCommand(enum.IntEnum):
    """Route intention in the order of NAVSIM's one-hot vector."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3

    def one_hot(self) -> np.ndarray:
        """Float32 [4]: left, straight, right, unknown."""
        return np.eye(len(DrivingCommand), dtype=np.float32)[self]


@dataclass(frozen=True)
class CameraCalibration:
    """
    Pinhole calibration of one camera.

    ``intrinsics`` [3, 3] pixels for an image of ``width`` x ``height``; ``distortion`` [D] in the
    order of ``distortion_model`` (sensor_msgs/CameraInfo); ``base_from_camera`` [4, 4] takes
    points of the optical frame (x right, y down, z ahead) to ``base_link``, None where the
    camera's pose is not known.
    """

    width: int
    height: int
    intrinsics: np.ndarray
    distortion: np.ndarray
    distortion_model: str
    base_from_camera: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_array('intrinsics', self.intrinsics, (3, 3))
        if self.base_from_camera is not None:
            _check_array('base_from_camera', self.base_from_camera, (4, 4))
        if not (self.intrinsics[0, 0] > 0.0 and self.intrinsics[1, 1] > 0.0):
            raise FrameError('intrinsics: the focal lengths must be positive; '
                             'is the camera calibrated?')


@dataclass(frozen=True)
class CameraImage:
    """One image: ``rgb`` uint8 [H, W, 3]; calibration where the driver publishes it."""

    name: str
    stamp_ns: int
    rgb: np.ndarray
    calibration: CameraCalibration | None = None

    def __post_init__(self) -> None:
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3:
            raise FrameError(f'{self.name}: expected uint8 [H, W, 3], got {self.rgb.dtype} '
                             f'{list(self.rgb.shape)}')


@dataclass(frozen=True)
class LidarSweep:
    """One sweep: ``points`` float32 [N, 4] = x, y, z (m, ``base_link``) and intensity."""

    stamp_ns: int
    points: np.ndarray

    def __post_init__(self) -> None:
        if self.points.dtype != np.float32 or self.points.ndim != 2 or self.points.shape[1] != 4:
            raise FrameError(f'lidar: expected float32 [N, 4], got {self.points.dtype} '
                             f'{list(self.points.shape)}')


@dataclass(frozen=True)
class EgoState:
    """
    Motion of the rear axle at one instant.

    ``pose`` [3] x, y, heading in ``frame_id`` (the odometry's fixed frame); ``velocity`` [2] m/s
    and ``acceleration`` [2] m/s^2 in ``base_link``; ``yaw_rate`` rad/s.
    """

    stamp_ns: int
    pose: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray = field(default_factory=lambda: np.zeros(2))
    yaw_rate: float = 0.0
    frame_id: str = 'odom'

    def __post_init__(self) -> None:
        _check_array('ego pose', self.pose, (3,))
        _check_array('ego velocity', self.velocity, (2,))
        _check_array('ego acceleration', self.acceleration, (2,))
        _check_array('ego yaw rate', np.asarray(self.yaw_rate), ())

    @property
    def speed(self) -> float:
        """Speed over ground, m/s, never negative."""
        return float(np.hypot(*self.velocity))


@dataclass(frozen=True)
class PlannerInput:
    """
    Everything one plan is made from, synchronised to the anchor sensor's stamp.

    ``cameras`` by name in the order of the rig; ``lidar`` is None when the rig has none or it
    is missing.
    """

    stamp_ns: int
    ego: EgoState
    command: DrivingCommand
    cameras: Mapping[str, CameraImage]
    lidar: LidarSweep | None


def _check_array(name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise FrameError(f'{name}: expected shape {list(shape)}, got {list(value.shape)}')
    if not np.all(np.isfinite(value)):
        raise FrameError(f'{name}: not finite')
