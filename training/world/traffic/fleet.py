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

"""What the traffic consists of, as arrays over its members; the ego is vehicle 0."""

from typing import NamedTuple

import numpy as np

EGO = 0
# The lane behind, the present one and those ahead.
PATH_LANES = 8
BEHIND, HERE, NEXT = 0, 1, 2
NO_HOLD = 99


class Fleet(NamedTuple):
    """
    State of N vehicles and cyclists.

    ``path`` [N, 8] lanes from the one behind; ``s`` metres of the centre along the present lane
    and ``d`` beside it, drifting at ``slide`` m/s towards ``aim``; ``speed``, ``accel`` and the
    ``wish`` for it; ``pose`` [N, 3] of the centre. ``driven`` is false for parked vehicles,
    ``present`` for those that have left the town. ``hold_at`` the place in the path before which
    to stop, ``free_for`` s since the way was last taken, ``still_for`` s at standstill, ``leader``
    the object followed and ``passing`` whether something is swung round. ``lane_wish`` 1 left, -1
    right, 2 and -2 without regard for others, ``changed_for`` s since the last change of lane,
    ``want`` the group of connectors to leave the present lanes by, or -1. Until step
    ``moody_until`` the vehicle keeps to ``mood`` m/s. ``dice`` [N, R] decide at forks, ``rolls``
    of them so far.
    """

    path: np.ndarray
    s: np.ndarray
    d: np.ndarray
    slide: np.ndarray
    aim: np.ndarray
    speed: np.ndarray
    accel: np.ndarray
    wish: np.ndarray
    pose: np.ndarray
    driven: np.ndarray
    present: np.ndarray
    hold_at: np.ndarray
    free_for: np.ndarray
    still_for: np.ndarray
    leader: np.ndarray
    passing: np.ndarray
    lane_wish: np.ndarray
    changed_for: np.ndarray
    want: np.ndarray
    mood: np.ndarray
    moody_until: np.ndarray
    dice: np.ndarray
    rolls: np.ndarray


class Styles(NamedTuple):
    """
    How they drive, [N] each.

    ``length`` and ``width`` m; ``factor`` of the speed limit and ``top`` speed m/s; ``headway`` s,
    ``gap`` m to a standing leader; ``accelerate`` and ``brake`` m/s2 by choice, ``bend`` sideways;
    ``margin`` s before and behind others with priority, ``hesitation`` s before starting into a
    gap; ``late`` m/s2 needed before a red light makes one brake, ``yellow`` up to which one still
    stops; ``home`` m left of the lane's middle; ``clearance`` m beside what one swings round.
    """

    length: np.ndarray
    width: np.ndarray
    factor: np.ndarray
    top: np.ndarray
    headway: np.ndarray
    gap: np.ndarray
    accelerate: np.ndarray
    brake: np.ndarray
    bend: np.ndarray
    margin: np.ndarray
    hesitation: np.ndarray
    late: np.ndarray
    yellow: np.ndarray
    home: np.ndarray
    clearance: np.ndarray


class Seen(NamedTuple):
    """
    Boxes of everybody and everything, vehicles of the fleet first, as someone sees them.

    ``box`` [M, 5] x, y, heading, length, width; ``velocity`` [M, 2]; ``drift`` [M] m/s to its left
    at which a vehicle leaves its lane; ``present`` [M]; ``standing`` [M] what can be swung round:
    parked things, obstacles and cyclists; ``walker`` [M].
    """

    box: np.ndarray
    velocity: np.ndarray
    drift: np.ndarray
    present: np.ndarray
    standing: np.ndarray
    walker: np.ndarray


def empty_fleet(count: int, dice: np.ndarray) -> Fleet:
    """Make vehicles that are nowhere yet."""
    def zeros() -> np.ndarray:
        return np.zeros(count)

    return Fleet(
        np.full((count, PATH_LANES), -1), zeros(), zeros(), zeros(), zeros(), zeros(), zeros(),
        zeros(), np.zeros((count, 3)), np.zeros(count, bool), np.zeros(count, bool),
        np.full(count, NO_HOLD), zeros(), zeros(), np.full(count, -1), np.zeros(count, bool),
        np.zeros(count, np.int64), np.full(count, 99.0), np.full(count, -1), zeros(),
        np.full(count, -1), dice, np.zeros(count, np.int64))
