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
NC, no at-fault collision: 1, 0.5 (a static object was hit) or 0 (an agent was hit).

Objects do not influence each other, and an object is settled at its first contact: a contact
without fault puts it on the plan's ignore list for good, and one at fault cannot get worse.
"""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import (
    CENTRE_X,
    CENTRE_Y,
    COS,
    MAX_X,
    MAX_Y,
    MIN_X,
    MIN_Y,
    rectangles_touch,
    SIN,
    SPEED,
)
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.ego_areas import UNSETTLED
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.state import X, Y
from pair_drive_ros.scoring.vehicle import AXLE_TO_FRONT, HALF_LENGTH, HALF_WIDTH

STOPPED_SPEED = 0.05
COS_30_DEGREES = 0.8660254037844387
# Half diagonal of the ego box, rounded up: a bound that only skips work.
EGO_RADIUS = 2.832
NEVER = 1000


@device
def is_ahead(dx: float, dy: float, cos: float, sin: float) -> bool:
    """Whether the bearing is within 30 degrees; never for the very same point."""
    return dx * cos + dy * sin > COS_30_DEGREES * (dx * dx + dy * dy) ** 0.5


@device
def is_behind(dx: float, dy: float, cos: float, sin: float) -> bool:
    """Whether the bearing is more than 150 degrees off; never for the very same point."""
    return dx * cos + dy * sin < -COS_30_DEGREES * (dx * dx + dy * dy) ** 0.5


@device
def may_meet(scene: SceneArrays, n: int, work: Work, i: int, margin: float) -> bool:
    """Whether the object's swept bounds meet those of the ego, grown by ``margin`` metres."""
    bounds = scene.object_bounds
    return not (work.sweep[i, MIN_X] - margin > bounds[n, 2]
                or work.sweep[i, MIN_Y] - margin > bounds[n, 3]
                or work.sweep[i, MAX_X] + margin < bounds[n, 0]
                or work.sweep[i, MAX_Y] + margin < bounds[n, 1])


@device
def at_fault_step(scene: SceneArrays, n: int, work: Work, i: int) -> int:
    """Step of plan ``i``'s collision with object ``n`` if at fault, else ``NEVER``."""
    if not may_meet(scene, n, work, i, EGO_RADIUS):
        return NEVER
    length, width = scene.object_half_size[n, 0], scene.object_half_size[n, 1]
    reach = EGO_RADIUS + scene.object_radius[n]
    for t in range(POSES):
        object_x, object_y = scene.object_box[n, t, 0], scene.object_box[n, t, 1]
        dx, dy = object_x - work.boxes[i, t, CENTRE_X], object_y - work.boxes[i, t, CENTRE_Y]
        if not scene.object_seen[n, t] or dx * dx + dy * dy > reach * reach:
            continue
        cos, sin = work.boxes[i, t, COS], work.boxes[i, t, SIN]
        object_cos, object_sin = scene.object_box[n, t, 2], scene.object_box[n, t, 3]
        if not rectangles_touch(dx, dy, cos, sin, HALF_LENGTH, HALF_WIDTH,
                                object_cos, object_sin, length, width):
            continue
        if work.boxes[i, t, SPEED] <= STOPPED_SPEED:
            return NEVER
        if scene.object_stopped[n]:
            return t
        dx, dy = object_x - work.states[i, t, X], object_y - work.states[i, t, Y]
        undefined = t == 0 and scene.object_bearing_undefined[n, 0]
        if is_behind(dx, dy, cos, sin) and not undefined:
            return NEVER
        if rectangles_touch(dx - AXLE_TO_FRONT * cos, dy - AXLE_TO_FRONT * sin, cos, sin,
                            0.0, HALF_WIDTH, object_cos, object_sin, length, width):
            return t
        return t if work.areas[i, t] & UNSETTLED else NEVER
    return NEVER


@device
def at_fault_score(scene: SceneArrays, n: int) -> float:
    """Return what remains of NC after hitting object ``n`` at fault."""
    return 0.5 if scene.object_static[n] else 0.0
