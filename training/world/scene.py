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
The sample drive's scene: a winding town street with traffic, drawn anew for every seed.

The ego follows a car that slows and speeds up again, meets oncoming cars, and passes parked cars,
people on the pavements, trees, lamps and houses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pair_drive_training.world import shapes
from pair_drive_training.world.ground import GroundMap
from pair_drive_training.world.road import (
    AHEAD,
    BEHIND,
    EgoMotion,
    LANE_WIDTH,
    LEFT_KERB,
    PAVEMENT_WIDTH,
    RIGHT_KERB,
    RoadLine,
    SpeedProfile,
)
from pair_drive_training.world.shapes import Solid

PAINTS = ((52, 46, 168), (178, 176, 172), (48, 46, 44), (222, 224, 224), (128, 84, 40),
          (88, 92, 60), (96, 104, 112), (58, 124, 186))
WALLS = ((150, 178, 204), (178, 192, 200), (122, 146, 178), (188, 204, 214), (106, 122, 160),
         (164, 172, 176), (140, 176, 196))
CLOTHES = ((60, 60, 180), (150, 90, 50), (70, 140, 70), (200, 200, 205), (40, 160, 210),
           (120, 60, 120))
LEAD_GAP = 19.0
BACK_ROW = 30.0
CROSSING_SPACING = 70.0
FIRST_CROSSING = 46.0


@dataclass(frozen=True)
class Mover:
    """Solids that move: ``solids_at`` and ``pose_at`` give body and SE(2) pose at a time in s."""

    solids_at: Callable[[float], tuple[Solid, ...]]
    pose_at: Callable[[float], np.ndarray]


