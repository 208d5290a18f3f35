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
Everyday traffic on a lane network, in compiled kernels over the whole fleet.

Vehicles follow leaders, slow down for bends, stop at red lights, give way by comparing arrival
times at the conflict zones of junctions, swing round what stands in their way and change lanes.
"""

from collections.abc import Callable
import hashlib
import math
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring.compile import cpu_kernel, device
from pair_drive_training.world.traffic.car_following import follow, look_along
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.driver import drive_ego
from pair_drive_training.world.traffic.fleet import Fleet, Seen, Styles
from pair_drive_training.world.traffic.giving_way import give_way
from pair_drive_training.world.traffic.lane_changing import change_lane
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import (
    drift,
    enter_lanes,
    extend_path,
    locate,
    quantum,
)
from pair_drive_training.world.traffic.swinging import swing

HARDEST_BRAKE = 8.0
JERK = 8.0


@device
def decide_one(i: int, step: int, fleet: Fleet, style: Styles, net: Network, seen: Seen,
               lights: np.ndarray, trace: np.ndarray) -> None:
    """Set ``wish`` and ``aim`` of a vehicle."""
    points, cap = look_along(i, fleet, style, net, trace)
    swings = swing(i, points, cap, fleet, style, seen, trace)
    strongest, slow_at, needed = follow(i, points, swings, fleet, style, seen, trace)
    strongest = max(strongest, give_way(i, cap, slow_at, fleet, style, net, lights))
    speed, accelerate = fleet.speed[i], style.accelerate[i]
    wish = (max(-2.2, 1.3 * (cap - speed)) if speed > cap
            else accelerate * (1.0 - (speed / cap) ** 4))
    wish -= accelerate * strongest
    if step < fleet.moody_until[i]:
        wish = min(wish, max(-4.5, 1.4 * (fleet.mood[i] - speed)))
    hardest = max(1.6 * style.brake[i], 3.2)
    if needed > hardest - 0.3:
        hardest = min(1.25 * needed + 0.5, HARDEST_BRAKE)
        wish = -hardest
    fleet.wish[i] = max(wish, -hardest)


@device
def advance_one(i: int, fleet: Fleet, style: Styles, net: Network) -> None:
    """Move a vehicle one step along its path."""
    fleet.accel[i] += min(max(fleet.wish[i] - fleet.accel[i], -JERK * STEP_S), JERK * STEP_S)
    speed = max(fleet.speed[i] + fleet.accel[i] * STEP_S, 0.0)
    if speed < 0.05 and fleet.wish[i] < 0.1:
        speed = 0.0
        fleet.accel[i] = 0.0
    fleet.s[i] += 0.5 * (speed + fleet.speed[i]) * STEP_S
    fleet.speed[i] = speed
    drift(i, fleet)
    if not enter_lanes(i, fleet, net):
        fleet.present[i] = False
        fleet.driven[i] = False
        return
    # A long vehicle stands like a chord in a bend.
    reach = 0.3 * style.length[i]
    x1, y1, _ = locate(fleet, net, i, fleet.s[i] + reach, fleet.d[i])
    x0, y0, _ = locate(fleet, net, i, fleet.s[i] - reach, fleet.d[i])
    heading = math.atan2(y1 - y0, x1 - x0)
    if speed > 0.5:
        heading += math.atan(min(max(fleet.slide[i] / max(speed, 2.0), -0.35), 0.35))
    fleet.pose[i, 0], fleet.pose[i, 1] = quantum(0.5 * (x0 + x1)), quantum(0.5 * (y0 + y1))
    fleet.pose[i, 2] = quantum(heading)
    for state in (fleet.s, fleet.d, fleet.slide, fleet.speed, fleet.accel):
        state[i] = quantum(state[i])


def _build_kernels(fingerprint: str) -> tuple[Callable, ...]:
    """
    Compile the kernels; numba looks only at this file when it asks whether one has changed.

    The hash of the sources is closed over, which makes it part of the cache's key.
    """

    def decide(first: int, last: int, step: int, fleet: Fleet, style: Styles, net: Network,
               seen: Seen, lights: np.ndarray, trace: np.ndarray) -> None:
        _ = fingerprint
        for i in range(first, last):
            if fleet.driven[i] and fleet.present[i]:
                decide_one(i, step, fleet, style, net, seen, lights, trace)

    def advance(first: int, last: int, fleet: Fleet, style: Styles, net: Network) -> None:
        _ = fingerprint
        for i in range(first, last):
            if fleet.driven[i] and fleet.present[i]:
                advance_one(i, fleet, style, net)
                extend_path(i, fleet, net)

    def change_lanes(step: int, fleet: Fleet, style: Styles, net: Network, seen: Seen) -> None:
        _ = fingerprint
        for i in range(len(fleet.s)):
            if fleet.driven[i] and fleet.present[i]:
                change_lane(i, step, fleet, style, net, seen)

    def move_ego(car: np.ndarray, jerk: float, preview: float, fleet: Fleet, net: Network
                 ) -> None:
        _ = fingerprint
        drive_ego(car, jerk, preview, fleet, net)

    return (cpu_kernel(decide), cpu_kernel(advance), cpu_kernel(change_lanes),
            cpu_kernel(move_ego))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()


decide, advance, change_lanes, move_ego = _build_kernels(_fingerprint())
