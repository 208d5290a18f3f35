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
The way ahead of a vehicle, and following those in it, in compiled code.

The law is the intelligent driver model (Treiber, Hennecke and Helbing, 2000).
"""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_training.world.traffic.fleet import EGO, Fleet, HERE, PATH_LANES, Seen, Styles
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import on_lane

TRACE_STEP_M = 1.5
TRACE_POINTS = 60
# Columns of a trace: x, y, cosine and sine of the heading, room to swing out to the left.
X, Y, COS, SIN, ROOM = range(5)
TRACE_COLUMNS = 5
BODY_MARGIN_M = 0.2
# How far ahead walkers, and vehicles that leave their lane, are seen coming.
SWEEP_S, DRIFT_S = 1.8, 1.2
# Deceleration with which one slows down for a bend or a lower limit ahead.
FORESIGHT = 1.1
CREEP = 1.5
NOTHING_M = 1e3
JAM_S = 6.0
# Room to pull out from behind what stands.
SWING_GAP_M = 6.0


@device
def look_along(i: int, fleet: Fleet, style: Styles, net: Network, trace: np.ndarray
               ) -> tuple[int, float]:
    """Fill ``trace`` [60, 5] from the centre on; return its points and the speed allowed."""
    speed = fleet.speed[i]
    points = min(TRACE_POINTS, int((0.5 * style.length[i] + 25.0 + 6.0 * speed) / TRACE_STEP_M))
    cap = 40.0
    m, s = HERE, fleet.s[i]
    for k in range(points):
        while (m + 1 < PATH_LANES and fleet.path[i, m + 1] >= 0
               and s > net.length[fleet.path[i, m]]):
            s -= net.length[fleet.path[i, m]]
            m += 1
        lane = fleet.path[i, m]
        x, y, heading = on_lane(net, lane, s, 0.0)
        at = net.first[lane] + min(max(int(s / net.spacing[lane] + 0.5), 0), net.samples[lane] - 1)
        trace[k, X], trace[k, Y] = x, y
        trace[k, COS], trace[k, SIN] = math.cos(heading), math.sin(heading)
        trace[k, ROOM] = 0.0 if net.is_connector[lane] else net.room[at]
        bend = math.sqrt(style.bend[i] / max(abs(net.curvature[at]), 1e-4))
        top = min(min(net.limit[lane] * style.factor[i], style.top[i]), bend)
        cap = min(cap, math.sqrt(top * top + 2.0 * FORESIGHT * k * TRACE_STEP_M))
        s += TRACE_STEP_M
    return points, max(cap, CREEP)


@device
def beside_path(seen: Seen, j: int, points: int, trace: np.ndarray
                ) -> tuple[int, float, float, float]:
    """Return the trace's point nearest to a box; how far along and aside; its speed along."""
    nearest, where = 1e9, 0
    for k in range(points):
        dx, dy = seen.box[j, 0] - trace[k, X], seen.box[j, 1] - trace[k, Y]
        away = dx * dx + dy * dy
        if away < nearest:
            nearest, where = away, k
    dx, dy = seen.box[j, 0] - trace[where, X], seen.box[j, 1] - trace[where, Y]
    cos, sin = trace[where, COS], trace[where, SIN]
    return (where, where * TRACE_STEP_M + dx * cos + dy * sin, dy * cos - dx * sin,
            seen.velocity[j, 0] * cos + seen.velocity[j, 1] * sin)


@device
def beyond_box(seen: Seen, j: int, x: float, y: float) -> float:
    """Distance of a point from a box, 0 inside, and from where it is about to be."""
    dx, dy = x - seen.box[j, 0], y - seen.box[j, 1]
    heading, length = seen.box[j, 2], seen.box[j, 3]
    cos, sin = math.cos(heading), math.sin(heading)
    along = dx * cos + dy * sin
    if seen.walker[j]:
        sweep = SWEEP_S * math.hypot(seen.velocity[j, 0], seen.velocity[j, 1])
        length += sweep
        along -= 0.5 * sweep
    drift = DRIFT_S * seen.drift[j]
    aside = abs(dy * cos - dx * sin - 0.5 * drift) - 0.5 * (seen.box[j, 4] + abs(drift))
    along = abs(along) - 0.5 * length
    return math.hypot(max(along, 0.0), max(aside, 0.0))


