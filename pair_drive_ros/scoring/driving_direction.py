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
DDC, driving direction compliance: 1, 0.5 or 0 by the distance driven off the route's lanes.

Version 1 reports it with weight 0; version 2 multiplies by it and forgives intersections.
"""

import math

from pair_drive_ros.scoring.arrays import Work
from pair_drive_ros.scoring.boxes import CENTRE_X, CENTRE_Y
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.ego_areas import CENTRE_IN_INTERSECTION, ONCOMING
from pair_drive_ros.scoring.protocol import POSES

WINDOW = 11
COMPLIANT_M = 2.0
VIOLATION_M = 6.0


@device
def oncoming_distance(work: Work, i: int, t: int, forgiven: int) -> float:
    """Metres driven into step ``t`` when that step counts as oncoming, else 0."""
    if t == 0 or not work.areas[i, t] & ONCOMING or work.areas[i, t] & forgiven:
        return 0.0
    return math.hypot(work.boxes[i, t, CENTRE_X] - work.boxes[i, t - 1, CENTRE_X],
                      work.boxes[i, t, CENTRE_Y] - work.boxes[i, t - 1, CENTRE_Y])


@device
def driving_direction(work: Work, i: int, forgives_intersections: bool) -> float:
    """DDC of plan ``i``: the most metres in any window of 11 steps, against 2 m and 6 m."""
    forgiven = CENTRE_IN_INTERSECTION if forgives_intersections else 0
    worst = 0.0
    for t in range(POSES):
        distance = 0.0
        for step in range(max(0, t - WINDOW + 1), t + 1):
            distance += oncoming_distance(work, i, step, forgiven)
        worst = max(worst, distance)
    if worst < COMPLIANT_M:
        return 1.0
    return 0.5 if worst < VIOLATION_M else 0.0
