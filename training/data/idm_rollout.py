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
The inner loop of PDM-Closed's rollouts, compiled: five IDM policies along one path.

The distances that the devkit asks its geometry library for are computed here between the ego box
and the edges of each obstacle.
"""

from functools import partial
import math
from typing import NamedTuple

import numpy as np
from pair_drive_ros.scoring.compile import cpu_kernel, device
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH

MIN_GAP_M = 1.0
HEADWAY_S = 1.5
MAX_ACCELERATION = 1.5
MAX_DECELERATION = 3.0
EXPONENT = 10
STEPS_A_SAMPLE = 2
# The devkit never asks for the very beginning of a path.
FIRST_PROGRESS_M = 1e-5

_LATEST = 2.0 * math.sqrt(MAX_ACCELERATION * MAX_DECELERATION)


class Obstacles(NamedTuple):
    """
    What may stand in the corridor of one path, N obstacles in all.

    ``edge`` [E, 4] (x, y from and to) of the outlines now, obstacle n having those from
    ``edge_offset[n]`` on; ``shift`` [N, 2] m/s; ``heading`` and ``speed`` [N]; ``is_red`` [N];
    ``hit`` the obstacles in the corridor at each sample, in the order of the index, those of
    sample s from ``hit_offset[s]`` on, and how far along the path they are.
    """

    edge: np.ndarray
    edge_offset: np.ndarray
    shift: np.ndarray
    heading: np.ndarray
    speed: np.ndarray
    is_red: np.ndarray
    hit: np.ndarray
    hit_offset: np.ndarray
    hit_progress: np.ndarray


@device
def segment_distance(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Squared distance from a point to a segment."""
    dx, dy = bx - ax, by - ay
    squared = dx * dx + dy * dy
    along = 0.0
    if squared > 0.0:
        along = min(max(((px - ax) * dx + (py - ay) * dy) / squared, 0.0), 1.0)
    dx, dy = ax + along * dx - px, ay + along * dy - py
    return dx * dx + dy * dy


@device
def box_distance(obstacles: Obstacles, n: int, time_s: float, pose: np.ndarray) -> float:
    """Metres between the ego box at a rear-axle pose and obstacle ``n``; 0 when they touch."""
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    # In the frame of the ego box, whose centre is the origin.
    x0 = pose[0] + AXLE_TO_CENTRE * cos - time_s * obstacles.shift[n, 0]
    y0 = pose[1] + AXLE_TO_CENTRE * sin - time_s * obstacles.shift[n, 1]
    best = 1e300
    corners_inside = 0
    for e in range(obstacles.edge_offset[n], obstacles.edge_offset[n + 1]):
        dx, dy = obstacles.edge[e, 0] - x0, obstacles.edge[e, 1] - y0
        ax, ay = dx * cos + dy * sin, -dx * sin + dy * cos
        dx, dy = obstacles.edge[e, 2] - x0, obstacles.edge[e, 3] - y0
        bx, by = dx * cos + dy * sin, -dx * sin + dy * cos
        if clips_box(ax, ay, bx, by):
            return 0.0
        outside_x, outside_y = max(abs(ax) - HALF_LENGTH, 0.0), max(abs(ay) - HALF_WIDTH, 0.0)
        best = min(best, outside_x * outside_x + outside_y * outside_y)
        for corner in range(4):
            cx = HALF_LENGTH if corner & 1 else -HALF_LENGTH
            cy = HALF_WIDTH if corner & 2 else -HALF_WIDTH
            best = min(best, segment_distance(cx, cy, ax, ay, bx, by))
        # One corner suffices: no edge meets the box, so all lie inside or none.
        if (ay > HALF_WIDTH) != (by > HALF_WIDTH):
            crossing = ax + (HALF_WIDTH - ay) / (by - ay) * (bx - ax)
            corners_inside ^= crossing > HALF_LENGTH
    return 0.0 if corners_inside else math.sqrt(best)


