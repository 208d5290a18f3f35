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

"""Oriented rectangles: the ego at every step, and whether two rectangles touch."""

import math

from pair_drive_ros.scoring.arrays import Work
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.state import HEADING, VX, VY, X, Y
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE

# Columns of an ego box: its centre, its unit direction, and the speed over ground.
CENTRE_X, CENTRE_Y, COS, SIN, SPEED = range(5)
BOX_SIZE = 5
# Columns of a sweep: bounds of the box centres over all steps, and the highest speed.
MIN_X, MIN_Y, MAX_X, MAX_Y, TOP_SPEED = range(5)
SWEEP_SIZE = 5


@device
def place_boxes(work: Work, i: int) -> None:
    """Fill the boxes [41, 5] and the sweep [5] of plan ``i`` from its states."""
    states, boxes, sweep = work.states, work.boxes, work.sweep
    for t in range(POSES):
        cos, sin = math.cos(states[i, t, HEADING]), math.sin(states[i, t, HEADING])
        x = states[i, t, X] + AXLE_TO_CENTRE * cos
        y = states[i, t, Y] + AXLE_TO_CENTRE * sin
        speed = math.hypot(states[i, t, VX], states[i, t, VY])
        boxes[i, t, CENTRE_X] = x
        boxes[i, t, CENTRE_Y] = y
        boxes[i, t, COS] = cos
        boxes[i, t, SIN] = sin
        boxes[i, t, SPEED] = speed
        sweep[i, MIN_X] = min(sweep[i, MIN_X], x) if t else x
        sweep[i, MIN_Y] = min(sweep[i, MIN_Y], y) if t else y
        sweep[i, MAX_X] = max(sweep[i, MAX_X], x) if t else x
        sweep[i, MAX_Y] = max(sweep[i, MAX_Y], y) if t else y
        sweep[i, TOP_SPEED] = max(sweep[i, TOP_SPEED], speed) if t else speed


@device
def rectangles_touch(dx: float, dy: float, cos_a: float, sin_a: float, length_a: float,
                     width_a: float, cos_b: float, sin_b: float, length_b: float,
                     width_b: float) -> bool:
    """
    Whether two rectangles share a point (touching counts), by separating axes.

    ``dx, dy`` leads from centre a to centre b; lengths and widths are halves. A half of zero
    makes the rectangle a segment.
    """
    cos = abs(cos_a * cos_b + sin_a * sin_b)
    sin = abs(cos_a * sin_b - sin_a * cos_b)
    return (abs(dx * cos_a + dy * sin_a) <= length_a + length_b * cos + width_b * sin
            and abs(dy * cos_a - dx * sin_a) <= width_a + length_b * sin + width_b * cos
            and abs(dx * cos_b + dy * sin_b) <= length_b + length_a * cos + width_a * sin
            and abs(dy * cos_b - dx * sin_b) <= width_b + length_a * sin + width_a * cos)
