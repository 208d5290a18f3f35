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
The human-like driver: a style, a route of its own, and hands and feet with their limits.

It sees others late, keeps its own distance and pace, wanders in its lane, cuts corners by looking
ahead along the road, and moves a kinematic bicycle whose reference point is the rear axle.
"""

from dataclasses import dataclass
import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, WHEELBASE
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.fleet import EGO, Fleet, HERE, NEXT, PATH_LANES
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import drift, enter_lanes, locate, quantum

EGO_LENGTH, EGO_WIDTH = 5.176, 2.297
STEERING_RATE = 0.55
STEERING_LAG_S = 0.12
FRIGHT_JERK = 11.0
# Braking at a metre a second, beyond what remains at standstill, 1/s.
EASE_OFF = 2.5
SUBSTEPS = 2
# Of the car: x, y, heading of the rear axle, steering angle, yaw rate.
CAR_STATES = 5
TURN_WISH = 0.35
# A corner of this radius is cut as much as any.
CUT_RADIUS_M = 14.0
BEND_SAMPLES, BEND_STEP_M = 4, 2.0


@dataclass(frozen=True)
class Human:
    """
    How someone drives, beyond what any vehicle has.

    ``delay`` steps until others are noticed; ``jerk`` m/s3 of ordinary pedalling; ``preview`` s
    that the eyes are ahead of the hands; ``wander`` m of slow drift with the ``phases`` [4] of its
    waves; ``cut`` m by which corners are cut.
    """

    delay: int
    jerk: float
    preview: float
    wander: float
    cut: float
    phases: np.ndarray

    @classmethod
    def drawn(cls, dice: Dice) -> 'Human':
        """Draw a driver."""
        return cls(dice.count(3, 9), dice.between(2.0, 3.4), dice.between(0.55, 0.8),
                   dice.between(0.04, 0.2), dice.between(0.2, 0.4),
                   np.array([dice.between(0.0, 6.28) for _ in range(4)]))

    def offset(self, step: int, fleet: Fleet, net: Network) -> float:
        """Where in the lane the driver drifts, metres to the left: inwards in bends."""
        time = STEP_S * step
        waves = sum(math.sin(time * rate + phase) for rate, phase in zip(
            (0.23, 0.41, 0.62, 0.97), self.phases, strict=True))
        lane = int(fleet.path[EGO, HERE])
        bend = self._bend_ahead(fleet, net)
        cut = self.cut * max(-1.0, min(1.0, bend * CUT_RADIUS_M))
        spare = 0.5 if net.is_connector[lane] else 0.5 * (net.width[lane] - EGO_WIDTH) - 0.15
        return max(-spare, min(spare, 0.5 * self.wander * waves + cut))

    def _bend_ahead(self, fleet: Fleet, net: Network) -> float:
        """Return the mean curvature, 1/m, of the next steps of the path."""
        s, m, total = float(fleet.s[EGO]), HERE, 0.0
        for _ in range(BEND_SAMPLES):
            s += BEND_STEP_M
            while s > net.length[fleet.path[EGO, m]] and m + 1 < PATH_LANES and (
                    fleet.path[EGO, m + 1] >= 0):
                s -= net.length[fleet.path[EGO, m]]
                m += 1
            lane = int(fleet.path[EGO, m])
            total += net.curvature[net.first[lane] + min(int(s / net.spacing[lane]),
                                                         int(net.samples[lane]) - 1)]
        return total / BEND_SAMPLES


def draw_ego_style(dice: Dice) -> dict[str, float]:
    """Draw the fields of ``Styles`` for a driver of the ego."""
    return {
        'length': EGO_LENGTH, 'width': EGO_WIDTH, 'factor': dice.between(0.78, 1.04), 'top': 20.0,
        'headway': dice.between(0.9, 1.7), 'gap': dice.between(1.5, 3.0),
        'accelerate': dice.between(1.4, 2.2), 'brake': dice.between(1.6, 2.3),
        'bend': dice.between(1.3, 2.4), 'margin': dice.between(1.0, 2.4),
        'hesitation': dice.between(0.1, 1.2),
        'late': dice.between(1.2, 2.1) if dice.chance(0.4) else dice.between(0.2, 0.8),
        'yellow': dice.between(2.2, 3.2), 'home': 0.0, 'clearance': dice.between(0.5, 0.85)}


class RouteChoice:
    """
    Where the ego goes: at random, but never twice to the same place while there is another.

    :param fleet: the ego's path in it is filled here and nowhere else
    """

    def __init__(self, fleet: Fleet, network: Network, dice: Dice):
        self._fleet, self._network, self._dice = fleet, network, dice
        self.groups: list[int] = []
        self._connectors: dict[int, list[int]] = {}
        for lane in np.flatnonzero(~network.is_connector).tolist():
            self._connectors.setdefault(int(network.group[lane]), []).append(lane)

    def update(self) -> None:
        """Note the present place, extend the path, and wish for the lane that the turn needs."""
        path, net = self._fleet.path[EGO], self._network
        group = int(net.group[path[HERE]])
        entered = not self.groups or self.groups[-1] != group
        if entered:
            self.groups.append(group)
            if not net.is_connector[path[HERE]]:
                self._choose_turn(group, int(path[HERE]))
        for m in range(NEXT, PATH_LANES):
            if path[m] < 0 and path[m - 1] >= 0:
                path[m] = self.follower(int(path[m - 1]), path[:m])
        self._fleet.lane_wish[EGO] = self._side(int(path[HERE]))

    def follower(self, lane: int, before: np.ndarray) -> int:
        """Choose the next lane of a path; -1 where the road ends."""
        net = self._network
        options = [int(option) for option in net.following[lane] if option >= 0]
        if not options:
            return -1
        wanted = [option for option in options if net.group[option] == self._fleet.want[EGO]]
        if wanted:
            return wanted[0]
        best = max(net.run[option] for option in options)
        options = [option for option in options if net.run[option] >= min(best, 600.0)]
        # Never, or else longest ago, seen: counted over the option and the places behind it.
        seen = [*self.groups, *net.group[before[before >= 0]].tolist()]
        last = {group: place for place, group in enumerate(seen)}
        newness = {option: max([last.get(int(net.group[option]), -1)] + [
            last.get(int(net.group[lane]), -1) for lane in net.following[option] if lane >= 0])
            for option in options}
        newest = min(newness.values())
        return self._dice.pick([option for option in options if newness[option] == newest])

    def _choose_turn(self, group: int, lane: int) -> None:
        """Sometimes set the heart on a turn that another lane of the street leads to."""
        net = self._network
        self._fleet.want[EGO] = -1
        own = {int(net.group[option]) for option in net.following[lane] if option >= 0}
        others = sorted({int(net.group[option]) for other in self._connectors[group]
                         for option in net.following[other] if option >= 0} - own)
        if others and self._dice.chance(TURN_WISH):
            self._fleet.want[EGO] = self._dice.pick(others)

    def _side(self, lane: int) -> int:
        """Which way the wanted turn lies: 1 left, -1 right, 0 from here or not at all."""
        net = self._network
        if self._fleet.want[EGO] < 0 or net.is_connector[lane]:
            return 0
        for side, neighbour in ((0, None), (1, net.left), (-1, net.right)):
            at = lane if neighbour is None else int(neighbour[lane])
            while at >= 0:
                if any(option >= 0 and net.group[option] == self._fleet.want[EGO]
                       for option in net.following[at]):
                    return side
                at = -1 if neighbour is None else int(neighbour[at])
        return 0


def car_at(pose: np.ndarray) -> np.ndarray:
    """State of a car whose centre is at a pose [3]."""
    car = np.zeros(CAR_STATES)
    car[:3] = (pose[0] - AXLE_TO_CENTRE * math.cos(pose[2]),
               pose[1] - AXLE_TO_CENTRE * math.sin(pose[2]), pose[2])
    return car


@device
def drive_ego(car: np.ndarray, jerk: float, preview: float, fleet: Fleet, net: Network) -> None:
    """Move the ego one step: pedals by its wish, steering towards a point ahead on its path."""
    i = EGO
    speed, accel = fleet.speed[i], fleet.accel[i]
    most = (FRIGHT_JERK if fleet.wish[i] < -3.3 else jerk) * STEP_S
    # The foot comes off the brake in the last moment.
    wish = max(fleet.wish[i], -0.8 - EASE_OFF * speed)
    accel += min(max(wish - accel, -most), most)
    accel = max(accel, -0.8 - EASE_OFF * speed)
    distance = max(4.2, preview * speed + 2.0)
    place = fleet.s[i] - AXLE_TO_CENTRE + distance
    d = fleet.d[i] + fleet.slide[i] * min(distance / max(speed, 2.0), 1.0)
    x, y, _ = locate(fleet, net, i, place, d)
    dx, dy = x - car[0], y - car[1]
    aside = dy * math.cos(car[2]) - dx * math.sin(car[2])
    wanted = math.atan(WHEELBASE * 2.0 * aside / (dx * dx + dy * dy))
    step = STEP_S / SUBSTEPS
    for _ in range(SUBSTEPS):
        rate = min(max((wanted - car[3]) / STEERING_LAG_S, -STEERING_RATE), STEERING_RATE)
        if speed < 0.3:
            rate = 0.0
        steering = car[3] + rate * step
        after = max(speed + accel * step, 0.0)
        middle = 0.5 * (speed + after)
        yaw_rate = middle * math.tan(0.5 * (car[3] + steering)) / WHEELBASE
        heading = car[2] + 0.5 * yaw_rate * step
        car[0] += middle * step * math.cos(heading)
        car[1] += middle * step * math.sin(heading)
        car[2] += yaw_rate * step
        car[3] = steering
        speed = after
    if speed < 0.05 and fleet.wish[i] < 0.15:
        speed, accel = 0.0, 0.0
    for state in range(4):
        car[state] = quantum(car[state])
    car[4] = quantum(speed * math.tan(car[3]) / WHEELBASE)
    fleet.speed[i], fleet.accel[i] = quantum(speed), quantum(accel)
    # The place on the path is that of the rear axle, pushed forward to the centre.
    s = fleet.s[i] - AXLE_TO_CENTRE + fleet.speed[i] * STEP_S
    for _ in range(3):
        x, y, heading = locate(fleet, net, i, s, 0.0)
        s += (car[0] - x) * math.cos(heading) + (car[1] - y) * math.sin(heading)
    fleet.s[i] = quantum(s + AXLE_TO_CENTRE)
    drift(i, fleet)
    fleet.d[i], fleet.slide[i] = quantum(fleet.d[i]), quantum(fleet.slide[i])
    enter_lanes(i, fleet, net)
    fleet.pose[i, 0] = quantum(car[0] + AXLE_TO_CENTRE * math.cos(car[2]))
    fleet.pose[i, 1] = quantum(car[1] + AXLE_TO_CENTRE * math.sin(car[2]))
    fleet.pose[i, 2] = car[2]
