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

"""A spinning LiDAR that casts rays at the ground and at convex solids."""

from collections.abc import Sequence

import numpy as np
from pair_drive_ros.core.geometry import FloatArray, invert_transform
from pair_drive_training.world.ground import GroundMap
from pair_drive_training.world.rig import LidarPattern
from pair_drive_training.world.shapes import Solid


class Lidar:
    """
    Casts one turn of rays at once; the turn is instantaneous, so points need no deskewing.

    :param base_from_lidar: 4x4 mounting pose
    :param ground: the plane z = 0, whose paint gives the intensity of its returns
    """

    def __init__(self, base_from_lidar: FloatArray, pattern: LidarPattern, ground: GroundMap):
        self._base_from_lidar = base_from_lidar
        self._pattern = pattern
        self._ground = ground
        elevation = np.radians(np.linspace(pattern.lowest_deg, pattern.highest_deg,
                                           pattern.beams))[:, None]
        azimuth = (np.arange(pattern.columns) + 0.5) * 2.0 * np.pi / pattern.columns - np.pi
        self._rays = np.stack([np.cos(elevation) * np.cos(azimuth),
                               np.cos(elevation) * np.sin(azimuth),
                               np.sin(elevation) * np.ones_like(azimuth)],
                              axis=-1).astype(np.float32)

    def scan(self, world_from_base: FloatArray, solids: Sequence[Solid],
             rng: np.random.Generator) -> np.ndarray:
        """
        Measure the nearest surface along every ray.

        :return: float32 [N, 4]: x, y, z in metres in the LiDAR's frame and intensity in [0, 1]
        """
        world_from_lidar = world_from_base @ self._base_from_lidar
        lidar_from_world = invert_transform(world_from_lidar)
        ranges, intensity = self._ground_returns(world_from_lidar)
        # From near to far, so that what lies behind nearer solids is left out at once.
        bounds = np.array([solid.bounds for solid in solids]).reshape(-1, 5)
        distance = np.linalg.norm(bounds[:, :3] - world_from_lidar[:3, 3], axis=1) - bounds[:, 3]
        for i in np.argsort(distance):
            if distance[i] < self._pattern.max_range:
                self._meet(solids[int(i)], lidar_from_world, float(distance[i]), ranges, intensity)
        seen = (ranges > self._pattern.min_range) & (ranges < self._pattern.max_range)
        distance = ranges[seen] + rng.normal(0.0, self._pattern.noise, int(seen.sum()))
        return np.c_[self._rays[seen] * distance[:, None],
                     intensity[seen].clip(0.0, 1.0)].astype(np.float32)

    def _ground_returns(self, world_from_lidar: FloatArray) -> tuple[np.ndarray, np.ndarray]:
        """Range and intensity [beams, columns] of the painted plane; infinite above it."""
        fall = -(self._rays @ world_from_lidar[2, :3])
        with np.errstate(divide='ignore'):
            ranges = np.where(fall > 0.0, world_from_lidar[2, 3] / fall, np.inf)
        intensity = np.zeros_like(ranges)
        near = ranges < self._pattern.max_range
        hits = self._rays[near] * ranges[near][:, None]
        world = hits @ world_from_lidar[:2, :3].T + world_from_lidar[:2, 3]
        intensity[near] = self._ground.brightness(world)
        return ranges, intensity

    def _meet(self, solid: Solid, lidar_from_world: FloatArray, nearest: float,
              ranges: np.ndarray, intensity: np.ndarray) -> None:
        """Shorten the ranges of the rays that enter the solid, no nearer than ``nearest``."""
        rotation = lidar_from_world[:3, :3]
        points = solid.vertices @ rotation.T + lidar_from_world[:3, 3]
        normals = solid.normals @ rotation.T
        offsets = np.einsum('fk,fk->f', normals, points[solid.corners[:, 0]]).astype(np.float32)
        outside = offsets < 0.0
        if not outside.any():
            # The sensor is inside and sees nothing.
            ranges[:] = 0.0
            return
        columns = self._columns_towards(points)
        if nearest > ranges[:, columns].max():
            return
        rays = self._rays[:, columns]
        approach = rays @ normals.T.astype(np.float32)
        with np.errstate(divide='ignore', invalid='ignore'):
            crossing = offsets / approach
        # Only planes with the sensor on their outer side can be entered; every other one is left.
        enter = np.where(approach[..., outside] < 0.0, crossing[..., outside], np.inf).max(axis=-1)
        leave = np.where(approach > 0.0, crossing, np.inf)
        leave = np.where(leave > 0.0, leave, np.inf).min(axis=-1)
        hit = (enter <= leave) & (enter < ranges[:, columns])
        ranges[:, columns] = np.where(hit, enter, ranges[:, columns])
        fade = solid.intensity * np.exp(-np.where(hit, enter, 0.0) / 120.0)
        intensity[:, columns] = np.where(hit, fade, intensity[:, columns])

    def _columns_towards(self, points: FloatArray) -> np.ndarray:
        """Numbers of the columns whose rays can meet the hull of the points."""
        azimuth = np.arctan2(points[:, 1], points[:, 0])
        centre = np.arctan2(points[:, 1].mean(), points[:, 0].mean())
        spread = (azimuth - centre + np.pi) % (2.0 * np.pi) - np.pi
        per_radian = self._pattern.columns / (2.0 * np.pi)
        first = np.floor((centre + spread.min() + np.pi) * per_radian)
        last = np.ceil((centre + spread.max() + np.pi) * per_radian)
        return np.arange(int(first), int(last) + 1) % self._pattern.columns
