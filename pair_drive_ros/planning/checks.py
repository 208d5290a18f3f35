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

"""Checks whether a car could drive a trajectory from its present state."""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.frames import EgoState
from pair_drive_ros.core.geometry import relative_to, wrap_angle
from pair_drive_ros.core.trajectory import Trajectory

# Below this step length (m) the direction of travel is noise, not a heading.
_MOVING_M = 0.25


@dataclass(frozen=True)
class TrajectoryLimits:
    """Bounds that no sane plan exceeds; they catch broken networks, not bad driving."""

    speed: float = 40.0
    acceleration: float = 8.0
    lateral_acceleration: float = 8.0
    heading_deviation: float = 0.8


def find_violations(trajectory: Trajectory, ego: EgoState, limits: TrajectoryLimits) -> list[str]:
    """
    Return a sentence for each limit the trajectory breaks; an empty list passes it.

    Speeds and accelerations are mean values over the trajectory's own steps, the first one
    measured against the ego's present speed. ``heading_deviation`` compares the heading (rad)
    with the direction of travel of each step that is long enough to have one.
    """
    poses = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    motion = relative_to(poses[:-1], poses[1:])
    step_s = trajectory.step_s
    speed = np.hypot(motion[:, 0], motion[:, 1]) / step_s
    # The ego's speed holds at the anchor, a step's mean speed at its middle.
    intervals = np.full(len(speed), step_s)
    intervals[0] = 0.5 * step_s
    acceleration = np.diff(np.concatenate([[ego.speed], speed])) / intervals
    lateral = speed * motion[:, 2] / step_s
    travel = wrap_angle(np.arctan2(motion[:, 1], motion[:, 0]) - 0.5 * motion[:, 2])
    moving = speed * step_s > _MOVING_M
    deviation = np.abs(np.where(moving, travel, 0.0))

    found = []
    for name, values, limit, unit in (
            ('speed', speed, limits.speed, 'm/s'),
            ('acceleration', np.abs(acceleration), limits.acceleration, 'm/s^2'),
            ('lateral acceleration', np.abs(lateral), limits.lateral_acceleration, 'm/s^2'),
            ('heading deviation', deviation, limits.heading_deviation, 'rad')):
        worst = int(np.argmax(values))
        if values[worst] > limit:
            found.append(f'{name} {values[worst]:.2f} {unit} exceeds {limit:.2f} {unit} at '
                         f'{step_s * (worst + 1):.1f} s')
    return found
