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

"""What makes the next seconds hard to foresee: others who do what nobody expected of them."""

from collections.abc import Sequence
import math

import numpy as np
from pair_drive_ros.core.geometry import wrap_angle
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.fleet import EGO, Fleet, HERE, Styles
from pair_drive_training.world.traffic.lane_network import Network
from pair_drive_training.world.traffic.pedestrians import Person, street_crosser

# Mean seconds until it happens, while it could.
LEAD_BRAKES_S = 14.0
ANYONE_SLOWS_S = 70.0
CUT_IN_S = 5.0
PULL_OUT_S = 4.0
ANYONE_PULLS_OUT_S = 200.0
STEP_OUT_S = 5.0
# From centre to centre, so that one comes past the car parked in front.
OUT_M = 10.5


class Incidents:
    """Lets leaders brake, neighbours cut in, parked cars pull out and people step out."""

    def __init__(self, fleet: Fleet, style: Styles, net: Network, people: Sequence[Person],
                 dice: Dice):
        self._fleet, self._style, self._net, self._people = fleet, style, net, people
        self._dice = dice
        self._left = {'pull_out': dice.count(1, 3), 'step_out': dice.count(0, 3)}

    def update(self, step: int) -> None:
        """Decide about one step."""
        self._brake(step)
        self._cut_in()
        self._pull_out()
        self._step_out()

    def _happens(self, mean_s: float) -> bool:
        return self._dice.chance(STEP_S / mean_s)

    def _brake(self, step: int) -> None:
        fleet, dice = self._fleet, self._dice
        leader = int(fleet.leader[EGO])
        calm = fleet.driven & (fleet.speed > 4.0) & (fleet.moody_until < step - 40)
        calm[EGO] = False
        for i in np.flatnonzero(calm).tolist():
            if self._happens(LEAD_BRAKES_S if i == leader else ANYONE_SLOWS_S):
                fleet.mood[i] = dice.between(0.0, 0.7) * fleet.speed[i]
                fleet.moody_until[i] = step + dice.count(12, 45)

    def _cut_in(self) -> None:
        fleet, net = self._fleet, self._net
        here = int(fleet.path[EGO, HERE])
        for lane, wish in ((int(net.left[here]), -2), (int(net.right[here]), 2)):
            if lane < 0:
                continue
            ahead = fleet.s - fleet.s[EGO]
            ready = (fleet.driven & (fleet.path[:, HERE] == lane) & (ahead > 3.0)
                     & (ahead < 24.0) & (fleet.lane_wish == 0))
            for i in np.flatnonzero(ready).tolist():
                if self._happens(CUT_IN_S):
                    fleet.lane_wish[i] = wish

    def _pull_out(self) -> None:
        """Let parked cars start where nobody but the ego is near behind."""
        fleet, net = self._fleet, self._net
        ego = fleet.pose[EGO]
        offset = fleet.pose[:, :2] - ego[:2]
        ahead = offset[:, 0] * math.cos(ego[2]) + offset[:, 1] * math.sin(ego[2])
        on_path = np.isin(fleet.path[:, HERE], fleet.path[EGO, HERE:HERE + 3])
        speed = fleet.speed[EGO]
        in_view = on_path & (ahead > 8.0 + 2.0 * speed) & (ahead < 25.0 + 3.5 * speed)
        for i in np.flatnonzero(fleet.present & ~fleet.driven).tolist():
            aimed = bool(in_view[i]) and self._left['pull_out'] > 0 and speed > 2.0
            if not self._happens(PULL_OUT_S if aimed else ANYONE_PULLS_OUT_S):
                continue
            lane = fleet.path[i, HERE]
            same = fleet.driven & (fleet.path[:, HERE] == lane)
            gap = fleet.s[i] - fleet.s
            hindered = same & (gap > -9.0) & (gap < 12.0 + 1.2 * fleet.speed)
            behind = ~fleet.driven & (fleet.path[:, HERE] == lane) & (gap < 0.0)
            walled = behind & (gap > -OUT_M)
            if net.length[lane] - fleet.s[i] < 25.0 or np.any(hindered) or np.any(walled):
                continue
            self._left['pull_out'] -= aimed
            fleet.driven[i] = True
            fleet.aim[i] = self._style.home[i]

    def _step_out(self) -> None:
        """Let someone on the walk beside the ego's way cross in front of it."""
        if self._left['step_out'] <= 0 or not self._people:
            return
        ego, speed = self._fleet.pose[EGO], self._fleet.speed[EGO]
        if speed < 4.0:
            return
        offset = np.array([person.pose[:2] for person in self._people]) - ego[:2]
        cos, sin = math.cos(ego[2]), math.sin(ego[2])
        ahead, aside = offset @ [cos, sin], offset @ [-sin, cos]
        near = ((ahead > 4.0 + 2.0 * speed) & (ahead < 10.0 + 3.6 * speed)
                & (np.abs(aside) > 3.0) & (np.abs(aside) < 9.0))
        for index in np.flatnonzero(near).tolist():
            person = self._people[index]
            along = abs(math.cos(float(wrap_angle(person.pose[2] - ego[2]))))
            if along > 0.7 and self._happens(STEP_OUT_S):
                over = np.array([cos, sin]) * self._dice.between(-1.0, 2.0) - aside[index] * (
                    1.0 + 3.0 / abs(aside[index])) * np.array([-sin, cos])
                street_crosser(person, person.pose[:2] + over)
                self._left['step_out'] -= 1
                return
