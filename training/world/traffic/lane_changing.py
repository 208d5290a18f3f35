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

"""Changing lanes where gaps allow it, in compiled code."""

import math

from pair_drive_ros.scoring.compile import device
from pair_drive_training.world.traffic.fleet import Fleet, HERE, NEXT, PATH_LANES, Seen, Styles
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import on_lane, project, quantum

# Seconds from one change to the next, and every how many steps one may be considered.
PAUSE_S, EVERY_STEPS = 4.0, 10
STANDING_AHEAD_M = 60.0
SIGHT_M = 70.0


@device
def change_lane(i: int, step: int, fleet: Fleet, style: Styles, net: Network, seen: Seen) -> None:
    """Start the change of lane that is wished for or pays, if a gap allows it."""
    wish, here = fleet.lane_wish[i], fleet.path[i, HERE]
    speed = fleet.speed[i]
    if (fleet.changed_for[i] < PAUSE_S or net.is_connector[here] or speed < 1.5
            or (wish == 0 and (step + i) % EVERY_STEPS > 0)):
        return
    left = net.length[here] - fleet.s[i]
    if left < (12.0 + 1.5 * speed if wish else 25.0 + 4.0 * speed):
        return
    leader = fleet.leader[i]
    slow = (leader >= 0 and not seen.walker[leader] and fleet.accel[i] < 0.3 and math.hypot(
        seen.velocity[leader, 0], seen.velocity[leader, 1])
        < 0.75 * net.limit[here] * style.factor[i])
    # How much of a decent gap has to be there: cutting in, having to, or wanting to change.
    share = 0.35 if abs(wish) == 2 else 0.8 if wish else 1.3
    for side in (1, -1):
        lane = net.left[here] if side > 0 else net.right[here]
        if lane < 0 or (wish != 0 and wish * side < 0) or (wish == 0 and not slow):
            continue
        if fits(i, lane, share, fleet, style, net, seen):
            s, d = project(net, lane, fleet.s[i] * net.length[lane] / net.length[here],
                           fleet.pose[i, 0], fleet.pose[i, 1])
            fleet.path[i, HERE] = lane
            for m in range(NEXT, PATH_LANES):
                fleet.path[i, m] = -1
            fleet.s[i], fleet.d[i] = quantum(min(s, net.length[lane])), quantum(d)
            fleet.changed_for[i] = 0.0
            fleet.lane_wish[i] = 0
            return


@device
def fits(i: int, lane: int, share: float, fleet: Fleet, style: Styles, net: Network,
         seen: Seen) -> bool:
    """Tell whether there is a gap in the lane, and nothing standing in it."""
    here = fleet.path[i, HERE]
    at, _ = project(net, lane, fleet.s[i] * net.length[lane] / net.length[here],
                    fleet.pose[i, 0], fleet.pose[i, 1])
    speed = fleet.speed[i]
    for j in range(len(seen.present)):
        if j == i or not seen.present[j]:
            continue
        dx, dy = seen.box[j, 0] - fleet.pose[i, 0], seen.box[j, 1] - fleet.pose[i, 1]
        if dx * dx + dy * dy > SIGHT_M ** 2:
            continue
        place, d = project(net, lane, min(max(at + dx * math.cos(fleet.pose[i, 2])
                                              + dy * math.sin(fleet.pose[i, 2]), 0.0),
                                          net.length[lane]), seen.box[j, 0], seen.box[j, 1])
        if abs(d) > 0.5 * (net.width[lane] + seen.box[j, 4]) - 0.3:
            continue
        _, _, heading = on_lane(net, lane, place, 0.0)
        pace = seen.velocity[j, 0] * math.cos(heading) + seen.velocity[j, 1] * math.sin(heading)
        gap = abs(place - at) - 0.5 * (style.length[i] + seen.box[j, 3])
        if place > at:
            if seen.standing[j] and gap < STANDING_AHEAD_M:
                return False
            if gap < 1.5 + share * (0.5 * speed + 1.5 * max(0.0, speed - pace)):
                return False
        elif gap < 1.5 + share * (0.6 * pace + 2.0 * max(0.0, pace - speed)):
            return False
    return True
