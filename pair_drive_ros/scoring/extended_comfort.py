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
EC, extended comfort (version 2): two consecutive plans of one log agree where they overlap.

Each plan is simulated from the logged state of its own frame.
"""

import math

import numpy as np
from pair_drive_ros.scoring.arrays import ExtendedComfortFilters, Work
from pair_drive_ros.scoring.comfort import MAGNITUDE, unwrap, YAW
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.savgol import filter_table, savgol
from pair_drive_ros.scoring.state import AX, AY, HEADING

MAX_ACCELERATION_RMS = 0.7
MAX_JERK_RMS = 0.5
MAX_YAW_RATE_RMS = 0.1
MAX_YAW_ACCELERATION_RMS = 0.1
MAX_FRAME_GAP_S = 0.55

# Rows of the scratch memory for the four filtered quantities.
ACCELERATION, JERK, YAW_RATE, YAW_ACCELERATION = range(4, 8)


def extended_comfort_filters() -> ExtendedComfortFilters:
    """Tabulate the filters of EC."""
    return ExtendedComfortFilters(filter_table(8, 2, 0), filter_table(15, 2, 1),
                                  filter_table(5, 2, 1), filter_table(5, 2, 2))


@device
def extract(filters: ExtendedComfortFilters, states: np.ndarray, scratch: np.ndarray, i: int,
            first: int, samples: int) -> None:
    """Fill the four quantities of ``states[i, first:first + samples]``."""
    for n in range(samples):
        scratch[i, MAGNITUDE, n] = math.hypot(states[i, first + n, AX], states[i, first + n, AY])
        scratch[i, YAW, n] = states[i, first + n, HEADING]
    unwrap(scratch, i, YAW, samples)
    savgol(filters.acceleration, scratch, i, MAGNITUDE, ACCELERATION, samples)
    savgol(filters.jerk, scratch, i, ACCELERATION, JERK, samples)
    savgol(filters.yaw_rate, scratch, i, YAW, YAW_RATE, samples)
    savgol(filters.yaw_acceleration, scratch, i, YAW, YAW_ACCELERATION, samples)


@device
def rms_difference(scratch: np.ndarray, other: np.ndarray, i: int, row: int,
                   samples: int) -> float:
    """Root mean square of the difference of one row of two scratch memories."""
    total = 0.0
    for n in range(samples):
        difference = scratch[i, row, n] - other[i, row, n]
        total += difference * difference
    return (total / samples) ** 0.5


@device
def extended_comfort(filters: ExtendedComfortFilters, work: Work, previous: Work, i: int,
                     overlap_start: int) -> float:
    """EC of plan ``i`` and of the plan made ``overlap_start`` steps earlier."""
    samples = POSES - overlap_start
    extract(filters, work.states, work.scratch, i, 0, samples)
    extract(filters, previous.states, previous.scratch, i, overlap_start, samples)
    now, then = work.scratch, previous.scratch
    if (rms_difference(now, then, i, ACCELERATION, samples) <= MAX_ACCELERATION_RMS
            and rms_difference(now, then, i, JERK, samples) <= MAX_JERK_RMS
            and rms_difference(now, then, i, YAW_RATE, samples) <= MAX_YAW_RATE_RMS
            and rms_difference(now, then, i, YAW_ACCELERATION, samples)
            <= MAX_YAW_ACCELERATION_RMS):
        return 1.0
    return 0.0
