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

"""Swinging round what stands in a part of the lane, and round cyclists, in compiled code."""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_training.world.traffic.car_following import (
    beside_path,
    BODY_MARGIN_M,
    ROOM,
    X,
    Y,
)
from pair_drive_training.world.traffic.fleet import Fleet, Seen, Styles

SIGHT_M = 60.0
ONCOMING_SIGHT_M = 130.0
# Points of the trace before and behind an obstacle where there must be room.
ROOM_POINTS = 6
# Within one's own lane nobody has to be asked.
OWN_LANE_M = 0.5


@device
def swing(i: int, points: int, cap: float, fleet: Fleet, style: Styles, seen: Seen,
          trace: np.ndarray) -> bool:
    """Set ``aim`` and ``passing``; tell whether there is something to swing round."""
    home = style.home[i]
    aim, end = swing_needed(i, points, cap, fleet, style, seen, trace)
    wanted = aim > home + 0.1
    fleet.passing[i] = wanted and (
        fleet.passing[i] or aim <= home + OWN_LANE_M
        or is_free(i, aim, end, points, fleet, style, seen, trace))
    fleet.aim[i] = aim if fleet.passing[i] else home
    return wanted


@device
def swing_needed(i: int, points: int, cap: float, fleet: Fleet, style: Styles, seen: Seen,
                 trace: np.ndarray) -> tuple[float, float]:
    """How far left to go, as far as there is room, and how far along that is over."""
    speed, half_width, home = fleet.speed[i], 0.5 * style.width[i], style.home[i]
    aim, end = home, 0.0
    for j in range(len(seen.present)):
        dx, dy = seen.box[j, 0] - trace[0, X], seen.box[j, 1] - trace[0, Y]
        if (j == i or not seen.present[j] or not seen.standing[j]
                or dx * dx + dy * dy > SIGHT_M ** 2
                or math.hypot(seen.velocity[j, 0], seen.velocity[j, 1]) > 0.7 * cap):
            continue
        where, along, aside, _ = beside_path(seen, j, points, trace)
        cos = abs(math.cos(seen.box[j, 2]) * trace[where, 2]
                  + math.sin(seen.box[j, 2]) * trace[where, 3])
        sin = math.sqrt(max(0.0, 1.0 - cos * cos))
        reach_aside = 0.5 * (seen.box[j, 3] * sin + seen.box[j, 4] * cos)
        reach_along = 0.5 * (seen.box[j, 3] * cos + seen.box[j, 4] * sin)
        if (along + reach_along < -0.5 * style.length[i] - 1.0
                or along - reach_along > 28.0 + 1.5 * speed or aside > 0.5
                or aside + reach_aside < -half_width - BODY_MARGIN_M + home):
            continue
        needed = aside + reach_aside + half_width + style.clearance[i]
        if needed > aim:
            room = trace[where, ROOM]
            for k in range(max(0, where - ROOM_POINTS), min(points, where + ROOM_POINTS + 1)):
                room = min(room, trace[k, ROOM])
            if room + 0.3 >= needed:
                aim, end = needed, max(end, along + reach_along)
    return aim, end


@device
def is_free(i: int, aim: float, end: float, points: int, fleet: Fleet, style: Styles, seen: Seen,
            trace: np.ndarray) -> bool:
    """Tell whether nobody comes, from ahead or behind, while one drives ``aim`` m to the left."""
    speed, half = fleet.speed[i], 0.5 * style.length[i]
    duration = (end + 8.0) / max(0.7 * speed, 3.0) + 1.5
    for j in range(len(fleet.s)):
        dx, dy = seen.box[j, 0] - trace[0, X], seen.box[j, 1] - trace[0, Y]
        if (j == i or not seen.present[j] or seen.standing[j]
                or dx * dx + dy * dy > ONCOMING_SIGHT_M ** 2):
            continue
        _, along, aside, pace = beside_path(seen, j, points, trace)
        if not 0.6 < aside < aim + 0.5 * style.width[i] + 0.5 * seen.box[j, 4] + 0.5:
            continue
        if pace < -0.5:
            if along > -5.0 and along + pace * duration < end + 12.0:
                return False
        elif -8.0 - half - 3.0 * max(0.0, pace - speed) < along < 4.0 + half:
            return False
    return True
