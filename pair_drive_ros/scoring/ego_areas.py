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

"""Where the ego is on the map at one step: the flags that several sub-scores share."""

from pair_drive_ros.scoring.arrays import SceneArrays, Work
from pair_drive_ros.scoring.boxes import CENTRE_X, CENTRE_Y, COS, SIN
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.polygons import contains
from pair_drive_ros.scoring.state import X, Y
from pair_drive_ros.scoring.vehicle import HALF_LENGTH, HALF_WIDTH

# What a polygon is (bits of ``polygon_use``).
LANE = 1
DRIVABLE = 2
ON_ROUTE = 4
INTERSECTION = 8

# What an ego step is (bits of an ego area).
MULTIPLE_LANES = 1
NON_DRIVABLE = 2
ONCOMING = 4
CENTRE_IN_INTERSECTION = 8
AXLE_IN_INTERSECTION = 16
UNSETTLED = MULTIPLE_LANES | NON_DRIVABLE

ALL_CORNERS = 15


@device
def ego_area(scene: SceneArrays, b: int, work: Work, i: int, t: int) -> int:
    """
    Return the flags of step ``t`` of plan ``i`` in scene ``b``.

    Multiple lanes: corners in more than one lane or connector, and none holds all four.
    Non-drivable: some corner in no roadblock, intersection or car park; lanes do not count (sic).
    Oncoming: the centre in no lane of the route, so an off-route lane in the same direction is
    oncoming too (sic).
    """
    x, y = work.boxes[i, t, CENTRE_X], work.boxes[i, t, CENTRE_Y]
    cos, sin = work.boxes[i, t, COS], work.boxes[i, t, SIN]
    axle_x, axle_y = work.states[i, t, X], work.states[i, t, Y]
    lx, ly = HALF_LENGTH * cos, HALF_LENGTH * sin
    wx, wy = -HALF_WIDTH * sin, HALF_WIDTH * cos
    reach_x, reach_y = abs(lx) + abs(wx), abs(ly) + abs(wy)
    lanes = 0
    in_one_lane = False
    drivable_corners = 0
    flags = ONCOMING
    bounds = scene.polygon_bounds
    for polygon in range(scene.polygon_offset[b], scene.polygon_offset[b + 1]):
        if (x + reach_x < bounds[polygon, 0] or x - reach_x > bounds[polygon, 2]
                or y + reach_y < bounds[polygon, 1] or y - reach_y > bounds[polygon, 3]):
            continue
        use = scene.polygon_use[polygon]
        corners = 0
        if use & LANE or (use & DRIVABLE and drivable_corners != ALL_CORNERS):
            corners = (contains(scene, polygon, x + lx + wx, y + ly + wy)
                       | contains(scene, polygon, x - lx + wx, y - ly + wy) << 1
                       | contains(scene, polygon, x - lx - wx, y - ly - wy) << 2
                       | contains(scene, polygon, x + lx - wx, y + ly - wy) << 3)
        if use & LANE:
            lanes += corners != 0
            in_one_lane = in_one_lane or corners == ALL_CORNERS
        if use & DRIVABLE:
            drivable_corners |= corners
        if use & ON_ROUTE and flags & ONCOMING and contains(scene, polygon, x, y):
            flags ^= ONCOMING
        if use & INTERSECTION:
            if contains(scene, polygon, x, y):
                flags |= CENTRE_IN_INTERSECTION
            if contains(scene, polygon, axle_x, axle_y):
                flags |= AXLE_IN_INTERSECTION
    if lanes > 1 and not in_one_lane:
        flags |= MULTIPLE_LANES
    if drivable_corners != ALL_CORNERS:
        flags |= NON_DRIVABLE
    return flags
