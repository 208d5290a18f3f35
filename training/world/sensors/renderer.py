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

"""What the sensors of a vehicle in a town see at a moment of a drive."""

from collections.abc import Mapping, Sequence
import zlib

import numpy as np
from pair_drive_training.world.sensors.camera_rig import CameraModel, Rig
from pair_drive_training.world.sensors.ground_map import GroundMap, paint_ground
from pair_drive_training.world.sensors.lamps import add_glow, light_things
from pair_drive_training.world.sensors.lidar_scan import LidarScan
from pair_drive_training.world.sensors.look import Look
from pair_drive_training.world.sensors.scene_builder import Moment, SceneBuilder
from pair_drive_training.world.sensors.shading import GROUND_END_M, Light, shade
from pair_drive_training.world.sensors.visibility import (
    Buffers,
    draw_contacts,
    draw_shadows,
    draw_things,
    SAMPLES,
    Scene,
    View,
)
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.traffic.drive import Actor

_NOISE = np.random.default_rng(0x401).standard_normal(65536).astype(np.float32)


class Renderer:
    """
    A town as the sensors of a rig see it; prepared once, not to be shared between threads.

    The same moment and look give the same pictures and points, bit by bit. The arguments are those
    of ``scene_builder.Moment`` and the look: ``renderer.cameras(*moment_of(drive, step), look)``.
    """

    def __init__(self, town: Town, rig: Rig):
        # Whole metres, so that nothing is rounded when it is moved there.
        origin = np.round(np.asarray(town.centre, np.float64)[:2])
        self._ground = paint_ground(town, origin)
        self._builder = SceneBuilder(town, origin)
        self._cameras = [_Camera(camera) for camera in rig.cameras]
        self._scans = [LidarScan(scanner) for scanner in rig.scanners]

    def cameras(self, ego_pose: np.ndarray, actors: Sequence[Actor], poses: np.ndarray,
                braking: np.ndarray, blinking: np.ndarray, red: Mapping[int, bool], look: Look
                ) -> dict[str, np.ndarray]:
        """Return what each camera of the rig sees, uint8 [H, W, 3], red green blue, by name."""
        moment = Moment(ego_pose, actors, poses, braking, blinking, red)
        scene, light = self._builder.scene(moment, look.lamps_on), light_of(look)
        lit = np.empty((len(scene.mesh.colours), 3), np.float32)
        light_things(scene, light, lit)
        seed, pose = _noise_seed(moment, look), self._builder.own(ego_pose)
        return {camera.name: camera.picture(pose, scene, light, self._ground, lit, seed + number)
                for number, camera in enumerate(self._cameras)}

    def lidar(self, ego_pose: np.ndarray, actors: Sequence[Actor], poses: np.ndarray,
              braking: np.ndarray, blinking: np.ndarray, red: Mapping[int, bool], look: Look
              ) -> np.ndarray:
        """
        Return the merged sweep, float32 [N, 6], columns as a PCD file's ``POINT_FIELDS``.

        In the ego frame: x, y, z m, intensity 0..255, ring, number of the LiDAR.
        """
        moment = Moment(ego_pose, actors, poses, braking, blinking, red)
        scene, pose = self._builder.scene(moment, look.lamps_on), self._builder.own(ego_pose)
        rng = np.random.default_rng([_noise_seed(moment, look), 0x11D])
        return np.concatenate([scan.sweep(pose, scene, self._ground, look, rng)
                               for scan in self._scans])


class _Camera:
    """A camera of the rig, and where it draws."""

    def __init__(self, camera: CameraModel):
        self.name = camera.name
        self._camera = camera
        width, height = camera.size
        self._shows = np.empty((height * SAMPLES, width * SAMPLES), np.int32)
        self._closeness = np.empty(self._shows.shape, np.float32)
        self._scratch = np.empty((8, 3))
        share = 1.0 / SAMPLES
        pixel_from_sample = np.array([[share, 0.0, (share - 1.0) / 2.0],
                                      [0.0, share, (share - 1.0) / 2.0],
                                      [0.0, 0.0, 1.0]])
        self._axes = camera.rotation @ np.linalg.inv(camera.intrinsics) @ pixel_from_sample

    def picture(self, pose: np.ndarray, scene: Scene, light: Light, ground: GroundMap,
                lit: np.ndarray, seed: int) -> np.ndarray:
        view = self._view(pose)
        self._shows[:] = 0
        self._closeness[:] = 0.0
        buffers = Buffers(self._shows, self._closeness, np.empty((len(lit), 3)), self._scratch)
        if light.shadows:
            draw_shadows(scene, view, light.sun, buffers)
        draw_contacts(scene, view, buffers)
        draw_things(scene, view, buffers)
        width, height = self._camera.size
        image = np.empty((height, width, 3), np.uint8)
        shade(scene, view, buffers, light, ground, lit, np.empty((3, 4)), seed, image)
        add_glow(scene, view, buffers, light, image)
        return image

    def _view(self, pose: np.ndarray) -> View:
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        axes = turn @ self._axes
        inverse = np.linalg.inv(axes)
        rows, columns = self._shows.shape
        sides = np.stack([inverse[0], columns * inverse[2] - inverse[0],
                          inverse[1], rows * inverse[2] - inverse[1]])
        sides /= np.linalg.norm(sides, axis=1, keepdims=True)
        return View(turn @ self._camera.translation + [pose[0], pose[1], 0.0], axes,
                    turn @ self._camera.rotation[:, 2], inverse, sides,
                    float(self._camera.intrinsics[0, 0] * SAMPLES))


def light_of(look: Look) -> Light:
    """Return a look as the shading takes it."""
    clouds = np.random.default_rng([look.seed, 0xC10]).random(2)
    return Light(*(np.array(colour) for colour in (
        look.sun, look.sunlight, look.skylight, look.zenith, look.horizon, look.cloud)),
        look.exposure * np.array(look.tint), 512.0 * clouds, look.cover, look.grain, look.rain,
        look.lamps_on, max(look.sunlight) > 0.1,
        1.0 - np.exp(-np.arange(GROUND_END_M) / look.visibility), _NOISE)


def _noise_seed(moment: Moment, look: Look) -> int:
    """Return a number for the noise of a moment; it differs where anything moves."""
    where = np.concatenate([np.ravel(np.asarray(part, np.float64))
                            for part in (moment.ego_pose, moment.poses)])
    return zlib.crc32(where.tobytes(), look.seed & 0xFFFFFFFF)
