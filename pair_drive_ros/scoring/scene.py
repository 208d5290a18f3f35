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

"""One scene to score plans in, as plain arrays of the global frame."""

from dataclasses import dataclass
import enum

import numpy as np
from pair_drive_ros.scoring.protocol import PLAN_POSES, POSES


class SceneError(ValueError):
    """A scene cannot be scored: arrays of the wrong shape, not finite, or of another protocol."""


class MapLayer(enum.IntEnum):
    """nuPlan's map layers that a scene may hold."""

    LANE = 0
    INTERSECTION = 1
    DRIVABLE_AREA = 5
    LANE_CONNECTOR = 11
    CARPARK_AREA = 15
    ROADBLOCK = 17


class ObjectType(enum.IntEnum):
    """nuPlan's tracked object types; from TRAFFIC_CONE to GENERIC_OBJECT they are static."""

    VEHICLE = 0
    PEDESTRIAN = 1
    BICYCLE = 2
    TRAFFIC_CONE = 3
    BARRIER = 4
    CZONE_SIGN = 5
    GENERIC_OBJECT = 6
    EGO = 7


@dataclass(frozen=True)
class Polygons:
    """
    P polygons as closed rings in one list of vertices.

    ``xy`` [V, 2] metres; ring r is ``xy[ring_offset[r]:ring_offset[r + 1]]`` and belongs to
    polygon ``ring_polygon[r]``, ascending. Holes and further parts are rings like any other.
    """

    count: int
    xy: np.ndarray
    ring_offset: np.ndarray
    ring_polygon: np.ndarray

    def __post_init__(self) -> None:
        rings = len(self.ring_polygon)
        _check('polygon vertices', self.xy, (len(self.xy), 2))
        if len(self.ring_offset) != rings + 1 or self.ring_offset[-1] != len(self.xy):
            raise SceneError(f'polygons: {rings} rings need {rings + 1} offsets ending at the '
                             f'number of vertices {len(self.xy)}')
        if rings and (np.any(np.diff(self.ring_polygon) < 0) or self.ring_polygon[0] < 0
                      or self.ring_polygon[-1] >= self.count):
            raise SceneError(f'polygons: ring_polygon must ascend within 0..{self.count - 1}')


@dataclass(frozen=True)
class Objects:
    """
    N tracked objects at T steps of 0.1 s, the first step being now.

    ``kind`` [N] of :class:`ObjectType`; ``size`` [N, 2] length and width at the first sighting, m;
    ``boxes`` [T, N, 3] x, y, heading of the box centre; ``velocity`` [T, N, 2] m/s, of which only
    the first sighting is ever read (sic); ``seen`` [T, N]: in the scene at that step.
    """

    kind: np.ndarray
    size: np.ndarray
    boxes: np.ndarray
    velocity: np.ndarray
    seen: np.ndarray

    def __post_init__(self) -> None:
        count, steps = len(self.kind), len(self.boxes)
        _check('object sizes', self.size, (count, 2))
        if self.seen.shape != (steps, count):
            raise SceneError(f'objects: seen is {list(self.seen.shape)}, expected '
                             f'{[steps, count]}')
        # Where an object is not seen its numbers mean nothing and may be NaN.
        for name, values, width in (('boxes', self.boxes, 3), ('velocity', self.velocity, 2)):
            _check(f'object {name}', np.where(self.seen[..., None], values, 0.0),
                   (steps, count, width))


@dataclass(frozen=True)
class Reference:
    """PDM-Closed's trajectory: epoch ``times_us`` [R] and rear-axle ``poses`` [R, 3]."""

    times_us: np.ndarray
    poses: np.ndarray

    def __post_init__(self) -> None:
        _check('reference poses', self.poses, (len(self.times_us), 3))
        if len(self.times_us) < 2 or np.any(np.diff(self.times_us) <= 0):
            raise SceneError('reference: needs two or more poses at ascending times')


@dataclass(frozen=True)
class History:
    """
    The last four logged frames, 0.5 s apart, the last being now.

    Epoch ``times_us`` [4]; ``motion`` [4, 5] heading rad, vx, vy m/s, ax, ay m/s^2 (body frame).
    """

    times_us: np.ndarray
    motion: np.ndarray

    def __post_init__(self) -> None:
        _check('history', self.motion, (4, 5))
        if len(self.times_us) != 4 or np.any(np.diff(self.times_us) <= 0):
            raise SceneError('history: needs four frames at ascending times')


@dataclass(frozen=True)
class Scene:
    """
    Everything one protocol's score of a plan depends on.

    ``ego`` [7] x, y, heading of the rear axle, vx, vy, ax, ay in the body frame; ``time_us`` epoch
    time of now; ``polygons`` with ``layers`` [P] of :class:`MapLayer` and ``on_route`` [P] (lanes
    and connectors of PDM-Closed's corrected route); ``centreline`` [M, 2]; ``objects`` over 51
    (version 1) or 41 (version 2) steps; ``reference`` PDM-Closed's trajectory, None only where
    the scene serves to find it.

    Version 2 only: ``red`` polygons of red connectors with ``red_on`` [41, R]; ``history`` (None:
    HC is 1 and EC undefined); ``human`` [8, 3], the logged future in the ego frame (None: nothing
    is filtered).
    """

    name: str
    ego: np.ndarray
    time_us: int
    polygons: Polygons
    layers: np.ndarray
    on_route: np.ndarray
    centreline: np.ndarray
    objects: Objects
    reference: Reference | None
    red: Polygons | None = None
    red_on: np.ndarray | None = None
    history: History | None = None
    human: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check(f'{self.name}: ego', self.ego, (7,))
        _check(f'{self.name}: centreline', self.centreline, (len(self.centreline), 2))
        if len(self.centreline) < 2:
            raise SceneError(f'{self.name}: the centreline needs two or more points')
        for name, values in (('layers', self.layers), ('on_route', self.on_route)):
            if values.shape != (self.polygons.count,):
                raise SceneError(f'{self.name}: {name} is {list(values.shape)}, expected '
                                 f'{[self.polygons.count]}')
        if self.red is not None and (self.red_on is None
                                     or self.red_on.shape != (POSES, self.red.count)):
            raise SceneError(f'{self.name}: red_on must be [{POSES}, {self.red.count}]')
        if self.human is not None:
            _check(f'{self.name}: human', self.human, (PLAN_POSES, 3))


def _check(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise SceneError(f'{name}: expected shape {list(shape)}, got {list(values.shape)}')
    if not np.all(np.isfinite(values)):
        raise SceneError(f'{name}: not finite')
