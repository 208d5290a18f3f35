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
PDM-Closed: 15 IDM rollouts along the centreline, the best of which is the score's reference.

Three paths (the centreline and 1 m to the right and left of it) times five fractions of the speed
limit. Source: ``PDMClosedPlanner``, ``PDMGenerator`` and ``BatchIDMPolicy`` of NAVSIM's devkit.
"""

from collections.abc import Sequence

import numpy as np
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_ros.scoring.vehicle import HALF_WIDTH
from pair_drive_training.data.forecast import ego_footprint, Forecast
from pair_drive_training.data.idm_rollout import Obstacles, STEPS_A_SAMPLE, unroll
from pair_drive_training.data.path import Path
import shapely

LATERAL_OFFSETS_M = (0.0, -1.0, 1.0)
SPEED_FRACTIONS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
FALLBACK_SPEED = 15.0
POLICIES = len(SPEED_FRACTIONS)
PROPOSAL_STEPS = 40
TRAJECTORY_STEPS = 50
SAMPLES = STEPS_A_SAMPLE * np.arange(TRAJECTORY_STEPS // STEPS_A_SAMPLE + 1)
# As many children a node as in the devkit's index.
NODE_CAPACITY = 10


class Rollout:
    """
    The five IDM policies on one path, unrolled to 4 s.

    ``poses`` [51, 5, 3]; those after 4 s are not filled.
    """

    def __init__(self, path: Path, ego: np.ndarray, target: np.ndarray, obstacles: Obstacles):
        self._path, self._target, self._obstacles = path, target, obstacles
        self._state = np.zeros((TRAJECTORY_STEPS + 1, POLICIES, 2))
        self._state[0] = path.project(ego[0], ego[1]), ego[3]
        self.poses = np.zeros((TRAJECTORY_STEPS + 1, POLICIES, 3))
        self.poses[0] = path.interpolate(self._state[0, :, 0])
        # At the very first step the record is still empty: an obstacle at no distance (sic).
        self._leader = np.zeros((POLICIES, 3))
        self._unroll(np.arange(POLICIES), self._state, self.poses, self._leader, 0,
                     PROPOSAL_STEPS)

    def continued(self, policy: int) -> np.ndarray:
        """Unroll one policy on to 5 s: poses [51, 3]."""
        state, poses, leader = self._state.copy(), self.poses.copy(), self._leader.copy()
        self._unroll(np.array([policy]), state, poses, leader, PROPOSAL_STEPS, TRAJECTORY_STEPS)
        return poses[:, policy]

    def _unroll(self, policies: np.ndarray, state: np.ndarray, poses: np.ndarray,
                leader: np.ndarray, first_step: int, last_step: int) -> None:
        unroll(self._path.poses, self._path.progress, self._obstacles, self._target, policies,
               state, poses, leader, first_step, last_step)


def roll_out(centreline: Path, ego: np.ndarray, speed_limit: float | None, traffic: Forecast,
             red: Sequence[shapely.Polygon]) -> list[Rollout]:
    """
    Unroll the proposals of all three paths to 4 s.

    :param centreline: the path to follow
    :param ego: [7] x, y, heading, vx, vy, ax, ay of the rear axle
    :param speed_limit: of the starting lane, m/s, or None
    :param traffic: the forecast objects
    :param red: polygons of the route's red connectors
    """
    target = SPEED_FRACTIONS * (FALLBACK_SPEED if speed_limit is None else speed_limit)
    paths = [centreline.offset(offset) if offset else centreline for offset in LATERAL_OFFSETS_M]
    return [Rollout(path, ego, target, obstacles) for path, obstacles in zip(
        paths, _obstacles(paths, ego, target.max(), traffic, red), strict=True)]


def proposals_of(rollouts: Sequence[Rollout]) -> np.ndarray:
    """Poses [15, 41, 3] of the proposals, path by path."""
    poses = [rollout.poses[:PROPOSAL_STEPS + 1].transpose(1, 0, 2) for rollout in rollouts]
    return np.concatenate(poses)


def trajectory_of(rollouts: Sequence[Rollout], chosen: int) -> np.ndarray:
    """Unroll the chosen proposal to 5 s: poses [51, 3]."""
    return rollouts[chosen // POLICIES].continued(chosen % POLICIES)


def _obstacles(paths: Sequence[Path], ego: np.ndarray, top_speed: float, traffic: Forecast,
               red: Sequence[shapely.Polygon]) -> list[Obstacles]:
    """
    Find what stands in the corridor of each path, every 0.2 s.

    The index is of the devkit's own kind and filled in its order: where the ego touches several
    objects at once, the order of the answers decides which of them it follows (sic).
    """
    boxes = shapely.polygons(traffic.corners(SAMPLES))
    lights = np.array(red, dtype=object)
    footprint = ego_footprint(ego[:3])
    inside = np.array([footprint.within(polygon) for polygon in red], bool)
    ignored = np.concatenate([traffic.ignored, inside])
    corridors = []
    for path in paths:
        start = float(path.project(ego[0], ego[1]))
        reach = start + abs(top_speed) * TRAJECTORY_STEPS * STEP_S
        corridors.append(path.between(start, reach).buffer(HALF_WIDTH, cap_style='square'))
    hits: list[list[np.ndarray]] = [[] for _ in paths]
    polygons: list[list[np.ndarray]] = [[] for _ in paths]
    for row in boxes:
        tree = shapely.STRtree(np.concatenate([row, lights]), NODE_CAPACITY)
        corridor, hit = tree.query(corridors, predicate='intersects')
        kept = ~ignored[hit]
        for index in range(len(paths)):
            found = hit[kept & (corridor == index)]
            hits[index].append(found)
            polygons[index].append(tree.geometries[found])
    shared = _outlines(traffic, boxes[0], lights)
    obstacles = []
    for path, found, geometries in zip(paths, hits, polygons, strict=True):
        centres = shapely.centroid(np.concatenate(geometries))
        obstacles.append(Obstacles(
            **shared, hit=np.concatenate(found),
            hit_offset=np.cumsum([0, *map(len, found)]),
            hit_progress=np.asarray(shapely.line_locate_point(path.line, centres), np.float64)))
    return obstacles


def _outlines(traffic: Forecast, boxes: np.ndarray, lights: np.ndarray) -> dict[str, np.ndarray]:
    """Edges of the obstacles' polygons now, and how the obstacles move."""
    polygons = np.concatenate([boxes, lights])
    parts, obstacle_of_part = shapely.get_parts(polygons, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    same_ring = ring_of_vertex[1:] == ring_of_vertex[:-1]
    obstacle = obstacle_of_part[part_of_ring[ring_of_vertex[:-1][same_ring]]]
    tracks, nothing = traffic.tracks, np.zeros(len(lights))
    return {
        'edge': np.concatenate([xy[:-1], xy[1:]], axis=1)[same_ring],
        'edge_offset': np.searchsorted(obstacle, np.arange(len(polygons) + 1)),
        'shift': np.concatenate([traffic.shift, np.zeros((len(lights), 2))]),
        'heading': np.concatenate([tracks.boxes[:, 2], nothing]),
        'speed': np.concatenate([np.hypot(*tracks.velocity.T), nothing]),
        'is_red': np.arange(len(polygons)) >= len(boxes)}
