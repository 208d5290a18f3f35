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
A pinhole camera that draws solids on a painted ground under a sky.

Faces are rasterised one by one against a z-buffer of inverse depths, which are linear across the
image for every plane, at twice the image size; averaging back smooths the edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from pair_drive_ros.core.geometry import FloatArray, invert_transform, rigid_transform
from pair_drive_training.world.backdrop import Backdrop, HAZE, haze_share, SUN
from pair_drive_training.world.ground import GroundMap
from pair_drive_training.world.projection import fixed_point, NEAR, outline, SUBPIXEL_BITS
from pair_drive_training.world.shapes import Face, Solid, Texture

SUPERSAMPLING = 2
FAR = 130.0
AMBIENT, DIFFUSE = 0.62, 0.42
SMALLEST_FACE = 1.5
"""Fine pixels: a face that is narrower is not worth drawing."""


@dataclass(frozen=True)
class _Faces:
    """
    The faces that look at the camera, in its frame, and how bright each one is.

    ``corners`` [F, 4, 3]; ``planes`` [F, 3]: inverse depth at a pixel (column, row, 1); ``light``
    and ``haze`` [F] shares.
    """

    faces: list[Face]
    corners: np.ndarray
    planes: np.ndarray
    light: np.ndarray
    haze: np.ndarray


