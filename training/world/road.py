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

"""The road of the sample drive and the motion of the ego vehicle along it."""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.geometry import compose

LANE_WIDTH = 3.5
# Lateral offsets from the ego lane's centre line, metres, left positive.
RIGHT_KERB, LEFT_KERB = -4.2, 7.6
RIGHT_LANE_EDGE, CENTRE_LINE, LEFT_LANE_EDGE = -LANE_WIDTH / 2, LANE_WIDTH / 2, 1.5 * LANE_WIDTH
PAVEMENT_WIDTH = 3.2

CURVATURE, CURVE_PERIOD = 0.013, 220.0
GRID_STEP = 0.1
BEHIND, AHEAD = 60.0, 190.0


class RoadLine:
    """
    The centre line of the ego lane, a gently winding curve from ``-BEHIND`` to ``length``.

    Its curvature is ``CURVATURE cos(2 pi s / CURVE_PERIOD)``, so that heading and position stay
    bounded. Arc length 0 is the origin, heading along x.
    """

    def __init__(self, length: float):
        self.start, self.end = -BEHIND, length
        self._arc = np.arange(self.start, self.end + GRID_STEP, GRID_STEP)
        middle = self.heading(self._arc[:-1] + GRID_STEP / 2.0)
        steps = GRID_STEP * np.stack([np.cos(middle), np.sin(middle)], axis=-1)
        points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        origin = [np.interp(0.0, self._arc, points[:, axis]) for axis in (0, 1)]
        self._points = points - origin

    @staticmethod
    def curvature(arc: np.ndarray | float) -> np.ndarray:
        """1/m, positive to the left."""
        return CURVATURE * np.cos(2.0 * np.pi * np.asarray(arc) / CURVE_PERIOD)

    @staticmethod
    def heading(arc: np.ndarray | float) -> np.ndarray:
        """Radians; the integral of the curvature."""
        turns = 2.0 * np.pi / CURVE_PERIOD
        return CURVATURE / turns * np.sin(turns * np.asarray(arc))

    def poses(self, arc: np.ndarray | float, lateral: np.ndarray | float = 0.0) -> np.ndarray:
        """Poses [..., 3] along the road at a lateral offset (m, left positive)."""
        arc = np.asarray(arc, np.float64)
        line = np.stack([np.interp(arc, self._arc, self._points[:, 0]),
                         np.interp(arc, self._arc, self._points[:, 1]),
                         self.heading(arc)], axis=-1)
        lateral = np.broadcast_to(np.asarray(lateral, np.float64), arc.shape)
        return compose(line, np.stack([np.zeros_like(arc), lateral, np.zeros_like(arc)], axis=-1))


@dataclass(frozen=True)
class SpeedProfile:
    """Speed ``mean + swing cos(2 pi (t + lead) / period)``: slowing and recovering, for ever."""

    mean: float = 7.0
    swing: float = 1.2
    period: float = 10.0
    lead: float = 0.0

    def speed(self, time_s: np.ndarray | float) -> np.ndarray:
        """Metres per second."""
        return self.mean + self.swing * np.cos(self._phase(time_s))

    def acceleration(self, time_s: np.ndarray | float) -> np.ndarray:
        """Metres per second squared, along the road."""
        return -self.swing * 2.0 * np.pi / self.period * np.sin(self._phase(time_s))

    def distance(self, time_s: np.ndarray | float) -> np.ndarray:
        """Metres travelled since time 0."""
        scale = self.swing * self.period / (2.0 * np.pi)
        return self.mean * np.asarray(time_s) + scale * (np.sin(self._phase(time_s))
                                                         - np.sin(self._phase(0.0)))

    def _phase(self, time_s: np.ndarray | float) -> np.ndarray:
        return 2.0 * np.pi * (np.asarray(time_s, np.float64) + self.lead) / self.period


@dataclass(frozen=True)
class EgoMotion:
    """Exact ego motion: rear axle on the lane's centre line, heading along it."""

    road: RoadLine
    profile: SpeedProfile

    def pose(self, time_s: float) -> np.ndarray:
        """SE(2) pose [3] in the world frame, which is the odometry's frame."""
        return self.road.poses(self.profile.distance(time_s))

    def velocity(self, time_s: float) -> tuple[float, float]:
        """Speed m/s along x of ``base_link`` and yaw rate rad/s."""
        speed = float(self.profile.speed(time_s))
        return speed, speed * float(self.road.curvature(self.profile.distance(time_s)))

    def acceleration(self, time_s: float) -> np.ndarray:
        """Acceleration [2] m/s^2 in ``base_link``: change of speed and centripetal."""
        speed, yaw_rate = self.velocity(time_s)
        return np.array([float(self.profile.acceleration(time_s)), speed * yaw_rate])