@device
def clips_box(ax: float, ay: float, bx: float, by: float) -> bool:
    """Whether a segment shares a point with the ego box round the origin."""
    dx, dy = bx - ax, by - ay
    enter, leave = 0.0, 1.0
    for axis in range(2):
        start = ax if axis == 0 else ay
        step = dx if axis == 0 else dy
        half = HALF_LENGTH if axis == 0 else HALF_WIDTH
        if step == 0.0:
            if abs(start) > half:
                return False
        else:
            first, last = (-half - start) / step, (half - start) / step
            enter = max(enter, min(first, last))
            leave = min(leave, max(first, last))
    return enter <= leave


@partial(cpu_kernel, allocates=True)
def unroll(path: np.ndarray, progress: np.ndarray, obstacles: Obstacles, target: np.ndarray,
           policies: np.ndarray, state: np.ndarray, poses: np.ndarray, leader: np.ndarray,
           first_step: int, last_step: int) -> None:
    """
    Unroll some of the K policies from one step to another, in place.

    :param path: [M, 3] x, y and unwrapped heading; ``progress`` [M] m along it
    :param target: [K] m/s
    :param state: [51, K, 2] progress m and speed m/s, filled up to ``first_step``
    :param poses: [51, K, 3] likewise
    :param leader: [K, 3] progress, speed and rear length of what is followed at ``first_step``
    """
    for step in range(first_step + 1, last_step + 1):
        if step % STEPS_A_SAMPLE == 0:
            find_leaders(progress[-1], obstacles, policies, state[step - 1], poses[step - 1],
                         leader, step)
        for k in policies:
            before, speed = state[step - 1, k, 0], state[step - 1, k, 1]
            wanted = (MIN_GAP_M + speed * HEADWAY_S
                      + speed * (speed - leader[k, 1]) / _LATEST)
            gap = max(leader[k, 0] - before - leader[k, 2], MIN_GAP_M)
            acceleration = MAX_ACCELERATION * (1.0 - (speed / target[k]) ** EXPONENT
                                               - (wanted / gap) ** 2)
            acceleration = min(max(acceleration, -MAX_DECELERATION), MAX_ACCELERATION)
            state[step, k, 0] = before + STEP_S * speed
            state[step, k, 1] = speed + STEP_S * acceleration
            interpolate(path, progress, state[step, k, 0], poses[step, k])


@device
def find_leaders(length: float, obstacles: Obstacles, policies: np.ndarray, state: np.ndarray,
                 poses: np.ndarray, leader: np.ndarray, step: int) -> None:
    """
    Fill what each policy follows: the nearest obstacle ahead, else the end of the path.

    The devkit fills one record for all policies of a path, so what a policy does not set is what
    the policy before it left there (sic).
    """
    sample = step // STEPS_A_SAMPLE
    speed, rear = 0.0, 0.0
    for k in policies:
        nearest, best = -1, 1e300
        for entry in range(obstacles.hit_offset[sample], obstacles.hit_offset[sample + 1]):
            if obstacles.hit_progress[entry] > state[k, 0]:
                distance = box_distance(obstacles, obstacles.hit[entry], step * STEP_S, poses[k])
                if distance < best:
                    best = distance
                    nearest = obstacles.hit[entry]
        if nearest >= 0:
            leader[k, 0] = state[k, 0] + best
            if not obstacles.is_red[nearest]:
                speed = obstacles.speed[nearest] * math.cos(
                    obstacles.heading[nearest] - poses[k, 2])
        else:
            leader[k, 0] = length
            rear = HALF_LENGTH
        leader[k, 1], leader[k, 2] = speed, rear


@device
def interpolate(path: np.ndarray, progress: np.ndarray, at: float, pose: np.ndarray) -> None:
    """Fill the pose [3] of the path at a progress, held at its ends."""
    last = len(progress) - 1
    at = min(max(at, FIRST_PROGRESS_M), progress[last])
    after = min(max(np.searchsorted(progress, at), 1), last)
    length = progress[after] - progress[after - 1]
    for axis in range(3):
        slope = (path[after, axis] - path[after - 1, axis]) / length
        pose[axis] = slope * (at - progress[after - 1]) + path[after - 1, axis]
    pose[2] = math.atan2(math.sin(pose[2]), math.cos(pose[2]))