class Camera:
    """
    Draws what a camera fixed to the vehicle sees.

    :param base_from_camera: 4x4 pose of the optical frame (x right, y down, z forward), no roll
    :param intrinsics: [3, 3] pixels
    :param size: width and height in pixels
    """

    def __init__(self, base_from_camera: FloatArray, intrinsics: FloatArray,
                 size: tuple[int, int], ground: GroundMap):
        self._base_from_camera = base_from_camera
        self._half_view = size[0] / 2.0 / intrinsics[0, 0]
        self._size = size
        self._backdrop = Backdrop(base_from_camera, intrinsics, size, ground)
        # The fine image: pixel centres at fine = coarse * n + (n - 1) / 2.
        fine = float(SUPERSAMPLING)
        self._fine_size = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        self._intrinsics = np.array([[fine, 0.0, (fine - 1.0) / 2.0],
                                     [0.0, fine, (fine - 1.0) / 2.0],
                                     [0.0, 0.0, 1.0]]) @ intrinsics
        self._inverse_depth = np.empty(self._fine_size[::-1], np.float32)
        self._positions = np.arange(max(self._fine_size), dtype=np.float32)

    def render(self, world_from_base: FloatArray, solids: Sequence[Solid]) -> np.ndarray:
        """
        Draw the solids, given in the world frame, as seen from a 4x4 vehicle pose.

        :return: uint8 [H, W, 3], blue green red
        """
        camera_from_world = invert_transform(world_from_base @ self._base_from_camera)
        visible = self._visible(solids, camera_from_world)
        backdrop = self._backdrop.draw(world_from_base, camera_from_world, visible)
        fine = cv2.resize(backdrop, self._fine_size, interpolation=cv2.INTER_NEAREST)
        self._inverse_depth[:] = 1.0 / FAR
        if visible:
            self._draw_faces(fine, self._facing(visible, camera_from_world))
        image = cv2.resize(fine, self._size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)

    def _visible(self, solids: Sequence[Solid], camera_from_world: FloatArray) -> list[Solid]:
        """Keep the solids that, or whose shadows, may be in view; the nearest come first."""
        if not solids:
            return []
        bounds = np.array([solid.bounds for solid in solids])
        centre = bounds[:, :3] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        radius = bounds[:, 3] + bounds[:, 4]
        beside = ((np.abs(centre[:, 0]) - self._half_view * centre[:, 2])
                  / np.hypot(1.0, self._half_view))
        kept = (centre[:, 2] > NEAR - radius) & (centre[:, 2] - radius < FAR) & (beside < radius)
        distance = np.linalg.norm(centre, axis=1) - bounds[:, 3]
        return [solids[int(i)] for i in np.argsort(distance) if kept[i]]

    def _facing(self, solids: Sequence[Solid], camera_from_world: FloatArray) -> _Faces:
        rotation = camera_from_world[:3, :3]
        corners = np.concatenate([solid.vertices[solid.corners] for solid in solids])
        corners = corners @ rotation.T + camera_from_world[:3, 3]
        normals = np.concatenate([solid.normals for solid in solids])
        distance = np.einsum('fk,fk->f', normals @ rotation.T, corners[:, 0])
        kept = np.flatnonzero((distance < 0.0) & (corners[..., 2].max(axis=1) > NEAR))
        faces = list(chain.from_iterable(solid.faces for solid in solids))
        rays = normals[kept] @ rotation.T / distance[kept, None]
        return _Faces([faces[i] for i in kept], corners[kept],
                      (rays @ np.linalg.inv(self._intrinsics)).astype(np.float32),
                      AMBIENT + DIFFUSE * np.maximum(0.0, normals[kept] @ SUN),
                      haze_share(np.linalg.norm(corners[kept].mean(axis=1), axis=1)))

    def _draw_faces(self, image: np.ndarray, seen: _Faces) -> None:
        """Draw every face into the fine image, nearest wins."""
        colours = np.array([face.colour for face in seen.faces], np.float64)
        shade = (colours * (seen.light * (1.0 - seen.haze))[:, None]
                 + HAZE * seen.haze[:, None]).clip(0.0, 255.0)
        packed = np.c_[shade, np.zeros(len(shade))].astype(np.uint8).view(np.uint32)[:, 0]
        pixels, whole = self._pixels(seen.corners)
        lowest, highest = pixels.min(axis=1), pixels.max(axis=1)
        possible = ((highest > 0.0) & (lowest < self._fine_size)
                    & (highest - lowest > SMALLEST_FACE)).all(axis=1)
        limit = np.array(self._fine_size)
        low = np.floor(lowest).clip(0.0, limit).astype(int)
        end = np.ceil(highest + 1.0).clip(0.0, limit).astype(int)
        shapes = fixed_point(pixels - low[:, None])
        words = image.view(np.uint32)[..., 0]
        for i in np.flatnonzero(possible | ~whole):
            if whole[i]:
                shape, corner, size = shapes[i], low[i], end[i] - low[i]
            else:
                cut = outline(seen.corners[i], self._intrinsics, self._fine_size)
                if cut is None:
                    continue
                corner = np.floor(cut.min(axis=0)).clip(0.0, limit).astype(int)
                size = np.ceil(cut.max(axis=0) + 1.0).clip(0.0, limit).astype(int) - corner
                if size.min() <= 0:
                    continue
                shape = fixed_point(cut - corner)
            window = (slice(corner[1], corner[1] + size[1]),
                      slice(corner[0], corner[0] + size[0]))
            shown = self._nearest(shape, corner, size, seen.planes[i], window)
            if not shown.any():
                continue
            face = seen.faces[i]
            if face.texture is None:
                np.copyto(words[window], packed[i], where=shown)
            else:
                paint = self._warped(face.texture, seen.corners[i], corner, size,
                                     cv2.contourArea(shape) / 4.0 ** SUBPIXEL_BITS,
                                     seen.light[i], seen.haze[i])
                np.copyto(words[window], paint.view(np.uint32)[..., 0], where=shown)

    def _pixels(self, corners: FloatArray) -> tuple[FloatArray, np.ndarray]:
        """Fine pixels [F, 4, 2], and which faces [F] need no cutting for them to be right."""
        whole = corners[..., 2].min(axis=1) > NEAR
        with np.errstate(divide='ignore', invalid='ignore'):
            pixels = corners @ self._intrinsics.T
            pixels = pixels[..., :2] / pixels[..., 2:]
        whole &= np.abs(pixels).max(axis=(1, 2)) < 4.0 * max(self._fine_size)
        return np.where(whole[:, None, None], pixels, 0.0), whole

    def _nearest(self, shape: np.ndarray, low: np.ndarray, size: np.ndarray, plane: FloatArray,
                 window: tuple[slice, slice]) -> np.ndarray:
        """Mark [h, w] where a face, fixed-point in its window, is nearest; update the z-buffer."""
        cover = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(cover, shape, 1, cv2.LINE_8, SUBPIXEL_BITS)
        across = self._positions[low[0]:low[0] + size[0]] * plane[0] + plane[2]
        down = self._positions[low[1]:low[1] + size[1]] * plane[1]
        inverse = across + down[:, None]
        depth = self._inverse_depth[window]
        shown = cover.view(bool)
        shown &= inverse > depth
        np.copyto(depth, inverse, where=shown)
        return shown

    def _warped(self, texture: Texture, corners: FloatArray, low: np.ndarray, size: np.ndarray,
                area: float, light: float, haze: float) -> np.ndarray:
        """Warp a texture into the window [h, w, 4] of its face, lit and hazed."""
        height, width = texture.levels[0].shape[:2]
        level = int(0.5 * np.log2(max(1.0, height * width / max(area, 1.0))) + 0.3)
        picture = texture.levels[min(level, len(texture.levels) - 1)]
        tone = np.arange(256)[:, None] * (light * (1.0 - haze)) + np.append(HAZE, 0.0) * haze
        picture = cv2.LUT(picture, tone.clip(0, 255).astype(np.uint8)[:, None])
        rows, columns = picture.shape[:2]
        right, down = (corners[3] - corners[0]) / columns, (corners[1] - corners[0]) / rows
        # Texture pixel centres lie half a pixel inside its edges.
        origin = corners[0] + (right + down) / 2.0
        matrix = self._intrinsics @ np.stack([right, down, origin], axis=-1)
        matrix[:2] -= low[:, None] * matrix[2]
        return cv2.warpPerspective(picture, matrix, (int(size[0]), int(size[1])),
                                   flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def planar_transform(pose: FloatArray) -> np.ndarray:
    """4x4 transform of an SE(2) pose [3] on the ground."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    return rigid_transform(np.array([pose[0], pose[1], 0.0]),
                           np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]))
