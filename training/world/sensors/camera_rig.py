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
The sensors of the vehicle, laid out and calibrated as in nuPlan and NAVSIM.

Poses are in the ego frame (rear axle on the ground: x forward, y left, z up), in metres. A
camera's frame is optical: x right, y down, z forward. The logs' LiDAR frame is the ego frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
import math

import numpy as np

DEFAULT_CAMERAS = ('CAM_L0', 'CAM_F0', 'CAM_R0')
NO_DISTORTION = np.zeros(5)

FULL_WIDTH, FULL_HEIGHT = 1920, 1080
_FOCAL_LENGTH, _CENTRE = 1545.0, (960.0, 560.0)
# Position, then yaw (to the left), pitch (up) and roll (clockwise as the camera sees it), degrees.
# L2 and R2 are set by eye between their neighbours; the others are rounded from a NAVSIM log.
_MOUNTS = {
    'CAM_F0': ((1.66, -0.01, 1.51), (-0.2, -2.4, -0.4)),
    'CAM_L0': ((1.66, 0.17, 1.51), (55.4, -1.7, -1.1)),
    'CAM_R0': ((1.64, -0.16, 1.51), (-55.5, -1.0, 0.6)),
    'CAM_L1': ((1.29, 0.65, 1.40), (111.3, -0.3, -1.0)),
    'CAM_R1': ((1.27, -0.65, 1.40), (-112.0, -1.3, -0.1)),
    'CAM_L2': ((-0.40, 0.55, 1.45), (145.0, -1.0, 0.0)),
    'CAM_R2': ((-0.40, -0.55, 1.45), (-145.0, -1.0, 0.0)),
    'CAM_B0': ((-0.53, 0.03, 1.47), (-179.7, -0.1, 0.5)),
}
CAMERAS = tuple(_MOUNTS)


class RigError(ValueError):
    """A rig cannot be built; the sentence says why."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """
    A pinhole camera.

    ``rotation`` [3, 3] and ``translation`` [3] m take its optical frame to the ego frame: they are
    OpenScene's ``sensor2lidar_rotation`` and ``sensor2lidar_translation``; ``intrinsics`` [3, 3]
    pixels; ``size`` width and height in pixels.
    """

    name: str
    rotation: np.ndarray
    translation: np.ndarray
    intrinsics: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Scanner:
    """
    A spinning LiDAR, the ``number``-th of the merged sweep, level at ``position`` m.

    ``elevations`` of its beams in degrees, rising; ``columns`` a turn.
    """

    number: int
    position: tuple[float, float, float]
    elevations: tuple[float, ...]
    columns: int


@dataclass(frozen=True)
class Rig:
    """The sensors of one preset; ``jpeg_quality`` in percent."""

    cameras: tuple[CameraModel, ...]
    scanners: tuple[Scanner, ...]
    jpeg_quality: int = 88

    def with_cameras(self, names: Iterable[str]) -> 'Rig':
        """
        Return the rig with only the named cameras, in that order.

        :raises RigError: for a name that is not one of ``CAMERAS``
        """
        known = {camera.name: camera for camera in self.cameras}
        chosen = list(names)
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise RigError(f'{", ".join(unknown)}: no such camera; choose among '
                           f'{", ".join(known)}')
        return replace(self, cameras=tuple(known[name] for name in chosen))


def optical_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """
    Rotation [3, 3] from an optical frame to the ego frame, angles in degrees.

    :param yaw: to the left
    :param pitch: up
    :param roll: clockwise as the camera sees the world
    """
    yaw, pitch, roll = (math.radians(angle) for angle in (yaw, pitch, roll))
    forward = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch),
                        math.sin(pitch)])
    level = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    down = np.cross(forward, level)
    right = math.cos(roll) * level + math.sin(roll) * down
    return np.stack([right, np.cross(forward, right), forward], axis=-1)


def camera_model(name: str, width: int) -> CameraModel:
    """Return one of the ``CAMERAS`` at an image width in pixels, 16:9."""
    scale = width / FULL_WIDTH
    position, angles = _MOUNTS[name]
    intrinsics = np.array([[_FOCAL_LENGTH * scale, 0.0, _CENTRE[0] * scale],
                           [0.0, _FOCAL_LENGTH * scale, _CENTRE[1] * scale],
                           [0.0, 0.0, 1.0]])
    return CameraModel(name, optical_rotation(*angles), np.array(position), intrinsics,
                       (width, round(FULL_HEIGHT * scale)))


def _elevations(lowest: float, highest: float, beams: int) -> tuple[float, ...]:
    """Beams that lie closer together towards the horizon, where the far objects are."""
    spread = np.linspace(-1.0, 1.0, beams)
    bent = 0.55 * spread + 0.45 * spread ** 3
    middle = np.where(bent < 0.0, -bent * lowest, bent * highest)
    return tuple(float(angle) for angle in np.round(middle - 1.0, 3))


def _rig(width: int, beams: int, columns: int, corner_beams: int, corner_columns: int) -> Rig:
    corners = ((3.9, 0.6), (3.9, -0.6), (-0.9, 0.6), (-0.9, -0.6))
    scanners = (Scanner(0, (1.2, 0.0, 1.9), _elevations(-24.0, 8.0, beams), columns),
                *(Scanner(number, (x, y, 0.7), _elevations(-14.0, 10.0, corner_beams),
                          corner_columns)
                  for number, (x, y) in enumerate(corners, start=1)))
    return Rig(tuple(camera_model(name, width) for name in CAMERAS), scanners)


MINI = _rig(480, beams=26, columns=200, corner_beams=4, corner_columns=48)
"""Small images, which NAVSIM's stitch to 1024 x 256 takes pixel for pixel, and a thin sweep."""

FULL = _rig(FULL_WIDTH, beams=56, columns=1500, corner_beams=16, corner_columns=360)
"""The sizes of nuPlan's images and sweeps."""

RIGS = {'mini': MINI, 'full': FULL}
