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
LK, lane keeping (version 2): 0 after 2 s in a row more than 0.5 m off the centreline.

Steps with the centre in an intersection are skipped without resetting the count (sic).
"""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import CENTRE_X, CENTRE_Y
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.ego_areas import CENTRE_IN_INTERSECTION
from pair_drive_ros.scoring.progress import segment_parameter, squared_distance
from pair_drive_ros.scoring.protocol import POSES

LIMIT_M = 0.5
LIMIT_STEPS = 20
BLOCK = 16


@device
def is_off_line(scene: SceneArrays, b: int, x: float, y: float) -> bool:
    """Whether every point of the centreline is more than 0.5 m away."""
    first = scene.line_offset[b]
    segments = scene.line_offset[b + 1] - 1 - first
    block = scene.line_block_offset[b]
    for start in range(0, segments, BLOCK):
        bounds = scene.line_bounds
        if (bounds[block, 0] <= x <= bounds[block, 2]
                and bounds[block, 1] <= y <= bounds[block, 3]):
            for m in range(first + start, first + min(start + BLOCK, segments)):
                parameter = segment_parameter(scene, m, x, y)
                if squared_distance(scene, m, x, y, parameter) <= LIMIT_M * LIMIT_M:
                    return False
        block += 1
    return True


@device
def lane_keeping(scene: SceneArrays, b: int, work: Work, i: int) -> float:
    """LK of plan ``i``."""
    count = 0
    for t in range(POSES):
        if work.areas[i, t] & CENTRE_IN_INTERSECTION:
            continue
        if is_off_line(scene, b, work.boxes[i, t, CENTRE_X], work.boxes[i, t, CENTRE_Y]):
            count += 1
        else:
            count = 0
        if count >= LIMIT_STEPS:
            return 0.0
    return 1.0
