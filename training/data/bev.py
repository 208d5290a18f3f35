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
The semantic map seen from above that TransFuser learns beside its plan.

Source: the target builder of NAVSIM's TransFuser agent, whose pixels are reproduced: vertices
truncated towards zero to pixels of 0.25 m, areas with their border, only outer rings, lines two
pixels wide, later classes over earlier ones.
"""

from collections.abc import Sequence
import enum
from functools import lru_cache

import cv2
import numpy as np
from pair_drive_ros.models.features import LIDAR_RANGE_M
from pair_drive_training.data.city_map import CityMap, Lane, Layer
from pair_drive_training.data.frames import Annotations
import shapely

SEMANTIC_SHAPE = (128, 256)
PIXEL_M = 0.25
_LINE_PIXELS = 2


class SemanticClass(enum.IntEnum):
    """What a cell of the map holds, in the order of drawing."""

    NOTHING = 0
    ROAD = 1
    WALKWAY = 2
    CENTRELINE = 3
    STATIC_OBJECT = 4
    VEHICLE = 5
    PEDESTRIAN = 6


_AREAS = ((SemanticClass.ROAD, Layer.LANE), (SemanticClass.ROAD, Layer.INTERSECTION),
          (SemanticClass.WALKWAY, Layer.WALKWAY))
# Bicycles are drawn in no class.
_OBJECTS = {'czone_sign': SemanticClass.STATIC_OBJECT, 'barrier': SemanticClass.STATIC_OBJECT,
            'traffic_cone': SemanticClass.STATIC_OBJECT,
            'generic_object': SemanticClass.STATIC_OBJECT,
            'vehicle': SemanticClass.VEHICLE, 'pedestrian': SemanticClass.PEDESTRIAN}


def semantic_map(annotations: Annotations, city: CityMap, pose: np.ndarray) -> np.ndarray:
    """
    Draw the surroundings ahead of the rear axle, uint8 [128, 256] of ``SemanticClass``.

    Rows run forward from the rear axle to 32 m ahead, columns from 32 m right to 32 m left, as in
    the LiDAR histogram's front half. Map objects are taken whole when they touch the square of
    +-32 m along the map's axes, so that the corners of a turned view may stay empty.

    :param annotations: boxes in the ego frame
    :param pose: [3] x, y, heading of the rear axle in the map frame
    """
    labels, outlines = _map_areas(city, pose)
    # Drawn with x along the columns and turned at the end: lines of two pixels are not symmetric.
    canvas = np.zeros(SEMANTIC_SHAPE[::-1], np.uint8)
    for label, outline in zip(labels, _to_pixels(outlines, pose), strict=True):
        cv2.fillPoly(canvas, [outline], int(label))
    for line in _to_pixels(_centrelines(city, pose), pose):
        cv2.polylines(canvas, [line], False, int(SemanticClass.CENTRELINE), _LINE_PIXELS)
    corners = _pixels(_box_corners(annotations.boxes))
    drawn = [(_OBJECTS[name], index) for index, name in enumerate(annotations.names)
             if name in _OBJECTS]
    for label, index in sorted(drawn):
        cv2.fillPoly(canvas, [corners[index]], int(label))
    return np.ascontiguousarray(canvas.T)


def _map_areas(city: CityMap, pose: np.ndarray) -> tuple[list[SemanticClass], list[np.ndarray]]:
    """Return the class and the outer ring [V, 2] of each area, in the order of drawing."""
    labels: list[SemanticClass] = []
    outlines: list[np.ndarray] = []
    for label, layer in _AREAS:
        near = city.near(layer, pose[0], pose[1], LIDAR_RANGE_M)
        rings = shapely.get_exterior_ring(shapely.get_parts(city.polygons(layer)[near]))
        outlines += [shapely.get_coordinates(ring) for ring in rings]
        labels += [label] * len(rings)
    return labels, outlines


def _centrelines(city: CityMap, pose: np.ndarray) -> list[np.ndarray]:
    """Baselines [V, 2]: of lanes by their polygon, of connectors by the baseline itself."""
    x, y = pose[0], pose[1]
    ids = city.ids(Layer.LANE)
    lanes = [city.lanes[ids[index]] for index in city.near(Layer.LANE, x, y, LIDAR_RANGE_M)]
    connectors, tree = _connector_lines(city)
    square = shapely.box(x - LIDAR_RANGE_M, y - LIDAR_RANGE_M,
                         x + LIDAR_RANGE_M, y + LIDAR_RANGE_M)
    lanes += [connectors[index] for index in tree.query(square, predicate='intersects')]
    return [lane.baseline[:, :2] for lane in lanes]


@lru_cache(maxsize=8)
def _connector_lines(city: CityMap) -> tuple[list[Lane], shapely.STRtree]:
    connectors = [lane for lane in city.lanes.values() if lane.is_connector]
    return connectors, shapely.STRtree([lane.line for lane in connectors])


def _to_pixels(lines: Sequence[np.ndarray], pose: np.ndarray) -> list[np.ndarray]:
    """Move lines of map points [V, 2] into the ego frame and to pixels, all at once."""
    if not lines:
        return []
    offset = np.concatenate(lines) - pose[:2]
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    ego = np.column_stack([cos * offset[:, 0] + sin * offset[:, 1],
                           -sin * offset[:, 0] + cos * offset[:, 1]])
    return np.split(_pixels(ego), np.cumsum([len(line) for line in lines])[:-1])


def _pixels(ego: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] (int32, forward and left) of points in the ego frame."""
    return (ego / PIXEL_M + (0.0, SEMANTIC_SHAPE[1] / 2)).astype(np.int32)


def _box_corners(boxes: np.ndarray) -> np.ndarray:
    """
    Corners [N, 4, 2], float64, of boxes [N, 7].

    Sine and cosine of the heading itself are taken in the boxes' precision and those of its
    normal in double, as the devkit's scalars are promoted.
    """
    boxes = np.asarray(boxes)
    heading = boxes[:, 6, None]
    normal = heading.astype(np.float64) + np.pi / 2.0
    forward = boxes[:, 3, None] / 2.0 * np.array([1.0, -1.0, -1.0, 1.0])
    left = boxes[:, 4, None] / 2.0 * np.array([1.0, 1.0, -1.0, -1.0])
    return np.stack([boxes[:, 0, None] + (left * np.cos(normal) + forward * np.cos(heading)),
                     boxes[:, 1, None] + (left * np.sin(normal) + forward * np.sin(heading))],
                    axis=-1)
