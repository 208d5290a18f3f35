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

"""Who and what is in the streets of a drive when it begins."""

from dataclasses import dataclass, field

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.traffic.drive import Actor
from pair_drive_training.world.traffic.driver import draw_ego_style
from pair_drive_training.world.traffic.fleet import EGO, empty_fleet, Fleet, HERE, Styles
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.lane_walk import locate, on_lane, project

ROLLS = 64
NEIGHBOURHOOD_M = 130.0
MIN_GAP_M = 7.0
EGO_NEEDS_M = 700.0
# How often someone drives ahead of the ego from the beginning.
LED_SHARE = 0.7
KERB_REACH_M = 5.0


@dataclass
class Body:
    """What an actor looks like: ``kind``, ``size`` [3], ``model``, ``colour``."""

    kind: ObjectType
    size: tuple[float, float, float]
    model: int
    colour: int

    def actor(self, token: str) -> Actor:
        """Give it a name."""
        return Actor(token, int(self.kind), np.array(self.size), self.model, self.colour)


@dataclass
class Cast:
    """
    Everything in the streets but people: the fleet with its bodies, and obstacles.

    ``obstacles`` stand at ``places`` [x, y, heading]. The ego has no body.
    """

    fleet: Fleet
    style: Styles
    bodies: list[Body]
    obstacles: list[Body] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)


def token(dice: Dice) -> str:
    """Draw 16 hex digits."""
    return ''.join(f'{dice.count(0, 65535):04x}' for _ in range(4))


def draw_vehicle(dice: Dice) -> Body:
    """Draw a car, or less often a van, a lorry or a bus, of a common size."""
    draw, model, colour = dice.between(0.0, 1.0), dice.count(0, 2), dice.count(0, 255)
    if draw < 0.78:
        size = dice.between(3.9, 5.0), dice.between(1.75, 1.95), dice.between(1.42, 1.8)
    elif draw < 0.91:
        size = dice.between(5.0, 6.0), dice.between(1.95, 2.1), dice.between(2.0, 2.6)
    elif draw < 0.97:
        size = dice.between(6.6, 8.6), dice.between(2.25, 2.45), dice.between(2.8, 3.5)
    else:
        size = dice.between(10.2, 12.0), 2.5, dice.between(3.0, 3.3)
    return Body(ObjectType.VEHICLE, size, model, colour)


def draw_person(dice: Dice) -> Body:
    """Draw someone on foot."""
    return Body(ObjectType.PEDESTRIAN, (dice.between(0.45, 0.75), dice.between(0.5, 0.75),
                                        dice.between(1.5, 1.92)), dice.count(0, 3),
                dice.count(0, 255))


def fill_streets(town: Town, net: Network, dice: Dice) -> Cast:
    """Draw the ego's place, the traffic around it, parked cars and road works."""
    ego_lane, ego_at = _ego_place(net, dice)
    x, y, _ = on_lane(net, ego_lane, ego_at, 0.0)
    here = np.array([x, y])
    moving = _lanes_to_fill(net, ego_lane, ego_at, here, dice.count(30, 58), dice)
    kerb, off_road = _parked(town, net, dice)
    count = 1 + len(moving) + len(kerb)
    throws = np.array([[dice.between(0.0, 1.0) for _ in range(ROLLS)] for _ in range(count)])
    fleet, table, bodies = empty_fleet(count, throws), [draw_ego_style(dice)], []
    _put(fleet, net, EGO, ego_lane, ego_at, 0.0)
    fleet.driven[EGO] = True
    fleet.speed[EGO] = 0.6 * net.limit[ego_lane]
    for i, (lane, at) in enumerate(moving, 1):
        cycles = dice.chance(0.09) and net.right[lane] < 0
        body = (Body(ObjectType.BICYCLE, (dice.between(1.65, 1.85), dice.between(0.55, 0.7),
                                          dice.between(1.65, 1.85)), dice.count(0, 3),
                     dice.count(0, 255)) if cycles else draw_vehicle(dice))
        bodies.append(body)
        table.append(_style(body, net.width[lane], dice))
        _put(fleet, net, i, lane, at, table[i]['home'])
        fleet.driven[i] = True
        fleet.speed[i] = min(0.6 * net.limit[lane], table[i]['top'])
    for i, (lane, at, d, heading, body) in enumerate(kerb, 1 + len(moving)):
        bodies.append(body)
        table.append(_style(body, net.width[lane], dice))
        _put(fleet, net, i, lane, at, d)
        fleet.pose[i, 2] += wrap_angle(heading - fleet.pose[i, 2])
    style = Styles(*(np.array([row[name] for row in table]) for name in Styles._fields))
    cast = Cast(fleet, style, bodies, [body for body, _ in off_road],
                [place for _, place in off_road])
    return cast


def _put(fleet: Fleet, net: Network, i: int, lane: int, at: float, d: float) -> None:
    fleet.path[i, HERE] = lane
    fleet.s[i], fleet.d[i], fleet.aim[i], fleet.present[i] = at, d, d, True
    fleet.pose[i] = locate(fleet, net, i, at, d)