@device
def offset_at(i: int, along: float, fleet: Fleet) -> float:
    """How far left of its path a vehicle will be when it has gone so far."""
    settled = min(along / (4.0 + 2.2 * fleet.speed[i]), 1.0)
    return fleet.d[i] + settled * (fleet.aim[i] - fleet.d[i])


@device
def way_to(i: int, j: int, begin: int, points: int, corridor: float, fleet: Fleet, seen: Seen,
           trace: np.ndarray) -> tuple[float, int]:
    """
    How far a vehicle's middle can go until a box is within ``corridor`` m, and where that is.

    ``NOTHING_M`` when it does not come that near.
    """
    k = begin
    while k < points:
        off = offset_at(i, k * TRACE_STEP_M, fleet)
        away = beyond_box(seen, j, trace[k, X] - off * trace[k, SIN],
                          trace[k, Y] + off * trace[k, COS]) - corridor
        if away < 0.0:
            break
        # No nearer point of the path can touch it.
        k += max(1, int(0.8 * away / TRACE_STEP_M))
    if k >= points:
        return NOTHING_M, k
    if k == begin:
        return k * TRACE_STEP_M, k
    low, high = 0.0, 1.0
    for _ in range(7):
        part = 0.5 * (low + high)
        off = offset_at(i, (k - 1 + part) * TRACE_STEP_M, fleet)
        x = trace[k - 1, X] + part * (trace[k, X] - trace[k - 1, X]) - off * trace[k, SIN]
        y = trace[k - 1, Y] + part * (trace[k, Y] - trace[k - 1, Y]) + off * trace[k, COS]
        if beyond_box(seen, j, x, y) < corridor:
            high = part
        else:
            low = part
    return (k - 1 + high) * TRACE_STEP_M, k


@device
def braking_distance(i: int, speed: float, style: Styles) -> float:
    """Return the model's way to stop at the deceleration that a driver likes."""
    return speed / (2.0 * math.sqrt(style.accelerate[i] * style.brake[i]))


@device
def follow(i: int, points: int, swings: bool, fleet: Fleet, style: Styles, seen: Seen,
           trace: np.ndarray) -> tuple[float, float, float]:
    """
    Find whom to follow, and set ``leader``.

    :param swings: standing things are to be swung round, which needs a longer gap
    :return: the model's interaction term; the way to the nearest vehicle that stands; and the
        deceleration without which there is a collision
    """
    speed, half = fleet.speed[i], 0.5 * style.length[i]
    corridor = 0.5 * style.width[i] + BODY_MARGIN_M
    strongest, leader, slow_at, needed = 0.0, -1, NOTHING_M, 0.0
    for j in range(len(seen.present)):
        if j == i or not seen.present[j]:
            continue
        dx, dy = seen.box[j, 0] - trace[0, X], seen.box[j, 1] - trace[0, Y]
        reach = points * TRACE_STEP_M + 0.5 * seen.box[j, 3] + 4.0
        behind = dx * trace[0, COS] + dy * trace[0, SIN] < -0.5 * seen.box[j, 3]
        if dx * dx + dy * dy > reach * reach or (behind and speed > 3.0):
            continue
        if (EGO < i < j < len(fleet.s) and fleet.leader[j] == i
                and fleet.still_for[i] > JAM_S):
            # Each waits for the other: one of them has to go.
            continue
        way, k = way_to(i, j, int(half / TRACE_STEP_M), points, corridor, fleet, seen, trace)
        if way == NOTHING_M:
            continue
        gap = max(way - half + corridor - 0.3, 0.1)
        vx, vy = seen.velocity[j, 0], seen.velocity[j, 1]
        pace = min(vx * trace[k, COS] + vy * trace[k, SIN], speed + 3.0)
        if vx * vx + vy * vy < 1.0 and not seen.walker[j]:
            slow_at = min(slow_at, way)
        distance = style.gap[i] + (SWING_GAP_M if seen.standing[j] and swings else 0.0)
        desired = distance + max(0.0, speed * style.headway[i]
                                 + (speed - pace) * braking_distance(i, speed, style))
        if (desired / gap) ** 2 > strongest:
            strongest, leader = (desired / gap) ** 2, j
        closing = max(speed - pace, 0.0)
        needed = max(needed, closing * closing / (2.0 * max(gap - 0.8, 0.2)))
    fleet.leader[i] = leader
    return strongest, slow_at, needed
