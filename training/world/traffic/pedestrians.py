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

"""People on foot: along the walks, waiting at kerbs, over crosswalks, seldom elsewhere."""

from dataclasses import dataclass, field
import math

import numpy as np
from pair_drive_training.world.towns.dice import Dice
from pair_drive_training.world.towns.town import Crossing, Town
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.fleet import Fleet, Styles

KERB_M = 0.7
STRAY_M = 0.6
PACE_CHANGE = 1.2
SIGHT_M = 70.0
# Vehicles farther away than this do not block a step.
REACH_M = 18.0


@dataclass
class Person:
    """
    Someone under way along ``line`` [M, 2], of which ``along`` m are done.

    Before ``kerb`` m (if not None) the person waits until ``crossing`` may be walked; those who
    are ``bold`` trust that drivers brake hard.
    """

    line: np.ndarray
    pace: float
    along: float = 0.0
    kerb: float | None = None
    crossing: Crossing | None = None
    bold: bool = False
    speed: float = 0.0
    pose: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        """Begin where the line does, at pace."""
        self.take(self.line, self.along)
        self.speed = self.pace
        self._place(0.0)

    def take(self, line: np.ndarray, along: float = 0.0) -> None:
        """Go another way from now on."""
        steps = np.diff(line, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        line = line[np.append(True, lengths > 1e-6)]
        self.line = line
        self._at = np.append(0.0, np.cumsum(lengths[lengths > 1e-6]))
        self._segment = 0
        self.along = along

    def walk(self, fleet: Fleet, style: Styles, may_cross: bool) -> None:
        """Go on for one step."""
        wanted = self.pace
        if self.kerb is not None and self.crossing is not None:
            left = self.kerb - self.along
            if 0.0 <= left < 1.0 and not (may_cross and self._safe(self.crossing, fleet)):
                wanted = 0.0 if left < 0.35 else 0.5
        if self.along > self._at[-1] - 0.3 or self._faces_vehicle(fleet, style):
            wanted = 0.0
        change = PACE_CHANGE * STEP_S * (3.0 if wanted < self.speed else 1.0)
        self.speed += max(-change, min(change, wanted - self.speed))
        self._place(self.speed * STEP_S)

    def _place(self, way: float) -> None:
        self.along = min(self.along + way, float(self._at[-1]))
        while self._segment < len(self._at) - 2 and self.along > self._at[self._segment + 1]:
            self._segment += 1
        start, end = self.line[self._segment], self.line[self._segment + 1]
        span = self._at[self._segment + 1] - self._at[self._segment]
        part = (self.along - self._at[self._segment]) / span
        step = end - start
        self.pose[:2] = start + part * step
        self.pose[2] = math.atan2(step[1], step[0])

    @property
    def velocity(self) -> np.ndarray:
        """Metres a second [2] in the map frame."""
        return self.speed * np.array([math.cos(self.pose[2]), math.sin(self.pose[2])])

    def _faces_vehicle(self, fleet: Fleet, style: Styles) -> bool:
        """Tell whether the next step leads into a vehicle, or in front of one that drives by."""
        step = 0.6 + 0.5 * self.pace
        x = self.pose[0] + step * math.cos(self.pose[2]) - fleet.pose[:, 0]
        y = self.pose[1] + step * math.sin(self.pose[2]) - fleet.pose[:, 1]
        near = np.flatnonzero((np.abs(x) < REACH_M) & (np.abs(y) < REACH_M) & fleet.present)
        for i in near.tolist():
            cos, sin = math.cos(fleet.pose[i, 2]), math.sin(fleet.pose[i, 2])
            ahead = x[i] * cos + y[i] * sin
            aside = abs(y[i] * cos - x[i] * sin)
            half = 0.5 * style.length[i] + 0.3
            if -half < ahead < half + 0.8 * fleet.speed[i] and aside < 0.5 * style.width[i] + 0.4:
                return True
        return False

    def _safe(self, crossing: Crossing, fleet: Fleet) -> bool:
        """Tell whether everybody who comes can stop in time."""
        middle = crossing.line.mean(axis=0)
        offset = middle - fleet.pose[:, :2]
        distance = np.hypot(offset[:, 0], offset[:, 1])
        ahead = offset[:, 0] * np.cos(fleet.pose[:, 2]) + offset[:, 1] * np.sin(fleet.pose[:, 2])
        comes = fleet.driven & fleet.present & (distance < SIGHT_M) & (ahead > 0.6 * distance)
        braking = 3.2 if self.bold else 2.0
        stops = fleet.speed ** 2 / (2.0 * braking) + 0.9 * fleet.speed + 6.0
        return not np.any(comes & (stops > distance) & (fleet.speed > 0.3))


def populate(town: Town, origin: np.ndarray, place: np.ndarray, count: int, dice: Dice
             ) -> list[Person]:
    """
    Draw people, most of them around a place [2]; everything relative to ``origin``.

    :param count: how many
    """
    walks = [walk - origin for walk in town.walks if len(walk) > 1]
    crossings = [town.crossings[key] for key in sorted(town.crossings)]
    crossings = [Crossing(item.fid, item.polygon, item.line - origin, item.connectors)
                 for item in crossings]
    people: list[Person] = []
    for _ in range(40 * count):
        if len(people) == count or not walks:
            break
        crosses = bool(crossings) and dice.chance(0.45)
        if crosses:
            crossing = dice.pick(crossings)
            spot = crossing.line.mean(axis=0)
        else:
            walk = dice.pick(walks)
            spot = walk[dice.count(0, len(walk) - 1)]
        if dice.between(0.0, 1.0) > math.exp(-math.hypot(*(spot - place)) / 120.0):
            continue
        people.append(_crosser(crossing, walks, dice) if crosses
                      else _stroller(walk, spot, dice))
    return people


def street_crosser(person: Person, over: np.ndarray) -> None:
    """Let someone step out now: over the street to a point [2] and a little on."""
    begin = person.pose[:2].copy()
    step = (over - begin) / math.hypot(*(over - begin))
    person.kerb = None
    person.take(np.stack([begin, over, over + 1.0 * step]))
    person.pace = max(person.pace, 1.25)


def _stroller(walk: np.ndarray, spot: np.ndarray, dice: Dice) -> Person:
    line = walk if dice.chance(0.5) else walk[::-1]
    stray = dice.between(-STRAY_M, STRAY_M)
    headings = np.arctan2(*np.gradient(line, axis=0).T[::-1])
    line = line + stray * np.column_stack([-np.sin(headings), np.cos(headings)])
    at = int(np.argmin(np.hypot(*(line - spot).T)))
    line = np.concatenate([line[at:], line[-2::-1]])
    return Person(line, dice.between(0.9, 1.6) if dice.chance(0.9) else 0.0)


def _crosser(crossing: Crossing, walks: list[np.ndarray], dice: Dice) -> Person:
    near, far = crossing.line if dice.chance(0.5) else crossing.line[::-1]
    across = (far - near) / math.hypot(*(far - near))
    shift = dice.between(-0.8, 0.8) * np.array([-across[1], across[0]])
    near, far = near + shift, far + shift
    come, go = (_part_of_walk(walks, end, dice.between(2.0, 35.0), dice.chance(0.5))
                for end in (near, far))
    kerb = near - KERB_M * across
    line = np.concatenate([come[::-1], [kerb, near, far, far + KERB_M * across], go])
    before = np.concatenate([come[::-1], [kerb]])
    person = Person(line, dice.between(1.0, 1.7), crossing=crossing, bold=dice.chance(0.35))
    person.kerb = float(np.hypot(*np.diff(before, axis=0).T).sum())
    return person


def _part_of_walk(walks: list[np.ndarray], begin: np.ndarray, length: float,
                  forward: bool) -> np.ndarray:
    """Points of the nearest walk from where it comes closest, for about a length."""
    distances = [float(np.hypot(*(walk - begin).T).min()) for walk in walks]
    walk = walks[int(np.argmin(distances))]
    at = int(np.argmin(np.hypot(*(walk - begin).T)))
    part = walk[at:] if forward else walk[:at + 1][::-1]
    along = np.append(0.0, np.cumsum(np.hypot(*np.diff(part, axis=0).T)))
    return part[along <= length]
