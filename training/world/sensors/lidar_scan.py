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

"""Sweeps of the rig's LiDARs, merged: what they meet, and what a real one makes of it."""

import numpy as np
from pair_drive_training.world.sensors.camera_rig import Scanner
from pair_drive_training.world.sensors.ground_map import GroundMap, METRES_PER_TEXEL
from pair_drive_training.world.sensors.look import Look
from pair_drive_training.world.sensors.visibility import Scene, trace

MAX_RANGE_M = 70.0
_MIN_RANGE_M = 1.2
_NOISE_M = 0.02
_FAINTEST = 0.6
"""Intensity of a return at which half of them are lost."""


class LidarScan:
    """The rays of one scanner."""

    def __init__(self, scanner: Scanner):
        self._scanner = scanner
        columns, beams = scanner.columns, len(scanner.elevations)
        self._azimuths = (np.arange(columns) + 0.5) * (2.0 * np.pi / columns) - np.pi
        self._elevations = np.radians(scanner.elevations)
        flat, up = np.cos(self._elevations)[:, None], np.sin(self._elevations)[:, None]
        self._rays = np.stack([flat * np.cos(self._azimuths), flat * np.sin(self._azimuths),
                               np.broadcast_to(up, (beams, columns))], axis=-1)
        self._shows = np.empty((beams, columns), np.int32)
        self._scratch = np.empty((8, 3))

    def sweep(self, pose: np.ndarray, scene: Scene, ground: GroundMap, look: Look,
              rng: np.random.Generator) -> np.ndarray:
        """
        Measure float32 [N, 6]: x, y, z m in the ego frame, intensity 0..255, ring, LiDAR number.

        :param pose: [3] of the ego in the town's own frame
        """
        turn = np.array([np.cos(pose[2]), np.sin(pose[2])])
        x, y, z = self._scanner.position
        eye = np.array([pose[0] + turn[0] * x - turn[1] * y, pose[1] + turn[1] * x + turn[0] * y,
                        z])
        with np.errstate(divide='ignore'):
            ranges = np.where(self._rays[..., 2] < 0.0, -z / self._rays[..., 2], np.inf)
        self._shows[:] = -1
        trace(scene, eye, turn, self._rays, self._azimuths, self._elevations, MAX_RANGE_M,
              self._shows, ranges, self._scratch)
        ring, column = np.nonzero((ranges < MAX_RANGE_M) & (ranges > _MIN_RANGE_M))
        distance, rays = ranges[ring, column], self._rays[ring, column]
        shown = self._shows[ring, column]
        on_ground = shown < 0
        world = np.stack([turn[0] * rays[:, 0] - turn[1] * rays[:, 1],
                          turn[1] * rays[:, 0] + turn[0] * rays[:, 1]], axis=-1)
        slant, strength = np.abs(rays[:, 2]), np.empty(len(rays))
        strength[on_ground] = (1.0 - look.rain) * _paint(
            ground, eye[:2] + world[on_ground] * distance[on_ground, None])
        met = shown[~on_ground]
        strength[~on_ground] = scene.mesh.reflects[met]
        slant[~on_ground] = np.abs((world[~on_ground] * scene.mesh.normals[met, :2]).sum(axis=-1)
                                   + rays[~on_ground, 2] * scene.mesh.normals[met, 2])
        intensity = strength * np.sqrt(slant) * np.exp(-distance / 60.0)
        spread = rng.random((3, len(distance)))
        kept = spread[0] * (1.0 + _FAINTEST / np.maximum(intensity, 1e-6)) < 1.0
        kept &= spread[1] > 0.01 + look.rain
        noise = _NOISE_M * rng.standard_normal(len(distance))
        points = np.empty((int(kept.sum()), 6), np.float32)
        points[:, :3] = (rays * (distance + noise)[:, None] + self._scanner.position)[kept]
        points[:, 3] = np.round((intensity * (0.85 + 0.3 * spread[2])).clip(0.0, 255.0))[kept]
        points[:, 4], points[:, 5] = ring[kept], self._scanner.number
        return points


def _paint(ground: GroundMap, places: np.ndarray) -> np.ndarray:
    """Intensity [N] of the ground at places [N, 2]: asphalt is dark, paint throws light back."""
    first, rows, columns = ground.levels[0]
    column = ((places[:, 0] - ground.corner[0]) / METRES_PER_TEXEL).astype(np.int64)
    row = ((ground.corner[1] - places[:, 1]) / METRES_PER_TEXEL).astype(np.int64)
    at = first + row.clip(0, rows - 1) * columns + column.clip(0, columns - 1)
    bright = ground.texels[at].mean(axis=1) / 255.0
    return 10.0 + 60.0 * bright ** 2 + 90.0 * np.maximum(0.0, bright - 0.7)
