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

"""A drive through a town: what the simulation yields, and what sensors and logs are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

STEP_S = 0.1


@dataclass(frozen=True, eq=False)
class Actor:
    """
    Something with a box that may move.

    ``kind`` of the score's ``ObjectType``; ``size`` [3] length, width, height; ``model`` and
    ``colour`` choose the look (sedan, van, truck, bus; clothes); ``token`` 16 hex digits.
    """

    token: str
    kind: int
    size: np.ndarray
    model: int
    colour: int


@dataclass(frozen=True, eq=False)
class Drive:
    """
    T steps of 0.1 s of one ego drive; step 0 is at ``start_us``.

    ``ego`` [T, 7] x, y, heading of the rear axle, vx, vy, ax, ay in the body frame; ``route`` ids
    of roadblocks and roadblock connectors in order, from where the ego begins to beyond where it
    ends; ``poses`` [T, N, 3] x, y, heading of the centre, ``velocity`` [T, N, 2] m/s in the map
    frame and ``present`` [T, N] of the actors; ``braking`` [T, N] and ``blinking`` [T, N] (-1
    right, 0, 1 left) of vehicles; ``red`` connector id -> [T] whether its signal is red (yellow
    counts as red in its last second); ``driver`` a number of the driver, different from drive to
    drive.
    """

    town_seed: int
    driver: int
    start_us: int
    ego: np.ndarray
    route: tuple[int, ...]
    actors: tuple[Actor, ...]
    poses: np.ndarray
    velocity: np.ndarray
    present: np.ndarray
    braking: np.ndarray
    blinking: np.ndarray
    red: Mapping[int, np.ndarray]
