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

"""Stopping at junctions, for lights and for those who go first, in compiled code."""

import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_training.world.traffic.car_following import braking_distance, NOTHING_M
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.fleet import Fleet, HERE, NO_HOLD, PATH_LANES, Styles
from pair_drive_training.world.traffic.lane_network import FIRST_COME, Network, THEY_YIELD
from pair_drive_training.world.traffic.signals import RED, YELLOW

STOP_SHORT_M = 1.2
# Nobody brakes harder than this, m/s2, for a light or for somebody with priority.
HARDEST_FOR_RED, HARDEST_FOR_OTHERS = 6.0, 4.5
MARGIN_INSIDE_S = 0.7


@device
def reach_time(way: float, speed: float, accel: float, top: float) -> float:
    """Time to cover ``way`` when accelerating to ``top``."""
    if way <= 0.0:
        return 0.0
    top = max(top, speed)
    run_up = (top * top - speed * speed) / (2.0 * accel)
    if way <= run_up:
        return (math.sqrt(speed * speed + 2.0 * accel * way) - speed) / accel
    return (top - speed) / accel + (way - run_up) / top


@device
def give_way(i: int, cap: float, slow_at: float, fleet: Fleet, style: Styles, net: Network,
             lights: np.ndarray) -> float:
    """
    Decide where to stop on the path, and set ``hold_at``.

    :param slow_at: way to the nearest vehicle that stands
    :return: the following model's term for a leader that stands at the stop line
    """
    speed, half = fleet.speed[i], 0.5 * style.length[i]
    held_at = fleet.hold_at[i]
    fleet.hold_at[i] = NO_HOLD
    ahead = net.length[fleet.path[i, HERE]] - fleet.s[i]
    for m in range(HERE + 1, PATH_LANES):
        connector = fleet.path[i, m]
        way = ahead - half - STOP_SHORT_M
        if connector < 0 or way > max(30.0, speed * speed / 3.0 + 15.0):
            break
        if (net.is_connector[connector] and ahead > half
                and stops_before(i, connector, ahead, way, cap, slow_at, held_at == m, fleet,
                                 style, net, lights)):
            fleet.hold_at[i] = m
            desired = 0.4 + 0.3 * speed + speed * braking_distance(i, speed, style)
            return (desired / max(way, 0.15)) ** 2
        ahead += net.length[connector]
    return 0.0


@device
def stops_before(i: int, connector: int, ahead: float, way: float, cap: float, slow_at: float,
                 held: bool, fleet: Fleet, style: Styles, net: Network, lights: np.ndarray
                 ) -> bool:
    """
    Tell whether to stop before a connector.

    :param ahead: metres from the centre to the connector
    :param way: metres from the front to the stop line
    :param held: it was so decided a step ago
    """
    speed = fleet.speed[i]
    needed = speed * speed / (2.0 * max(way, 0.3))
    for_light = ((lights[connector] == RED and needed < HARDEST_FOR_RED)
                 or (lights[connector] == YELLOW and (held or needed < style.yellow[i])))
    if for_light and (held or needed >= style.late[i] or speed <= 2.0):
        return True
    crossed = net.conflict_first[connector + 1] > net.conflict_first[connector]
    jammed = crossed and ahead < slow_at < (
        ahead + net.length[connector] + style.length[i] + 2.0)
    if jammed or is_taken(i, connector, ahead, max(cap, 5.0), fleet, style, net):
        fleet.free_for[i] = 0.0
        return needed < HARDEST_FOR_OTHERS
    if held and speed < 1.5 and fleet.free_for[i] < style.hesitation[i]:
        fleet.free_for[i] += STEP_S
        return True
    return False


@device
def is_taken(i: int, connector: int, ahead: float, cruise: float, fleet: Fleet, style: Styles,
             net: Network) -> bool:
    """
    Tell whether someone else is to use a conflict zone of a connector when ``i`` would.

    :param ahead: metres from the centre of ``i`` to the connector
    """
    half = 0.5 * style.length[i]
    speed = fleet.speed[i]
    for row in range(net.conflict_first[connector], net.conflict_first[connector + 1]):
        mine_in = reach_time(ahead + net.zone[row, 0] - half, speed, 1.2, cruise)
        mine_out = reach_time(ahead + net.zone[row, 1] + half, speed, 1.2, cruise)
        rank = net.rank[row]
        for j in range(len(fleet.s)):
            if j == i or not fleet.driven[j] or not fleet.present[j]:
                continue
            place = -fleet.s[j]
            for m in range(PATH_LANES):
                lane = fleet.path[j, m]
                if lane < 0:
                    if m == 0:
                        continue
                    break
                # ``place``: from the centre of j to the begin of its lane m.
                start = place if m > 0 else place - net.length[lane]
                if m > 0:
                    place += net.length[lane]
                if lane != net.rival[row]:
                    continue
                other_half = 0.5 * style.length[j]
                leave = start + net.zone[row, 3] + other_half
                if leave < 0.0:
                    continue
                enter = start + net.zone[row, 2] - other_half
                inside = start - other_half < 0.0
                v = fleet.speed[j]
                margin = style.margin[i]
                if not inside:
                    if rank == THEY_YIELD or m >= fleet.hold_at[j] or start > 90.0:
                        continue
                    if rank == FIRST_COME and (reach_time(start - other_half, v, 1.2, 9.0)
                                               > reach_time(ahead - half, speed, 1.2, 9.0)):
                        continue
                elif rank in (THEY_YIELD, FIRST_COME):
                    margin = min(margin, MARGIN_INSIDE_S)
                in_s = reach_time(enter, v, 1.0, max(v, 8.0))
                out_s = max(leave / max(v, 0.1), 0.0) if v > 4.0 else reach_time(
                    leave, v, 0.7, 4.0)
                if inside and v < 0.3:
                    out_s = NOTHING_M
                if mine_in - margin < out_s and in_s < mine_out + margin:
                    return True
    return False