def _style(body: Body, width: float, dice: Dice) -> dict[str, float]:
    """Draw how a vehicle of the traffic, or a cyclist, is driven."""
    heavy = body.size[0] > 6.2
    style = {
        'length': body.size[0], 'width': body.size[1], 'factor': dice.between(0.75, 1.15),
        'top': 13.0 if heavy else 25.0, 'headway': dice.between(0.8, 1.8),
        'gap': dice.between(1.2, 3.0),
        'accelerate': dice.between(0.8, 1.2) if heavy else dice.between(1.2, 2.2),
        'brake': dice.between(1.5, 2.6), 'bend': 1.3 if heavy else dice.between(1.6, 3.0),
        'margin': dice.between(0.7, 1.8), 'hesitation': dice.between(0.0, 0.8),
        'late': dice.between(0.3, 1.8), 'yellow': dice.between(2.0, 3.6),
        'home': dice.between(-0.2, 0.2), 'clearance': dice.between(0.4, 0.8)}
    if body.kind is ObjectType.BICYCLE:
        style |= {'factor': 1.0, 'top': dice.between(3.4, 6.0), 'accelerate': 0.9, 'gap': 1.0,
                  'home': -(0.5 * width - dice.between(0.45, 0.75))}
    return style


def _ego_place(net: Network, dice: Dice) -> tuple[int, float]:
    lanes = np.flatnonzero(~net.is_connector)
    far = lanes[net.run[lanes] >= min(EGO_NEEDS_M, net.run[lanes].max())]
    lane = int(far[_weighted(net.length[far], dice)])
    return lane, dice.between(4.0, max(5.0, net.length[lane] - 8.0))


def _weighted(weights: np.ndarray, dice: Dice) -> int:
    total = np.cumsum(weights)
    return min(int(np.searchsorted(total, dice.between(0.0, float(total[-1])))), len(total) - 1)


def _lanes_to_fill(net: Network, ego_lane: int, ego_at: float, here: np.ndarray, count: int,
                   dice: Dice) -> list[tuple[int, float]]:
    """Draw places in lanes, more of them around the ego, none too near another."""
    lanes = np.flatnonzero(~net.is_connector)
    middle = net.xy[net.first[lanes] + net.samples[lanes] // 2]
    near = np.exp(-np.hypot(*(middle - here).T) / NEIGHBOURHOOD_M)
    weights = net.length[lanes] * near
    taken = {ego_lane: [ego_at]}
    places = []
    if dice.chance(LED_SHARE):
        at = ego_at + dice.between(14.0, 40.0)
        if at < net.length[ego_lane] - 3.0:
            taken[ego_lane].append(at)
            places.append((ego_lane, at))
    for _ in range(20 * count):
        if len(places) == count:
            break
        lane = int(lanes[_weighted(weights, dice)])
        at = dice.between(8.0, max(9.0, net.length[lane] - 10.0))
        if at > net.length[lane] or any(abs(at - other) < 2.2 * MIN_GAP_M
                                        for other in taken.get(lane, ())):
            continue
        taken.setdefault(lane, []).append(at)
        places.append((lane, at))
    return places


def _parked(town: Town, net: Network, dice: Dice
            ) -> tuple[list[tuple[int, float, float, float, Body]], list[tuple[Body, np.ndarray]]]:
    """Fill kerbs, from where one may pull out, and car parks."""
    kerb_share, park_share = dice.between(0.2, 0.75), dice.between(0.3, 0.8)
    outer = np.flatnonzero(~net.is_connector & (net.right < 0))
    points = np.concatenate([net.xy[net.first[lane]:net.first[lane] + net.samples[lane]]
                             for lane in outer])
    owner = np.repeat(outer, net.samples[outer])
    kerb, rest = [], []
    for spot in town.parking:
        if not dice.chance(kerb_share if spot.at_kerb else park_share):
            continue
        body = _parked_car(dice)
        pose = np.array([*(spot.pose[:2] - net.origin), spot.pose[2]])
        nearest = int(np.argmin(((points - pose[:2]) ** 2).sum(axis=1)))
        lane = int(owner[nearest])
        at, d = project(net, lane, (nearest - int(np.flatnonzero(owner == lane)[0]))
                        * net.spacing[lane], *pose[:2])
        turned = abs(float(wrap_angle(pose[2] - on_lane(net, lane, at, 0.0)[2])))
        beside = -KERB_REACH_M < d < 0.0 and turned < 0.3 and 0.0 < at < net.length[lane]
        if spot.at_kerb and beside:
            kerb.append((lane, float(at), float(d), float(pose[2]), body))
        else:
            rest.append((body, pose))
    return kerb, rest


def _parked_car(dice: Dice) -> Body:
    while True:
        body = draw_vehicle(dice)
        if body.size[0] < 5.3:
            return body
