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
One reactive vehicle: the intelligent driver model along the baseline of a lane.

Source: ``idm_policy``, ``idm_agent`` and ``idm_agent_manager`` of nuplan-devkit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
import math

import numpy as np
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_ros.scoring.state import HEADING, VX, VY, X, Y
from pair_drive_training.data.idm_path import Rail
import shapely

MIN_GAP_M = 1.0
HEADWAY_S = 1.5
ACCELERATION_MPS2 = 1.0
DECELERATION_MPS2 = 2.0
EXPONENT = 4
SIMPLIFY_M = 1e-5
# Corners of a box as complex numbers: front left, rear left, rear right, front right.
ALONG = np.array([0.5, -0.5, -0.5, 0.5])
ACROSS = np.array([0.5j, 0.5j, -0.5j, -0.5j])
# Most vehicles drive alike whatever the ego does: shapes are kept for the next plans of a scene.
SHAPES_KEPT = 8192


def idm_acceleration(speed: float, target: float, gap: float, lead_speed: float) -> float:
    """
    Return the acceleration (m/s^2) of the intelligent driver model.

    :param speed: m/s
    :param target: speed on a free road, m/s
    :param gap: distance to the leader's rear, m
    :param lead_speed: the leader's speed along the follower's heading, m/s
    """
    desired = (MIN_GAP_M + speed * HEADWAY_S + speed * (speed - lead_speed)
               / (2.0 * math.sqrt(ACCELERATION_MPS2 * DECELERATION_MPS2)))
    wanted = ACCELERATION_MPS2 * (1.0 - (speed / target) ** EXPONENT
                                  - (desired / max(gap, MIN_GAP_M)) ** 2)
    return min(max(-DECELERATION_MPS2, wanted), ACCELERATION_MPS2)