class Scene:
    """Ground, standing and moving solids, and the ego's own motion, for ``seconds`` of driving."""

    def __init__(self, seconds: float, seed: int):
        rng = np.random.default_rng(seed)
        profile = SpeedProfile()
        self.road = RoadLine(float(profile.distance(seconds)) + AHEAD)
        self.ego = EgoMotion(self.road, profile)
        crossings = tuple(np.arange(FIRST_CROSSING, self.road.end, CROSSING_SPACING))
        self.ground = GroundMap(self.road, crossings, rng)
        self._standing: list[Solid] = []
        self._movers: list[Mover] = []
        self._add_houses(rng)
        self._add_street_furniture(crossings, rng)
        self._add_parked_cars(crossings, rng)
        self._add_traffic(seconds, rng)
        self._add_people(rng)

    def solids(self, time_s: float) -> list[Solid]:
        """All solids in the world frame at a time."""
        solids = list(self._standing)
        for mover in self._movers:
            pose = mover.pose_at(time_s)
            solids.extend(solid.placed(pose) for solid in mover.solids_at(time_s))
        return solids

    def _stand(self, solids: tuple[Solid, ...], arc: float, lateral: float, turn: float = 0.0
               ) -> None:
        pose = self.road.poses(arc, lateral) + [0.0, 0.0, turn]
        self._standing.extend(solid.placed(pose) for solid in solids)

    def _add_houses(self, rng: np.random.Generator) -> None:
        """Line both pavements with houses, with gaps, and close the view with a second row."""
        for side, kerb in ((1.0, LEFT_KERB), (-1.0, RIGHT_KERB)):
            arc = self.road.start + 2.0
            while arc < self.road.end - 12.0:
                width = float(rng.choice([8.0, 10.0, 12.0]))
                height = float(rng.choice([6.6, 9.6, 12.6]))
                wall = WALLS[int(rng.integers(len(WALLS)))]
                setback = PAVEMENT_WIDTH + float(rng.choice([0.6, 1.6, 3.0]))
                house = shapes.house(width, 9.0, height, wall, int(rng.integers(4)))
                self._stand(house, arc + width / 2.0, kerb + side * setback,
                            0.0 if side > 0 else np.pi)
                arc += width + float(rng.choice([0.6, 0.6, 5.0, 9.0]))
            for arc in np.arange(self.road.start, self.road.end, 24.0):
                wall = WALLS[int(rng.integers(len(WALLS)))]
                house = shapes.house(20.0, 12.0, float(rng.choice([9.6, 15.6])), wall, 1)
                self._stand(house, arc + 10.0, kerb + side * BACK_ROW, 0.0 if side > 0 else np.pi)

    def _add_street_furniture(self, crossings: tuple[float, ...], rng: np.random.Generator
                              ) -> None:
        """Trees and lamps near the kerbs."""
        for side, kerb in ((1.0, LEFT_KERB), (-1.0, RIGHT_KERB)):
            for index, arc in enumerate(np.arange(self.road.start + 4.0, self.road.end, 8.5)):
                place = arc + rng.uniform(-1.0, 1.0)
                if any(abs(place - crossing) < 4.0 for crossing in crossings):
                    continue
                if index % 3 == 0:
                    self._stand(shapes.lamp_post(), place, kerb + side * 0.6,
                                np.pi if side > 0 else 0.0)
                elif rng.random() < 0.75:
                    tree = shapes.tree(rng.uniform(5.0, 7.0), rng.uniform(1.3, 1.9), rng)
                    self._stand(tree, place, kerb + side * 0.9, rng.uniform(-3.0, 3.0))

    def _add_parked_cars(self, crossings: tuple[float, ...], rng: np.random.Generator) -> None:
        for lateral, turn in ((RIGHT_KERB + 1.15, 0.0), (LEFT_KERB - 1.15, np.pi)):
            for arc in np.arange(self.road.start + 3.0, self.road.end, 6.0):
                is_clear = all(abs(arc - crossing) > 6.5 for crossing in crossings)
                if is_clear and rng.random() < 0.55:
                    self._stand(shapes.car(self._paint(rng)), arc + rng.uniform(-0.3, 0.3),
                                lateral + rng.uniform(-0.08, 0.08), turn + rng.normal(0.0, 0.015))

    def _add_traffic(self, seconds: float, rng: np.random.Generator) -> None:
        """Add the car ahead and a stream of oncoming cars."""
        lead = SpeedProfile(lead=1.2)
        body = shapes.car(PAINTS[0])
        self._movers.append(Mover(lambda _: body, lambda time_s: self.road.poses(
            LEAD_GAP + lead.distance(time_s))))
        arc = 34.0
        while arc < self.road.end + 8.0 * seconds:
            self._movers.append(self._oncoming(arc, 7.6, self._paint(rng)))
            arc += float(rng.uniform(18.0, 34.0))

    def _oncoming(self, start: float, speed: float, paint: shapes.Colour) -> Mover:
        body = shapes.car(paint)

        def pose_at(time_s: float) -> np.ndarray:
            return self.road.poses(start - speed * time_s, LANE_WIDTH) + [0.0, 0.0, np.pi]

        return Mover(lambda _: body, pose_at)

    def _add_people(self, rng: np.random.Generator) -> None:
        for side, kerb in ((1.0, LEFT_KERB), (-1.0, RIGHT_KERB)):
            arc = -BEHIND / 2.0
            while arc < self.road.end:
                self._movers.append(self._walker(arc, kerb + side * rng.uniform(1.5, 2.7),
                                                 float(rng.choice([-1.0, 1.0])), rng))
                arc += float(rng.uniform(5.0, 16.0))

    def _walker(self, start: float, lateral: float, direction: float, rng: np.random.Generator
                ) -> Mover:
        shirt = CLOTHES[int(rng.integers(len(CLOTHES)))]
        trousers = ((70, 60, 50), (120, 90, 60), (50, 50, 52))[int(rng.integers(3))]
        speed, phase = float(rng.uniform(1.1, 1.6)), float(rng.uniform(0.0, 6.0))

        def solids_at(time_s: float) -> tuple[Solid, ...]:
            # Few strides, so that the figures can be kept.
            stride = round(4.0 * np.sin(5.5 * time_s + phase)) / 4.0
            return shapes.person(shirt, trousers, stride)

        def pose_at(time_s: float) -> np.ndarray:
            turn = 0.0 if direction > 0 else np.pi
            return (self.road.poses(start + direction * speed * time_s, lateral)
                    + [0.0, 0.0, turn])

        return Mover(solids_at, pose_at)

    @staticmethod
    def _paint(rng: np.random.Generator) -> shapes.Colour:
        return PAINTS[int(rng.integers(len(PAINTS)))]
