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

"""A hand-made scene: a straight road that crosses an intersection, for pictures and benchmarks."""

import numpy as np
from pair_drive_ros.scoring.protocol import Protocol, STEP_S
from pair_drive_ros.scoring.scene import (
    History,
    MapLayer,
    Objects,
    ObjectType,
    Polygons,
    Reference,
    Scene,
)

SPEED = 8.0
LANE_WIDTH = 3.5
TIME_US = 1_600_000_000_000_000


def example_scene(protocol: Protocol, objects: list[tuple] | None = None,
                  red: bool = False) -> Scene:
    """
    Scene of an ego at the origin driving along x at 8 m/s in the right of two lanes.

    The road runs from x = -40 to 25 m and on from 45 m; between lies the intersection. The lane
    to the left (y from 1.75 to 5.25 m) belongs to the oncoming traffic.

    :param objects: (kind, x, y, heading, speed, length, width) at constant velocity
    :param red: the connector through the intersection is red for all 4 s
    """
    right, left, far = -LANE_WIDTH / 2, LANE_WIDTH / 2, 1.5 * LANE_WIDTH
    rectangles = [
        (MapLayer.ROADBLOCK, False, -40.0, 25.0, right, left),
        (MapLayer.ROADBLOCK, False, -40.0, 25.0, left, far),
        (MapLayer.ROADBLOCK, False, 45.0, 120.0, right, left),
        (MapLayer.ROADBLOCK, False, 45.0, 120.0, left, far),
        (MapLayer.LANE, True, -40.0, 25.0, right, left),
        (MapLayer.LANE, False, -40.0, 25.0, left, far),
        (MapLayer.LANE, True, 45.0, 120.0, right, left),
        (MapLayer.LANE, False, 45.0, 120.0, left, far),
        (MapLayer.LANE_CONNECTOR, True, 25.0, 45.0, right, left),
        (MapLayer.LANE_CONNECTOR, False, 25.0, 45.0, left, far),
        (MapLayer.INTERSECTION, False, 25.0, 45.0, -10.0, 13.5),
    ]
    times_s = STEP_S * np.arange(51)
    reference = np.stack([SPEED * times_s, 0 * times_s, 0 * times_s], axis=-1)
    motion = np.tile([0.0, SPEED, 0.0, 0.0, 0.0], (4, 1))
    red_rectangles = [(25.0, 45.0, right, left)] if red else []
    return Scene(
        name='example', ego=np.array([0.0, 0.0, 0.0, SPEED, 0.0, 0.0, 0.0]), time_us=TIME_US,
        polygons=_rectangles([rectangle[2:] for rectangle in rectangles]),
        layers=np.array([rectangle[0] for rectangle in rectangles]),
        on_route=np.array([rectangle[1] for rectangle in rectangles]),
        centreline=np.stack([np.arange(-40.0, 121.0), np.zeros(161)], axis=-1),
        objects=_objects(objects or [], protocol.object_steps),
        reference=Reference(TIME_US + 100_000 * np.arange(51), reference),
        red=_rectangles(red_rectangles), red_on=np.ones((41, len(red_rectangles)), bool),
        history=History(TIME_US + 500_000 * np.arange(-3, 1), motion),
        human=np.array([[SPEED * 0.5 * k, 0.0, 0.0] for k in range(1, 9)]))


def parked_row(count: int) -> list[tuple]:
    """Cars parked beside the road, alternately left and right, 6 m apart."""
    return [(ObjectType.VEHICLE, -30.0 + 3.0 * n, 7.0 if n % 2 else -4.0, 0.0, 0.0, 4.5, 1.9)
            for n in range(count)]


def example_plans(count: int) -> np.ndarray:
    """Plans [K, 8, 3] that fan out to both sides at different speeds."""
    ahead = 0.5 * np.arange(1, 9)
    speed = np.linspace(2.0, 12.0, count)[:, None]
    bend = 0.02 * np.sin(np.arange(count))[:, None]
    heading = bend * speed * ahead
    return np.stack([speed * ahead, 0.5 * heading * speed * ahead, heading], axis=-1)


def _rectangles(bounds: list[tuple]) -> Polygons:
    rings = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)] for x0, x1, y0, y1 in bounds]
    return Polygons(len(rings), np.array(rings, float).reshape(-1, 2),
                    5 * np.arange(len(rings) + 1), np.arange(len(rings)))


def _objects(objects: list[tuple], steps: int) -> Objects:
    table = np.array(objects, float).reshape(-1, 7)
    heading, speed = table[:, 3], table[:, 4]
    velocity = np.stack([speed * np.cos(heading), speed * np.sin(heading)], axis=-1)
    travelled = STEP_S * np.arange(steps)[:, None, None] * velocity
    headings = np.broadcast_to(heading[:, None], (steps, len(table), 1))
    return Objects(kind=table[:, 0].astype(int), size=table[:, 5:],
                   boxes=np.concatenate([table[:, 1:3] + travelled, headings], axis=-1),
                   velocity=np.broadcast_to(velocity, (steps, len(table), 2)),
                   seen=np.ones((steps, len(table)), bool))
