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
From 8 planned poses to 41 reference poses, with the devkits' clock arithmetic.

Way-points and samples are truncated to whole microseconds of the epoch, so the samples do not
fall exactly on the way-points (sic): the positions differ by up to 1e-5 m from even sampling.
"""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.protocol import PLAN_POSES, PLAN_STEP_S, POSES, STEP_S

TWO_PI = 2.0 * math.pi


@device
def wrap(angle: float) -> float:
    """Return the angle in [-pi, pi)."""
    return angle - TWO_PI * math.floor((angle + math.pi) / TWO_PI)


def epoch_us(times_s: np.ndarray, start_us: int) -> np.ndarray:
    """Whole microseconds [T] of the epoch, truncated as the devkits do."""
    return ((times_s + start_us * 1e-6) * 1e6).astype(np.int64)


def sample_times_us(start_us: int) -> np.ndarray:
    """Epoch times [41] of the simulated steps."""
    return epoch_us(STEP_S * np.arange(POSES), start_us)


def plan_times_us(start_us: int) -> np.ndarray:
    """Epoch times [9] of a plan's way-points; the first is the current pose, never truncated."""
    times = epoch_us(PLAN_STEP_S * np.arange(PLAN_POSES + 1), start_us)
    times[0] = start_us
    return times


def locate(times: np.ndarray, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Segment [T] (int32) and fraction [T] (float64) of sorted knots that each time falls in.

    Times outside the knots are held at the ends.
    """
    times = np.clip(times, knots[0], knots[-1])
    segment = np.clip(np.searchsorted(knots, times, side='left') - 1, 0, len(knots) - 2)
    fraction = (times - knots[segment]) / (knots[segment + 1] - knots[segment])
    return segment.astype(np.int32), fraction


def sample_path(poses: np.ndarray, knots: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate poses [M, 3] at knots [M] linearly; the heading takes the short way round."""
    segment, fraction = locate(times, knots)
    poses = np.column_stack([poses[:, :2], np.unwrap(poses[:, 2])])
    path = poses[segment] + fraction[:, None] * (poses[segment + 1] - poses[segment])
    path[:, 2] = (path[:, 2] + math.pi) % TWO_PI - math.pi
    return path


@device
def interpolate_plan(plans: np.ndarray, i: int, heading: float, segment: np.ndarray,
                     fraction: np.ndarray, path: np.ndarray) -> None:
    """
    Fill ``path[i]`` [41, 3] (ego-centred, global axes) from the plan ``plans[i]`` [8, 3].

    ``segment`` and ``fraction`` [41] say where each sample lies between the way-points.
    """
    cos, sin = math.cos(heading), math.sin(heading)
    x0, y0, h0 = 0.0, 0.0, heading
    x1, y1, h1 = 0.0, 0.0, heading
    at = -1
    for t in range(POSES):
        while at < segment[t]:
            at += 1
            x0, y0, h0 = x1, y1, h1
            px, py = plans[i, at, 0], plans[i, at, 1]
            x1 = cos * px - sin * py
            y1 = sin * px + cos * py
            h1 = h0 + wrap(heading + plans[i, at, 2] - h0)
        f = fraction[t]
        path[i, t, 0] = x0 + f * (x1 - x0)
        path[i, t, 1] = y0 + f * (y1 - y0)
        path[i, t, 2] = wrap(h0 + f * (h1 - h0))
