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

"""The ground of the sample drive, painted once as a map seen from above."""

from itertools import pairwise

import cv2
import numpy as np
from pair_drive_training.world import road as rd
from pair_drive_training.world.road import RoadLine
from pair_drive_training.world.shapes import Colour, Texture

METRES_PER_PIXEL = 0.04
MARGIN = 28.0
SUBPIXEL_BITS = 4

GRASS, ASPHALT, PARKING = (72, 118, 96), (92, 90, 88), (102, 101, 100)
PAVEMENT, KERB, PAINT = (150, 156, 160), (178, 182, 184), (226, 230, 230)


class GroundMap:
    """
    Texture of the plane z = 0.

    ``map_from_world`` [3, 3] takes homogeneous world x, y (m) to texture column, row.
    """

    def __init__(self, road: RoadLine, crossings: tuple[float, ...], rng: np.random.Generator):
        arc = np.arange(road.start, road.end, 1.0)
        line = road.poses(arc)[:, :2]
        low, high = line.min(axis=0) - MARGIN, line.max(axis=0) + MARGIN
        scale = 1.0 / METRES_PER_PIXEL
        self.map_from_world = np.array([[scale, 0.0, -low[0] * scale],
                                        [0.0, -scale, high[1] * scale],
                                        [0.0, 0.0, 1.0]])
        columns, rows = np.ceil((high - low) * scale).astype(int)
        self._road = road
        self._image = np.empty((rows, columns, 3), np.uint8)
        self._paint(crossings, rng)
        self.texture = Texture.of(self._image)
        del self._image

    def brightness(self, points: np.ndarray) -> np.ndarray:
        """Brightness [N] in [0, 1] of the paint at world points [N, 2]; grass beyond the map."""
        picture = self.texture.levels[0]
        pixels = points @ self.map_from_world[:2, :2].T + self.map_from_world[:2, 2]
        column, row = np.floor(pixels).astype(int).T
        height, width = picture.shape[:2]
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        brightness = np.full(len(points), np.mean(GRASS) / 255.0)
        brightness[inside] = picture[row[inside], column[inside], :3].mean(axis=1) / 255.0
        return brightness

    def _paint(self, crossings: tuple[float, ...], rng: np.random.Generator) -> None:
        self._image[:] = GRASS
        whole = (self._road.start, self._road.end)
        for inner, side in ((rd.LEFT_KERB, 1.0), (rd.RIGHT_KERB, -1.0)):
            outer = inner + side * rd.PAVEMENT_WIDTH
            self._strip(whole, inner, outer, PAVEMENT)
            self._pavement_joints(inner, outer)
        self._strip(whole, rd.RIGHT_KERB, rd.LEFT_KERB, ASPHALT)
        self._strip(whole, rd.RIGHT_KERB, rd.RIGHT_LANE_EDGE, PARKING)
        self._strip(whole, rd.LEFT_LANE_EDGE, rd.LEFT_KERB, PARKING)
        self._wear(rng)
        self._grain(rng)
        for kerb, side in ((rd.LEFT_KERB, 1.0), (rd.RIGHT_KERB, -1.0)):
            self._strip(whole, kerb, kerb + side * 0.18, KERB)
            self._strip(whole, kerb - side * 0.32, kerb, (118, 118, 116))
        self._markings(crossings)

    def _wear(self, rng: np.random.Generator) -> None:
        """Darken the wheel tracks and lay a few repaired patches and manhole covers."""
        whole = (self._road.start, self._road.end)
        for lane in (0.0, rd.LANE_WIDTH):
            for wheel in (-0.8, 0.8):
                self._strip(whole, lane + wheel - 0.25, lane + wheel + 0.25, (86, 84, 82))
        for arc in np.arange(self._road.start + 5.0, self._road.end - 8.0, 23.0):
            start = arc + rng.uniform(0.0, 12.0)
            side = rng.uniform(-1.2, 3.6)
            self._strip((start, start + rng.uniform(1.0, 4.5)), side, side + rng.uniform(0.5, 1.3),
                        (74, 72, 70))
            centre = self._pixels(self._road.poses(arc, rng.uniform(-0.6, 0.6))[None, :2])[0]
            cv2.circle(self._image, tuple(centre), int(0.32 / METRES_PER_PIXEL) * 16,
                       (66, 66, 66), -1, cv2.LINE_AA, SUBPIXEL_BITS)
            cv2.circle(self._image, tuple(centre), int(0.26 / METRES_PER_PIXEL) * 16,
                       (84, 84, 84), -1, cv2.LINE_AA, SUBPIXEL_BITS)

    def _markings(self, crossings: tuple[float, ...]) -> None:
        """Dashed centre line, parking bays, zebra crossings with stop lines."""
        def is_clear(arc: float) -> bool:
            return all(abs(arc - crossing) > 5.5 for crossing in crossings)

        for arc in np.arange(self._road.start, self._road.end - 4.0, 6.0):
            if is_clear(arc + 1.5):
                self._strip((arc, arc + 3.0), rd.CENTRE_LINE - 0.07, rd.CENTRE_LINE + 0.07, PAINT)
        for edge, side in ((rd.RIGHT_LANE_EDGE, -1.0), (rd.LEFT_LANE_EDGE, 1.0)):
            for start, end in pairwise((self._road.start, *crossings, self._road.end)):
                self._strip((start + 4.5, end - 4.5), edge, edge + side * 0.12, PAINT)
            for arc in np.arange(self._road.start, self._road.end, 6.0):
                if is_clear(arc):
                    self._strip((arc, arc + 0.1), edge, edge + side * 2.0, PAINT)
        for crossing in crossings:
            for side in np.arange(rd.RIGHT_KERB + 0.5, rd.LEFT_KERB - 0.5, 1.0):
                self._strip((crossing - 1.75, crossing + 1.75), side, side + 0.5, PAINT)
            self._strip((crossing - 3.4, crossing - 3.0), rd.RIGHT_LANE_EDGE + 0.1,
                        rd.CENTRE_LINE - 0.1, PAINT)
            self._strip((crossing + 3.0, crossing + 3.4), rd.CENTRE_LINE + 0.1,
                        rd.LEFT_LANE_EDGE - 0.1, PAINT)

    def _pavement_joints(self, inner: float, outer: float) -> None:
        joint = tuple(int(0.86 * c) for c in PAVEMENT)
        low, high = min(inner, outer), max(inner, outer)
        for arc in np.arange(self._road.start, self._road.end - 1.0, 1.0):
            self._strip((arc, arc + 0.06), low, high, joint)
        for side in np.arange(low + 0.8, high, 0.8):
            self._strip((self._road.start, self._road.end), side, side + 0.06, joint)

    def _grain(self, rng: np.random.Generator) -> None:
        """Multiply by fine and coarse noise so that no surface is flat."""
        tile = 1024
        noise = 1.0 + 0.05 * rng.standard_normal((tile, tile), np.float32)
        for cell, strength in ((8, 0.05), (64, 0.06)):
            coarse = rng.standard_normal((tile // cell, tile // cell), np.float32)
            noise += strength * cv2.resize(coarse, (tile, tile), interpolation=cv2.INTER_CUBIC)
        factor = np.repeat((128.0 * noise).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for row in range(0, self._image.shape[0], tile):
            for column in range(0, self._image.shape[1], tile):
                part = self._image[row:row + tile, column:column + tile]
                part[:] = cv2.multiply(part, factor[:part.shape[0], :part.shape[1]],
                                       scale=1.0 / 128.0)

    def _strip(self, span: tuple[float, float], inner: float, outer: float,
               colour: Colour) -> None:
        """Fill the band between two lateral offsets over a span of arc length."""
        steps = max(2, int(span[1] - span[0]) + 1)
        arc = np.linspace(*span, steps)
        outline = np.concatenate([self._road.poses(arc, inner)[:, :2],
                                  self._road.poses(arc, outer)[::-1, :2]])
        cv2.fillPoly(self._image, [self._pixels(outline)], colour, cv2.LINE_AA, SUBPIXEL_BITS)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """Fixed-point texture positions [N, 2] of world points [N, 2]."""
        pixels = points @ self.map_from_world[:2, :2].T + self.map_from_world[:2, 2]
        return np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)
