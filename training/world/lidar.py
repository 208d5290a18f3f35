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
        self._elevations = np.radians(np.linspace(pattern.lowest_deg, pattern.highest_deg,
                                                  pattern.beams))
        elevation = self._elevations[:, None]
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
        bounds = np.array([solid.bounds for solid in solids]).reshape(-1, 5)
        centres = bounds[:, :3] @ lidar_from_world[:3, :3].T + lidar_from_world[:3, 3]
        nearest = np.linalg.norm(centres, axis=1) - bounds[:, 3]
        beams, first, end = self._windows(centres, bounds[:, 3], bounds[:, 4] - bounds[:, 2])
        # From near to far, so that what lies behind nearer solids is left out at once.
        for i in np.argsort(nearest):
            rows = slice(*beams[i])
            columns = np.arange(first[i], end[i]) % self._pattern.columns
            before = ranges[rows, columns]
            if before.size and nearest[i] < min(before.max(), self._pattern.max_range):
                reach, strength = self._meet(solids[int(i)], lidar_from_world,
                                             self._rays[rows, columns])
                hit = reach < before
                ranges[rows, columns] = np.where(hit, reach, before)
                intensity[rows, columns] = np.where(hit, strength, intensity[rows, columns])
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

    def _windows(self, centres: FloatArray, radii: np.ndarray, heights: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Find the rays that can meet spheres [N], of which only a middle layer is filled.

        :param heights: half the height of that layer
        :return: first and end beam [N, 2], first and end column [N] of the turn, which go on
            beyond its seam
        """
        flat = np.linalg.norm(centres[:, :2], axis=1)
        with np.errstate(divide='ignore', invalid='ignore'):
            girth = np.sqrt(radii ** 2 - heights ** 2)
            beside = np.where(flat > girth, np.arcsin(girth / flat), np.pi)
            far = np.hypot(flat, centres[:, 2])
            above = np.where(far > radii, np.arcsin(radii / far), np.pi)
        middle = np.arctan2(centres[:, 2], flat)
        beams = np.asarray(np.searchsorted(self._elevations,
                                           np.c_[middle - above, middle + above]))
        azimuth = np.arctan2(centres[:, 1], centres[:, 0])
        per_radian = self._pattern.columns / (2.0 * np.pi)
        first = np.floor((azimuth - beside + np.pi) * per_radian).astype(int)
        end = np.ceil((azimuth + beside + np.pi) * per_radian).astype(int)
        return beams, first, np.minimum(end, first + self._pattern.columns)

    @staticmethod
    def _meet(solid: Solid, lidar_from_world: FloatArray, rays: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
        """Range, infinite for a miss, and intensity [beams, columns] of rays at a solid."""
        rotation = lidar_from_world[:3, :3]
        points = solid.vertices @ rotation.T + lidar_from_world[:3, 3]
        normals = (solid.normals @ rotation.T).astype(np.float32)
        offsets = np.einsum('fk,fk->f', normals, points[solid.corners[:, 0]]).astype(np.float32)
        outside = offsets < 0.0
        # A ray is inside the solid from the last plane that it enters to the first that it leaves.
        # Planes with the sensor on their inner side can only be left, the others must be entered;
        # with the sensor inside the solid there are none, and every ray ends at once.
        entry, leaving = rays @ normals[outside].T, rays @ normals[~outside].T
        with np.errstate(divide='ignore', invalid='ignore'):
            enter = np.where(entry < 0.0, offsets[outside] / entry, np.inf).max(axis=-1, initial=0)
            leave = np.where(leaving > 0.0, offsets[~outside] / leaving, np.inf).min(axis=-1)
        reach = np.where(enter <= leave, enter, np.inf)
        return reach, solid.intensity * np.exp(-reach / 120.0)
