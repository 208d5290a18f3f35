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

"""Walking along lanes in compiled code: places on lanes, and the paths that vehicles take."""

import math

from pair_drive_ros.scoring.compile import device
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.fleet import Fleet, HERE, NEXT, PATH_LANES
from pair_drive_training.world.traffic.lane_network import Network

# Roads that end sooner than this are left to those who have no choice.
ENDLESS_M = 400.0


@device
def quantum(value: float) -> float:
    """Round to about a micrometre, so that the last bit of a sine does not become chaos."""
    return math.floor(value * 1048576.0 + 0.5) / 1048576.0


@device
def on_lane(net: Network, lane: int, s: float, d: float) -> tuple[float, float, float]:
    """Return x, y, heading ``s`` along a lane or straight beyond its ends, ``d`` left of it."""
    place = s / net.spacing[lane]
    step = min(max(int(math.floor(place)), 0), net.samples[lane] - 2)
    k = net.first[lane] + step
    part = place - step
    turned = net.heading[k] + min(max(part, 0.0), 1.0) * (net.heading[k + 1] - net.heading[k])
    x = net.xy[k, 0] + part * (net.xy[k + 1, 0] - net.xy[k, 0]) - d * math.sin(turned)
    y = net.xy[k, 1] + part * (net.xy[k + 1, 1] - net.xy[k, 1]) + d * math.cos(turned)
    return x, y, turned


@device
def locate(fleet: Fleet, net: Network, i: int, s: float, d: float) -> tuple[float, float, float]:
    """Return x, y and heading ``s`` along the present lane or its neighbours in the path."""
    m = HERE
    while s < 0.0 and m > 0 and fleet.path[i, m - 1] >= 0:
        m -= 1
        s += net.length[fleet.path[i, m]]
    while m < PATH_LANES - 1 and fleet.path[i, m + 1] >= 0 and s > net.length[fleet.path[i, m]]:
        s -= net.length[fleet.path[i, m]]
        m += 1
    return on_lane(net, fleet.path[i, m], s, d)


@device
def project(net: Network, lane: int, s: float, x: float, y: float) -> tuple[float, float]:
    """Find place and offset of a point beside a lane, starting the search at ``s``."""
    d = 0.0
    for _ in range(4):
        px, py, heading = on_lane(net, lane, s, 0.0)
        dx, dy = x - px, y - py
        s += dx * math.cos(heading) + dy * math.sin(heading)
        d = dy * math.cos(heading) - dx * math.sin(heading)
    return s, d


@device
def enter_lanes(i: int, fleet: Fleet, net: Network) -> bool:
    """Let the path begin at the lane that the centre is in; false where the road ends."""
    while fleet.s[i] > net.length[fleet.path[i, HERE]]:
        if fleet.path[i, NEXT] < 0:
            return False
        fleet.s[i] -= net.length[fleet.path[i, HERE]]
        for m in range(PATH_LANES - 1):
            fleet.path[i, m] = fleet.path[i, m + 1]
        fleet.path[i, PATH_LANES - 1] = -1
        if not net.is_connector[fleet.path[i, HERE]]:
            fleet.want[i] = -1
    return True


@device
def extend_path(i: int, fleet: Fleet, net: Network) -> None:
    """Choose lanes at forks until the path of a vehicle is full."""
    for m in range(NEXT, PATH_LANES):
        before = fleet.path[i, m - 1]
        if fleet.path[i, m] >= 0 or before < 0:
            continue
        best = 0.0
        for lane in net.following[before]:
            if lane >= 0:
                best = max(best, net.run[lane])
        options = 0
        for lane in net.following[before]:
            options += lane >= 0 and net.run[lane] >= min(best, ENDLESS_M)
        chosen = 0
        if options > 1:
            chosen = int(fleet.dice[i, fleet.rolls[i] % fleet.dice.shape[1]] * options)
            fleet.rolls[i] += 1
        for lane in net.following[before]:
            if lane >= 0 and net.run[lane] >= min(best, ENDLESS_M):
                if chosen == 0:
                    fleet.path[i, m] = lane
                chosen -= 1


@device
def drift(i: int, fleet: Fleet) -> None:
    """Let the offset go smoothly to its aim, at walking pace only as far as wheels would."""
    rate = min(1.0, 0.3 * fleet.speed[i])
    push = rate * rate * (fleet.aim[i] - fleet.d[i]) - 2.0 * rate * fleet.slide[i]
    fleet.slide[i] += STEP_S * min(max(push, -1.4), 1.4)
    most = min(1.3, 0.33 * fleet.speed[i])
    fleet.slide[i] = min(max(fleet.slide[i], -most), most)
    fleet.d[i] += STEP_S * fleet.slide[i]
    fleet.still_for[i] = fleet.still_for[i] + STEP_S if fleet.speed[i] < 0.2 else 0.0
    fleet.changed_for[i] += STEP_S