def box_polygons(poses: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """
    Build rectangles.

    :param poses: [..., 3] x, y, heading of the centres
    :param sizes: [..., 2] length and width, m, broadcast against ``poses``
    :return: [...] shapely polygons
    """
    corners = sizes[..., :1] * ALONG + sizes[..., 1:] * ACROSS
    turned = corners * np.exp(1j * poses[..., 2:])
    points = np.empty((*turned.shape, 2))
    points[..., 0] = turned.real + poses[..., :1]
    points[..., 1] = turned.imag + poses[..., 1:2]
    return shapely.polygons(points)


@dataclass(frozen=True, eq=False)
class Driver:
    """
    What does not change about a reactive vehicle.

    ``progress`` m along its rail, ``speed`` m/s and ``start`` [3], its pose, at the beginning;
    ``target_speed`` m/s of a free road.
    """

    rail: Rail
    length: float
    width: float
    progress: float
    speed: float
    target_speed: float
    start: np.ndarray

    @property
    def reach(self) -> float:
        """Distance from the centre to the corners, m."""
        return math.hypot(self.length, self.width) / 2.0

    @property
    def way(self) -> np.ndarray:
        """Points [K, 2] from which no corridor of the vehicle is farther than half its width."""
        start = self.rail.clamp(self.progress)
        return self.rail.ahead(min(start, self.rail.last_step))

    @property
    def trail(self) -> np.ndarray:
        """Points [K, 2] from which no footprint of the vehicle is farther than its reach."""
        start = self.rail.clamp(self.progress - self.length / 2.0)
        return np.vstack([self.start[:2], self.rail.ahead(min(start, self.rail.last_step))])

    def box(self, pose: np.ndarray) -> shapely.Polygon:
        """Return the vehicle's rectangle at a pose [3]."""
        return box_polygons(pose, np.array([self.length, self.width]))

    def strip(self, points: np.ndarray) -> shapely.Geometry:
        """Return the strip as wide as the vehicle along points [K, 2]."""
        return shapely.buffer(shapely.linestrings(points), self.width / 2.0, quad_segs=16,
                              cap_style='flat')


@lru_cache(SHAPES_KEPT)
def corridor(driver: Driver, progress: float) -> shapely.Geometry:
    """Return where a driver at ``progress`` m looks for others: to the end of its rail."""
    return driver.strip(driver.rail.ahead(driver.rail.clamp(progress)))


@lru_cache(SHAPES_KEPT)
def footprint(driver: Driver, progress: float, speed: float) -> shapely.Geometry:
    """Return where others see a driver: its box and what it drives over in the headway time."""
    rail = driver.rail
    start = rail.clamp(progress - driver.length / 2.0)
    end = rail.clamp(progress + driver.length / 2.0 + speed * HEADWAY_S)
    box = driver.box(np.array(rail.pose(rail.clamp(progress))))
    return shapely.simplify(shapely.union_all([driver.strip(rail.between(start, end)), box]),
                            SIMPLIFY_M)


class Ego:
    """The ego at one step, from its simulated state [11]."""

    def __init__(self, state: np.ndarray, footprint: shapely.Polygon):
        self.pose: tuple[float, float, float] = tuple(state[[X, Y, HEADING]].tolist())
        self.speed = float(np.hypot(state[VX], state[VY]))
        self.footprint = footprint


class Vehicle:
    """A driver in motion: pose (x, y, heading), ``progress`` m and ``speed`` m/s."""

    def __init__(self, driver: Driver):
        self.driver = driver
        self.progress = driver.progress
        self.speed = driver.speed
        self.pose = driver.rail.pose(driver.rail.clamp(driver.progress))
        self._moved = False

    @property
    def footprint(self) -> shapely.Geometry:
        """Where the others see the vehicle: before its first step they see the bare box (sic)."""
        if self._moved:
            return footprint(self.driver, self.progress, self.speed)
        return self.driver.box(self.driver.start)

    @property
    def corridor(self) -> shapely.Geometry:
        """Where the vehicle looks for others."""
        return corridor(self.driver, self.progress)

    def advance(self, leader: 'Vehicle | Ego | None', distance: float = 0.0) -> None:
        """
        Drive on for one step.

        :param leader: the one to follow; without one the end of the rail stands in the way (sic)
        :param distance: from the vehicle's footprint to the leader's, m
        """
        driver = self.driver
        if leader is None:
            gap, lead_speed = driver.rail.end - self.progress - driver.length / 2.0, 0.0
        else:
            gap = distance
            lead_speed = leader.speed * math.cos(leader.pose[2] - self.pose[2])
        acceleration = idm_acceleration(self.speed, driver.target_speed, gap, lead_speed)
        self.progress += STEP_S * self.speed
        self.speed = max(self.speed + STEP_S * acceleration, 0.0)
        self.pose = driver.rail.pose(driver.rail.clamp(self.progress))
        self._moved = True


def nearest(vehicle: Vehicle, others: Sequence[Vehicle | Ego], order: Sequence[Vehicle | Ego],
            ) -> tuple[Vehicle | Ego | None, float]:
    """
    Find whom a vehicle follows: the nearest of those that touch its corridor.

    :param others: those that may touch it
    :param order: everybody, in the order of the devkit's occupancy map
    :return: the leader, or None, and the distance of the footprints, m
    """
    if not others:
        return None, 0.0
    footprints = np.array([other.footprint for other in others], object)
    touching = np.flatnonzero(shapely.intersects(vehicle.corridor, footprints))
    if not len(touching):
        return None, 0.0
    distances = shapely.distance(vehicle.footprint, footprints[touching])
    closest = np.flatnonzero(distances == distances.min())
    if len(closest) == 1:
        return others[touching[closest[0]]], float(distances.min())
    # Several overlap the vehicle, and the devkit's search tree picks one by its own order.
    tree = shapely.STRtree([other.footprint for other in order])
    found = [order[index] for index in tree.query(vehicle.corridor)
             if shapely.intersects(vehicle.corridor, order[index].footprint)]
    found.remove(vehicle)
    tree = shapely.STRtree([other.footprint for other in found])
    return found[int(tree.nearest(vehicle.footprint))], float(distances.min())
