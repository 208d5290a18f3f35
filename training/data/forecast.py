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
What PDM-Closed believes will happen: every object goes on at its present velocity.

Source: ``PDMObservation`` and ``PDMObjectManager`` of NAVSIM's devkit.
"""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.scoring import Objects, ObjectType
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH
from pair_drive_training.data.frames import Tracks
import shapely

RADIUS_M = 100.0
NEAREST = ((ObjectType.VEHICLE, 50), (ObjectType.PEDESTRIAN, 25), (ObjectType.BICYCLE, 10))
NEAREST_STATIC = 50
STEPS_A_SAMPLE = 2
CORNERS = 0.5 * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
EGO_CORNERS = 2.0 * CORNERS * [HALF_LENGTH, HALF_WIDTH] + [AXLE_TO_CENTRE, 0.0]


def ego_footprint(poses: np.ndarray) -> np.ndarray:
    """Boxes of the ego, as geometries, at rear-axle poses [..., 3]."""
    return shapely.polygons(box_corners(poses, EGO_CORNERS))


def box_corners(boxes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Place corners [..., 4, 2], given in the frame of each box, by poses [..., 3]."""
    cos, sin = np.cos(boxes[..., 2:]), np.sin(boxes[..., 2:])
    along, across = corners[..., 0], corners[..., 1]
    placed = np.empty((*boxes.shape[:-1], 4, 2))
    placed[..., 0] = boxes[..., :1] + along * cos - across * sin
    placed[..., 1] = boxes[..., 1:2] + along * sin + across * cos
    return placed


@dataclass(frozen=True)
class Forecast:
    """
    N objects near the ego.

    ``tracks`` as seen now; ``shift`` [N, 2] m/s by which the boxes are moved; ``ignored`` [N]: it
    touches the ego already.
    """

    tracks: Tracks
    shift: np.ndarray
    ignored: np.ndarray

    def corners(self, steps: np.ndarray) -> np.ndarray:
        """Corners [T, N, 4, 2] of the boxes at steps of 0.1 s."""
        now = box_corners(self.tracks.boxes, CORNERS * self.tracks.size[:, None])
        return now + STEP_S * steps[:, None, None, None] * self.shift[:, None]

    def objects(self, steps: int) -> Objects:
        """
        Return the objects as the score sees them over the given number of steps.

        The forecast is sampled every 0.2 s and held in between.
        """
        tracks, kept = self.tracks, ~self.ignored
        sampled = np.arange(steps) // STEPS_A_SAMPLE * STEPS_A_SAMPLE
        boxes = np.tile(tracks.boxes[kept], (steps, 1, 1))
        boxes[..., :2] += STEP_S * sampled[:, None, None] * self.shift[kept]
        velocity = np.tile(tracks.velocity[kept], (steps, 1, 1))
        return Objects(tracks.kind[kept], tracks.size[kept], boxes, velocity,
                       np.ones((steps, kept.sum()), bool))


def forecast(tracks: Tracks, ego: np.ndarray) -> Forecast:
    """
    Choose the objects within 100 m, so many of each kind, and their constant velocities.

    A box keeps its heading and moves along it, backwards when the velocity points there.

    :param tracks: the current frame
    :param ego: pose [3] of the rear axle
    """
    centre = ego[:2] + AXLE_TO_CENTRE * np.array([np.cos(ego[2]), np.sin(ego[2])])
    distance = np.hypot(*(tracks.boxes[:, :2] - centre).T)
    dynamic = np.isin(tracks.kind, [kind for kind, _ in NEAREST])
    static = ~dynamic & (tracks.kind != ObjectType.EGO)
    kept = []
    for chosen, count in ((static, NEAREST_STATIC),
                          *((tracks.kind == kind, count) for kind, count in NEAREST)):
        near = np.flatnonzero(chosen & (distance <= RADIUS_M))
        kept.append(near[np.argsort(distance[near])][:count])
    order = np.concatenate(kept)
    kind, boxes, velocity = tracks.kind[order], tracks.boxes[order], tracks.velocity[order]
    off = boxes[:, 2] - np.arctan2(velocity[:, 1], velocity[:, 0])
    forward = np.abs(np.arctan2(np.sin(off), np.cos(off))) < np.pi / 2.0
    turned = boxes[:, 2] + np.pi
    heading = np.where(forward, boxes[:, 2], np.arctan2(np.sin(turned), np.cos(turned)))
    speed = np.where(dynamic[order], np.hypot(velocity[:, 0], velocity[:, 1]), 0.0)
    near_tracks = Tracks(kind, tracks.size[order], boxes, velocity,
                         tuple(tracks.tokens[index] for index in order))
    shift = speed[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])
    corners = box_corners(boxes, CORNERS * near_tracks.size[:, None])
    touching = shapely.intersects(shapely.polygons(corners), ego_footprint(ego))
    return Forecast(near_tracks, shift, touching)
