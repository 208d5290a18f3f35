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
The sensors of the sample drive: three cameras and a roof LiDAR.

Poses are those of the sensor in ``base_link`` (rear axle on the ground: x forward, y left, z up)
as x, y, z in metres and fixed-axis roll, pitch, yaw in radians. A camera's pose is that of its
optical frame (x right, y down, z forward). The layout follows nuPlan's CAM_L0, CAM_F0, CAM_R0.
"""

from dataclasses import dataclass
import math

import numpy as np
from pair_drive_ros.core.geometry import rigid_transform
from transforms3d.euler import euler2mat

Pose = tuple[float, float, float, float, float, float]

FOCAL_LENGTH_PER_WIDTH = 1545.0 / 1920.0
CAMERA_YAW = math.radians(55.0)
CAMERA_PITCH = math.radians(1.5)


def optical_pose(x: float, y: float, z: float, yaw: float) -> Pose:
    """Pose of a level camera's optical frame that looks along ``yaw``, pitched down a little."""
    return (x, y, z, -math.pi / 2.0 - CAMERA_PITCH, 0.0, yaw - math.pi / 2.0)


CAMERA_POSES: dict[str, Pose] = {
    'left': optical_pose(1.65, 0.17, 1.51, CAMERA_YAW),
    'front': optical_pose(1.65, 0.0, 1.51, 0.0),
    'right': optical_pose(1.65, -0.17, 1.51, -CAMERA_YAW),
}
LIDAR_POSE: Pose = (1.2, 0.0, 1.85, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class LidarPattern:
    """A spinning LiDAR: beam elevations in degrees, columns a turn, range limits in metres."""

    lowest_deg: float = -25.0
    highest_deg: float = 8.0
    beams: int = 40
    columns: int = 900
    min_range: float = 1.0
    max_range: float = 70.0
    noise: float = 0.02


def base_from_sensor(pose: Pose) -> np.ndarray:
    """4x4 ``base_from_sensor`` of a pose of the rig."""
    return rigid_transform(np.array(pose[:3]), euler2mat(*pose[3:], axes='sxyz'))


def intrinsics(width: int, height: int) -> np.ndarray:
    """Pinhole matrix [3, 3] with nuPlan's horizontal field of view at the given image size."""
    focal = FOCAL_LENGTH_PER_WIDTH * width
    return np.array([[focal, 0.0, width / 2.0], [0.0, focal, height / 2.0], [0.0, 0.0, 1.0]])


def rig_parameters() -> str:
    """Return the ROS parameter file that describes the rig to the planner node."""
    extrinsics = ', '.join(f'{value:.6f}' for value in LIDAR_POSE)
    return ('# Sensors of the sample drive; written by pair_drive_training.world.rig.\n'
            '/**:\n'
            '  ros__parameters:\n'
            f'    cameras: [{", ".join(CAMERA_POSES)}]\n'
            '    camera_transport: compressed\n'
            '    # Pose of the LiDAR in base_link: [x, y, z, roll, pitch, yaw] in m and rad,\n'
            '    # rotations about fixed axes.\n'
            f'    lidar.extrinsics: [{extrinsics}]\n')
