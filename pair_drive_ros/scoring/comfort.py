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
C, comfort (version 1): six quantities of the simulated drive stay within their bounds.

The length of the drive is handed on as the window of the filters, which therefore are one
parabola through all 41 samples; only the yaw filters and the inner acceleration filter of the
jerks keep their own windows, 5 and 8 (sic).
"""

import math

import numpy as np
from pair_drive_ros.scoring.arrays import ComfortFilters, Work
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.interpolation import TWO_PI
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.savgol import filter_table, savgol
from pair_drive_ros.scoring.state import AX, AY, HEADING

MIN_LONGITUDINAL_ACCELERATION = -4.05
MAX_LONGITUDINAL_ACCELERATION = 2.40
MAX_LATERAL_ACCELERATION = 4.89
MAX_JERK = 8.37
MAX_LONGITUDINAL_JERK = 4.13
MAX_YAW_ACCELERATION = 1.93
MAX_YAW_RATE = 0.95

# Parts of comfort, as bits in the devkits' order.
LONGITUDINAL_ACCELERATION, LATERAL_ACCELERATION, JERK, LONGITUDINAL_JERK = 1, 2, 4, 8
YAW_ACCELERATION, YAW_RATE = 16, 32
COMFORTABLE = 63

# Rows of the scratch memory.
LONGITUDINAL, LATERAL, MAGNITUDE, YAW, FILTERED, DERIVED = range(6)


def comfort_filters_v1() -> ComfortFilters:
    """Tabulate the filters of C."""
    return ComfortFilters(filter_table(POSES, 2, 0), filter_table(8, 2, 0),
                          filter_table(POSES, 2, 1), filter_table(5, 3, 2), filter_table(5, 2, 1))


@device
def within(scratch: np.ndarray, i: int, row: int, samples: int, low: float, high: float) -> bool:
    """Whether all samples lie strictly between the bounds."""
    inside = True
    for n in range(samples):
        inside = inside and low < scratch[i, row, n] < high
    return inside


@device
def unwrap(scratch: np.ndarray, i: int, row: int, samples: int) -> None:
    """Remove full turns between neighbouring headings in place."""
    turns = 0.0
    before = scratch[i, row, 0]
    for n in range(1, samples):
        heading = scratch[i, row, n]
        turns += math.floor((heading - before) / TWO_PI + 0.5)
        before = heading
        scratch[i, row, n] = heading - TWO_PI * turns


@device
def comfort_parts(filters: ComfortFilters, scratch: np.ndarray, i: int, samples: int) -> int:
    """Bits of the comfort parts that hold, from the first four rows of ``scratch[i]``."""
    parts = 0
    savgol(filters.acceleration, scratch, i, LONGITUDINAL, FILTERED, samples)
    if within(scratch, i, FILTERED, samples, MIN_LONGITUDINAL_ACCELERATION,
              MAX_LONGITUDINAL_ACCELERATION):
        parts |= LONGITUDINAL_ACCELERATION
    savgol(filters.acceleration, scratch, i, LATERAL, FILTERED, samples)
    if within(scratch, i, FILTERED, samples, -MAX_LATERAL_ACCELERATION,
              MAX_LATERAL_ACCELERATION):
        parts |= LATERAL_ACCELERATION
    savgol(filters.inner_acceleration, scratch, i, MAGNITUDE, FILTERED, samples)
    savgol(filters.jerk, scratch, i, FILTERED, DERIVED, samples)
    if within(scratch, i, DERIVED, samples, -MAX_JERK, MAX_JERK):
        parts |= JERK
    savgol(filters.inner_acceleration, scratch, i, LONGITUDINAL, FILTERED, samples)
    savgol(filters.jerk, scratch, i, FILTERED, DERIVED, samples)
    if within(scratch, i, DERIVED, samples, -MAX_LONGITUDINAL_JERK, MAX_LONGITUDINAL_JERK):
        parts |= LONGITUDINAL_JERK
    unwrap(scratch, i, YAW, samples)
    savgol(filters.yaw_acceleration, scratch, i, YAW, DERIVED, samples)
    if within(scratch, i, DERIVED, samples, -MAX_YAW_ACCELERATION, MAX_YAW_ACCELERATION):
        parts |= YAW_ACCELERATION
    savgol(filters.yaw_rate, scratch, i, YAW, DERIVED, samples)
    if within(scratch, i, DERIVED, samples, -MAX_YAW_RATE, MAX_YAW_RATE):
        parts |= YAW_RATE
    return parts


@device
def comfort_v1(filters: ComfortFilters, work: Work, i: int) -> int:
    """Bits of the comfort parts of plan ``i``; all of them make C = 1."""
    scratch = work.scratch
    for t in range(POSES):
        ax, ay = work.states[i, t, AX], work.states[i, t, AY]
        scratch[i, LONGITUDINAL, t] = ax
        scratch[i, LATERAL, t] = ay
        scratch[i, MAGNITUDE, t] = math.hypot(ax, ay)
        scratch[i, YAW, t] = work.states[i, t, HEADING]
    return comfort_parts(filters, scratch, i, POSES)
