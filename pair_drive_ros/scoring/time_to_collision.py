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
TTC, time to collision within bound: 0 when going straight on would soon hit something.

From every step the ego box is shifted along its heading at its speed and compared with the
objects 0, 0.3, 0.6 and 0.9 s later. Nobody asks who is at fault or whether the object stands.
"""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import (
    CENTRE_X,
    CENTRE_Y,
    COS,
    rectangles_touch,
    SIN,
    SPEED,
    TOP_SPEED,
)
from pair_drive_ros.scoring.collision import EGO_RADIUS, is_ahead, is_behind, may_meet, NEVER
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.ego_areas import AXLE_IN_INTERSECTION, UNSETTLED
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_ros.scoring.state import X, Y
from pair_drive_ros.scoring.vehicle import HALF_LENGTH, HALF_WIDTH

STOPPED_SPEED = 0.005
LOOK_AHEADS = 4
LOOK_AHEAD_STEPS = 3
LONGEST_S = STEP_S * LOOK_AHEAD_STEPS * (LOOK_AHEADS - 1)


@device
def infraction_step(scene: SceneArrays, n: int, work: Work, i: int, last_step: int) -> int:
    """
    First step from which object ``n`` is too close ahead of plan ``i``, or ``NEVER``.

    A contact that is no infraction puts the object on TTC's own ignore list (sic), so its first
    contact settles it.
    """
    if not may_meet(scene, n, work, i, EGO_RADIUS + LONGEST_S * work.sweep[i, TOP_SPEED]):
        return NEVER
    length, width = scene.object_half_size[n, 0], scene.object_half_size[n, 1]
    reach = EGO_RADIUS + scene.object_radius[n]
    for t in range(last_step + 1):
        speed = work.boxes[i, t, SPEED]
        if speed < STOPPED_SPEED:
            continue
        cos, sin = work.boxes[i, t, COS], work.boxes[i, t, SIN]
        for look_ahead in range(LOOK_AHEADS):
            later = t + LOOK_AHEAD_STEPS * look_ahead
            shift = speed * STEP_S * LOOK_AHEAD_STEPS * look_ahead
            object_x, object_y = scene.object_box[n, later, 0], scene.object_box[n, later, 1]
            dx = object_x - work.boxes[i, t, CENTRE_X] - cos * shift
            dy = object_y - work.boxes[i, t, CENTRE_Y] - sin * shift
            if not scene.object_seen[n, later] or dx * dx + dy * dy > reach * reach:
                continue
            if not rectangles_touch(dx, dy, cos, sin, HALF_LENGTH, HALF_WIDTH,
                                    scene.object_box[n, later, 2], scene.object_box[n, later, 3],
                                    length, width):
                continue
            dx, dy = object_x - work.states[i, t, X], object_y - work.states[i, t, Y]
            # Neither ahead nor behind when rounding has spoilt the bearing (sic).
            undefined = t == 0 and scene.object_bearing_undefined[n, look_ahead]
            if is_ahead(dx, dy, cos, sin) and not undefined:
                return t
            if work.areas[i, t] & (UNSETTLED | AXLE_IN_INTERSECTION):
                return NEVER if is_behind(dx, dy, cos, sin) and not undefined else t
            return NEVER
    return NEVER
