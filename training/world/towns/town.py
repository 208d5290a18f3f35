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
What a town consists of: streets, junctions and signals, and what stands beside them.

Metres in the map frame (x east, y north), on flat ground at z = 0. Ids are unique within a town
and become the map file's ``fid``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import enum

import numpy as np
import shapely


class TownError(ValueError):
    """Streets and junctions do not fit together; the sentence says which and why."""


class Turn(enum.Enum):
    """How a connector leaves the direction of its lane."""

    LEFT = 'left'
    STRAIGHT = 'straight'
    RIGHT = 'right'


class Control(enum.Enum):
    """Who may go first at a junction."""

    SIGNALS = 'signals'
    PRIORITY = 'priority'
    ROUNDABOUT = 'roundabout'
    MERGE = 'merge'


@dataclass(frozen=True, eq=False)
class TownLane:
    """
    A lane, or a connector through a junction.

    ``baseline`` [M, 2] in driving direction, points about a metre apart in bends; ``width`` m;
    ``speed_limit`` m/s or None; ``group`` the id of the roadblock (of the roadblock connector);
    ``incoming`` and ``outgoing`` ids of connectors (of a lane) or lanes (of a connector). Of a
    lane, ``index`` counts from the left and ``left`` and ``right`` name the neighbours in the same
    direction; of a connector, ``turn``, ``junction`` and, with signals, ``phase`` in which it is
    green.
    """

    fid: int
    is_connector: bool
    group: int
    baseline: np.ndarray
    width: float
    speed_limit: float | None
    incoming: tuple[int, ...]
    outgoing: tuple[int, ...]
    index: int = 0
    left: int | None = None
    right: int | None = None
    turn: Turn | None = None
    junction: int | None = None
    phase: int | None = None


@dataclass(frozen=True, eq=False)
class Junction:
    """
    Where lanes meet; ``polygon`` is its drivable area.

    ``phases`` seconds of green of each signal phase, empty without signals, with ``clearance``
    seconds of all red after each; ``yields_to`` connector id -> ids of the connectors whose
    traffic goes first.
    """

    fid: int
    polygon: shapely.Polygon
    control: Control
    phases: tuple[float, ...] = ()
    clearance: float = 2.0
    offset: float = 0.0
    yields_to: Mapping[int, tuple[int, ...]] = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Parking:
    """A place to park at: ``pose`` [3] of the car's centre; beside the road or in a car park."""

    pose: np.ndarray
    at_kerb: bool


@dataclass(frozen=True, eq=False)
class Crossing:
    """A crosswalk: ``polygon``, and the walking line [2, 2] from kerb to kerb."""

    fid: int
    polygon: shapely.Polygon
    line: np.ndarray
    connectors: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class SignalHead:
    """A traffic light: where it hangs, which way it shows (heading), and for which connectors."""

    position: np.ndarray
    heading: float
    connectors: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Marking:
    """A painted line [M, 2] on the road: dashed or solid, white or yellow, ``width`` m."""

    line: np.ndarray
    dashed: bool
    yellow: bool
    width: float


@dataclass(frozen=True, eq=False)
class Building:
    """A block of ``footprint`` [4, 2] and ``height`` m, in one of the town's wall colours."""

    footprint: np.ndarray
    height: float
    colour: int


@dataclass(frozen=True, eq=False)
class Plant:
    """A tree or a bush at ``position`` [2]: ``trunk`` m of bare stem, crown of ``radius`` m."""

    position: np.ndarray
    trunk: float
    radius: float
    colour: int


@dataclass(frozen=True, eq=False)
class Town:
    """
    Everything that does not move.

    ``city`` of whose map it is a part, ``centre`` [2] its middle there; ``groups`` id -> polygon
    and ``group_connectors`` id -> polygon, the groups it leads from and to, its junction; the
    polygons of lanes and connectors are their baselines at their width. ``stops`` id -> polygon
    before a stop line, connectors that begin there. ``asphalt`` is everything paved for vehicles:
    lanes, junctions, car parks, parking strips and gutters. ``walks`` polylines [M, 2] along which
    people walk, closed where the last point is the first; ``poles`` [N, 3] x, y, height of lamps.
    """

    seed: int
    city: str
    centre: np.ndarray
    lanes: Mapping[int, TownLane]
    groups: Mapping[int, shapely.Polygon]
    group_connectors: Mapping[int, tuple[shapely.Polygon, int, int, int]]
    junctions: Mapping[int, Junction]
    car_parks: Mapping[int, shapely.Polygon]
    walkways: Mapping[int, shapely.Polygon]
    crossings: Mapping[int, Crossing]
    stops: Mapping[int, tuple[shapely.Polygon, tuple[int, ...]]]
    lane_polygons: Mapping[int, shapely.Polygon]
    asphalt: shapely.MultiPolygon
    parking: tuple[Parking, ...]
    walks: tuple[np.ndarray, ...]
    signal_heads: tuple[SignalHead, ...]
    markings: tuple[Marking, ...]
    buildings: tuple[Building, ...]
    plants: tuple[Plant, ...]
    poles: np.ndarray
