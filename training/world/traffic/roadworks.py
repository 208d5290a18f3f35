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

"""Obstacles that block a part of a lane: cars parked in the second row, and closed lanes."""

import math

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.traffic.fleet import EGO, HERE
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import on_lane
from pair_drive_training.world.traffic.spawning import Body, Cast, draw_vehicle

FROM_JUNCTION_M = 28.0
FROM_TRAFFIC_M = 22.0
CONE_STEP_M = 4.0
TAPER_M = 10.0


def obstruct(cast: Cast, net: Network, dice: Dice) -> None:
    """Put obstacles into outer lanes, some of them where the ego is to come along."""
    lanes = [lane for lane in np.flatnonzero(~net.is_connector & (net.right < 0)).tolist()
             if net.length[lane] > 2.0 * FROM_JUNCTION_M + 5.0]
    ahead = [lane for lane in cast.fleet.path[EGO, HERE:].tolist() if lane in lanes]
    used: list[tuple[int, float]] = []
    for _ in range(dice.count(1, 4)):
        chosen = ahead if ahead and dice.chance(0.6) else lanes
        if chosen:
            _second_row(cast, net, dice.pick(chosen), used, dice)
    for _ in range(dice.count(1, 2) if dice.chance(0.45) else 0):
        chosen = ahead if ahead and dice.chance(0.7) else lanes
        if chosen:
            _closed_lane(cast, net, dice.pick(chosen), used, dice)


def _second_row(cast: Cast, net: Network, lane: int, used: list[tuple[int, float]],
                dice: Dice) -> None:
    body = draw_vehicle(dice)
    at = _free_place(cast, net, lane, body.size[0], used, dice)
    if at is None:
        return
    # Its left side lies somewhat right of the lane's middle, or a little beyond.
    d = dice.between(-0.9, -0.2) - 0.5 * body.size[1]
    _stand(cast, net, body, lane, at, d, dice.between(-0.04, 0.04))


def _closed_lane(cast: Cast, net: Network, lane: int, used: list[tuple[int, float]],
                 dice: Dice) -> None:
    """Fence in a site at the right of a lane: a sign, a taper of cones, barriers, cones."""
    span = dice.between(10.0, 22.0)
    middle = _free_place(cast, net, lane, span + TAPER_M, used, dice)
    if middle is None:
        return
    edge = -0.5 * net.width[lane] + 0.1
    reach = dice.between(-0.3, 0.1)
    begin, end = middle - 0.5 * span, middle + 0.5 * span
    _stand(cast, net, Body(ObjectType.CZONE_SIGN, (0.3, 0.8, 1.6), 0, 0), lane,
           begin - TAPER_M - 4.0, edge + 0.3, math.pi)
    cone = (0.35, 0.35, dice.between(0.6, 0.9))
    for at in np.arange(begin - TAPER_M, end + 0.1, CONE_STEP_M):
        part = min(1.0, (at - begin + TAPER_M) / TAPER_M)
        _stand(cast, net, Body(ObjectType.TRAFFIC_CONE, cone, 0, 0), lane, at,
               edge + part * (reach - edge), 0.0)
    for at in (begin + 1.0, end - 1.0):
        _stand(cast, net, Body(ObjectType.BARRIER, (0.4, 1.1, 1.0), 0, 0), lane, at,
               0.5 * (edge + reach) - 0.15, 0.0)
    if dice.chance(0.5):
        _stand(cast, net, Body(ObjectType.GENERIC_OBJECT, (1.4, 0.9, 1.0), 0, 0), lane, middle,
               edge + 0.4, 0.0)


def _free_place(cast: Cast, net: Network, lane: int, span: float, used: list[tuple[int, float]],
                dice: Dice) -> float | None:
    """Find a place where there is room to swing out, away from junctions and from traffic."""
    margin = FROM_JUNCTION_M + 0.5 * span
    if net.length[lane] < 2.0 * margin:
        return None
    for _ in range(6):
        at = dice.between(margin, net.length[lane] - margin)
        half = 0.5 * span + 8.0
        first = net.first[lane] + int((at - half) / net.spacing[lane])
        last = net.first[lane] + int((at + half) / net.spacing[lane]) + 1
        x, y, _ = on_lane(net, lane, at, 0.0)
        fleet = cast.fleet
        near = np.hypot(fleet.pose[:, 0] - x, fleet.pose[:, 1] - y) < FROM_TRAFFIC_M + 0.5 * span
        taken = [abs(other - at) < 60.0 for place, other in used if place == lane]
        if (net.room[first:last].min() >= 3.0 and not np.any(near & fleet.driven)
                and not any(taken)):
            used.append((lane, at))
            return at
    return None


def _stand(cast: Cast, net: Network, body: Body, lane: int, at: float, d: float,
           turned: float) -> None:
    x, y, heading = on_lane(net, lane, at, d)
    cast.obstacles.append(body)
    cast.places.append(np.array([x, y, heading + turned]))
