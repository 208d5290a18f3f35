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
EP, ego progress: arc length gained along the centreline, against PDM-Closed.

The devkits divide by the larger gated progress of exactly two trajectories, the cached PDM-Closed
reference and the plan; a plan's EP therefore never depends on other plans in the batch.
"""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import CENTRE_X, CENTRE_Y
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.protocol import POSES

MIN_PROGRESS_M = 5.0


@device
def segment_parameter(scene: SceneArrays, m: int, x: float, y: float) -> float:
    """Where on segment ``m`` (0..1) the nearest point to (x, y) lies; 0 on an empty segment."""
    ax, ay = scene.line[m, 0], scene.line[m, 1]
    dx, dy = scene.line[m + 1, 0] - ax, scene.line[m + 1, 1] - ay
    squared = dx * dx + dy * dy
    if squared == 0.0:
        return 0.0
    return min(max(((x - ax) * dx + (y - ay) * dy) / squared, 0.0), 1.0)


@device
def squared_distance(scene: SceneArrays, m: int, x: float, y: float, parameter: float) -> float:
    """Squared distance from (x, y) to the point of segment ``m`` at ``parameter``."""
    ax, ay = scene.line[m, 0], scene.line[m, 1]
    dx = ax + parameter * (scene.line[m + 1, 0] - ax) - x
    dy = ay + parameter * (scene.line[m + 1, 1] - ay) - y
    return dx * dx + dy * dy


@device
def arc_length(scene: SceneArrays, b: int, x: float, y: float) -> float:
    """Metres along the centreline of scene ``b`` to the first nearest point to (x, y)."""
    best = 1e300
    arc = 0.0
    for m in range(scene.line_offset[b], scene.line_offset[b + 1] - 1):
        parameter = segment_parameter(scene, m, x, y)
        distance = squared_distance(scene, m, x, y, parameter)
        if distance < best:
            best = distance
            arc = scene.line_arc[m] + parameter * (scene.line_arc[m + 1] - scene.line_arc[m])
    return arc


@device
def raw_progress(scene: SceneArrays, b: int, work: Work, i: int) -> float:
    """Metres that plan ``i`` gains in 4 s, never negative."""
    last = POSES - 1
    gained = (arc_length(scene, b, work.boxes[i, last, CENTRE_X], work.boxes[i, last, CENTRE_Y])
              - arc_length(scene, b, work.boxes[i, 0, CENTRE_X], work.boxes[i, 0, CENTRE_Y]))
    return max(gained, 0.0)


@device
def progress_v1(raw: float, multiplier: float, reference: float) -> float:
    """EP of version 1; ``reference`` is PDM-Closed's progress times its own NC and DAC."""
    best = max(raw * multiplier, reference)
    if best > MIN_PROGRESS_M:
        return raw * multiplier / best
    return 0.0 if multiplier == 0.0 else 1.0


@device
def progress_v2(raw: float, multiplier: float, reference: float) -> float:
    """EP of version 2: the numerator is not gated by the plan's own multiplier (sic)."""
    best = max(raw * multiplier, reference)
    if best > MIN_PROGRESS_M:
        return min(raw / best, 1.0)
    return 1.0
