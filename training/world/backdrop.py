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

"""What stands behind every solid: the sky, the painted ground and the shadows on it."""

from collections.abc import Sequence

import cv2
import numpy as np
from pair_drive_ros.core.geometry import FloatArray, invert_transform
from pair_drive_training.world.ground import GroundMap
from pair_drive_training.world.projection import fixed_point, outline, SUBPIXEL_BITS
from pair_drive_training.world.shapes import Solid

SUN = np.array([-0.45, 0.52, 0.73]) / np.linalg.norm([-0.45, 0.52, 0.73])
HAZE = np.array([226.0, 216.0, 206.0])
HAZE_DISTANCE = 240.0
ZENITH = np.array([190.0, 132.0, 84.0])
CLOUD = np.array([248.0, 246.0, 244.0])
SHADOW_STRENGTH = 0.42
SHADOW_RANGE = 60.0
SKY_TOP = np.float32(np.pi / 4.0)
GROUND_END = 500.0
HAZE_WORTH_DRAWING = 0.03


def haze_share(distance: FloatArray | float) -> FloatArray:
    """Share of haze between the eye and something at a distance in metres."""
    return 1.0 - np.exp(-np.asarray(distance) / HAZE_DISTANCE)


class Backdrop:
    """
    Sky, ground and shadows for one camera fixed to the vehicle.

    The camera may be pitched but not rolled, and the vehicle stays level: every image row then
    has one ground depth, one mip level and one share of haze, known in advance.
    """

    def __init__(self, base_from_camera: FloatArray, intrinsics: FloatArray,
                 size: tuple[int, int], ground: GroundMap):
        self._base_from_camera = base_from_camera
        self._intrinsics = intrinsics
        self._size = size
        self._ground = ground
        self._bands = self._ground_bands()
        self._horizon = self._bands[0][0]
        self._sky_columns, self._sky_rows = self._sky_positions()

    def draw(self, world_from_base: FloatArray, camera_from_world: FloatArray,
             solids: Sequence[Solid]) -> np.ndarray:
        """Draw uint8 [H, W, 4] (blue, green, red, padding) with the shadows of the solids."""
        image = self._sky(world_from_base)
        self._draw_ground(image, camera_from_world)
        self._draw_shadows(image, camera_from_world, solids)
        return image

    def _ground_bands(self) -> list[tuple[int, int, int, np.ndarray]]:
        """Image rows that share a mip level of the ground: first, end, level, haze [rows]."""
        height = self._base_from_camera[2, 3]
        rows = (np.arange(self._size[1]) - self._intrinsics[1, 2]) / self._intrinsics[1, 1]
        fall = -(self._base_from_camera[2, 1] * rows + self._base_from_camera[2, 2])
        seen = np.flatnonzero(fall * GROUND_END > height)
        depth = height / fall[seen]
        across = depth / self._intrinsics[0, 0]
        along = across * depth / height
        shrink = self._ground.map_from_world[0, 0] * np.sqrt(across * along)
        coarsest = len(self._ground.texture.levels) - 1
        level = np.clip(np.round(np.log2(shrink) - 0.7), 0, coarsest).astype(int)
        haze = haze_share(depth)
        parts = np.split(np.arange(len(seen)), np.flatnonzero(np.diff(level)) + 1)
        return [(int(seen[part[0]]), int(seen[part[-1]]) + 1, int(level[part[0]]), haze[part])
                for part in parts]

    def _draw_ground(self, image: np.ndarray, camera_from_world: FloatArray) -> None:
        """Warp the ground map into the rows below the horizon."""
        plane = camera_from_world[:3, [0, 1, 3]]
        image_from_map = self._intrinsics @ plane @ np.linalg.inv(self._ground.map_from_world)
        for first, end, level, haze in self._bands:
            shift = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -first], [0.0, 0.0, 1.0]])
            part = cv2.warpPerspective(self._ground.texture.levels[level],
                                       shift @ image_from_map @ _mip_scale(level),
                                       (self._size[0], end - first),
                                       flags=cv2.INTER_LINEAR if level else cv2.INTER_CUBIC,
                                       borderMode=cv2.BORDER_REPLICATE)
            if haze.max() > HAZE_WORTH_DRAWING:
                weight = haze.astype(np.float32)[:, None, None]
                part = part * (1.0 - weight) + np.array([*HAZE, 0.0], np.float32) * weight
            image[first:end] = part

    def _sky_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Panorama column and row [horizon, W] of the pixels above the ground at heading 0."""
        columns, rows = np.meshgrid(np.arange(self._size[0]), np.arange(self._horizon))
        pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1).astype(np.float64)
        rays = pixels @ np.linalg.inv(self._intrinsics).T @ self._base_from_camera[:3, :3].T
        azimuth = np.arctan2(rays[..., 1], rays[..., 0])
        elevation = np.arctan2(rays[..., 2], np.hypot(rays[..., 0], rays[..., 1]))
        height, width = CLOUDS.shape[:2]
        row = ((SKY_TOP - elevation) * height / SKY_TOP).clip(0, height - 1)
        return (((np.pi - azimuth) * width / (2.0 * np.pi)).astype(np.float32),
                row.astype(np.float32))

    def _sky(self, world_from_base: FloatArray) -> np.ndarray:
        """Return the image with the panorama of clouds as it stands at this heading."""
        heading = np.arctan2(world_from_base[1, 0], world_from_base[0, 0])
        turn = np.float32(heading * CLOUDS.shape[1] / (2.0 * np.pi))
        image = np.empty((self._size[1], self._size[0], 4), np.uint8)
        image[:self._horizon] = cv2.remap(CLOUDS, self._sky_columns - turn, self._sky_rows,
                                          cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return image

    def _draw_shadows(self, image: np.ndarray, camera_from_world: FloatArray,
                      solids: Sequence[Solid]) -> None:
        """Darken the ground where solids hide the sun."""
        mask = np.zeros(image.shape[:2], np.uint8)
        eye = invert_transform(camera_from_world)[:2, 3]
        for solid in solids:
            if np.hypot(*(solid.bounds[:2] - eye)) - solid.bounds[3] > SHADOW_RANGE:
                continue
            cast = solid.vertices - solid.vertices[:, 2:] * (SUN / SUN[2])
            hull = cast[cv2.convexHull(cast[:, :2].astype(np.float32), returnPoints=False)[:, 0]]
            pixels = outline(hull @ camera_from_world[:3, :3].T + camera_from_world[:3, 3],
                             self._intrinsics, self._size)
            if pixels is not None:
                cv2.fillConvexPoly(mask, fixed_point(pixels), 255, cv2.LINE_AA, SUBPIXEL_BITS)
        dark = cv2.convertScaleAbs(mask[self._horizon:], alpha=SHADOW_STRENGTH)
        light = cv2.merge([255 - dark] * 4)
        image[self._horizon:] = cv2.multiply(image[self._horizon:], light, scale=1.0 / 255.0)


def _mip_scale(level: int) -> np.ndarray:
    """Finest texture pixels from the pixels of a mip level."""
    scale = float(2 ** level)
    shift = (scale - 1.0) / 2.0
    return np.array([[scale, 0.0, shift], [0.0, scale, shift], [0.0, 0.0, 1.0]])


def _cloud_panorama() -> np.ndarray:
    """Uint8 [256, 2048, 4]: azimuth pi..-pi by elevation ``SKY_TOP``..0, seamless around."""
    rows, columns = 256, 2048
    rng = np.random.default_rng(7)
    clouds = np.zeros((rows, columns), np.float32)
    for cells, weight in ((8, 1.0), (16, 0.55), (32, 0.3), (64, 0.16)):
        noise = rng.standard_normal((cells, cells * 2)).astype(np.float32)
        wrapped = np.concatenate([noise[:, -2:], noise, noise[:, :2]], axis=1)
        wide = cv2.resize(wrapped, (columns * (cells * 2 + 4) // (cells * 2), rows),
                          interpolation=cv2.INTER_CUBIC)
        start = columns // cells
        clouds += weight * wide[:, start:start + columns]
    elevation = np.linspace(1.0, 0.0, rows, dtype=np.float32)[:, None]
    cover = np.clip((clouds - 0.25) * 0.7, 0.0, 0.85) * np.minimum(1.0, elevation * 3.0)
    clear = HAZE + (ZENITH - HAZE) * np.sqrt(elevation)[..., None]
    sky = clear * (1.0 - cover[..., None]) + CLOUD * cover[..., None]
    return cv2.cvtColor(sky.clip(0, 255).astype(np.uint8), cv2.COLOR_BGR2BGRA)


CLOUDS = _cloud_panorama()
