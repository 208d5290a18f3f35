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
HC, history comfort (version 2): comfort over 1.5 s of the past and the simulated drive.

The past ends at -0.1 s or, when its four frames span exactly 1.5 s, at -0.2 s (sic: the last
sample is dropped); the join is treated as evenly spaced either way.
"""

import math

import numpy as np
from pair_drive_ros.scoring.arrays import ComfortFilters, SceneArrays, Work
from pair_drive_ros.scoring.comfort import (
    comfort_parts,
    COMFORTABLE,
    LATERAL,
    LONGITUDINAL,
    MAGNITUDE,
    YAW,
)
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.interpolation import locate
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.savgol import filter_table
from pair_drive_ros.scoring.state import AX, AY, HEADING, YAW_ACCELERATION, YAW_RATE
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE

STEP_US = 100_000


def comfort_filters_v2() -> ComfortFilters:
    """Tabulate the filters of HC."""
    return ComfortFilters(filter_table(8, 2, 0), filter_table(8, 2, 0), filter_table(15, 2, 1),
                          filter_table(5, 3, 2), filter_table(5, 2, 1))


def sample_history(times_us: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """
    Past headings and accelerations [H, 3] every 0.1 s from logged frames.

    :param times_us: epoch times [4] of the frames, the last is now
    :param motion: heading, ax, ay [4, 3] of the frames
    """
    samples = np.arange(times_us[0], times_us[-1], STEP_US)[:-1]
    segment, fraction = locate(samples, times_us)
    motion = np.column_stack([np.unwrap(motion[:, 0]), motion[:, 1:]])
    return motion[segment] + fraction[:, None] * (motion[segment + 1] - motion[segment])


@device
def history_comfort(scene: SceneArrays, b: int, filters: ComfortFilters, work: Work,
                    i: int) -> float:
    """HC of plan ``i``; 1 when the scene has no history."""
    first = scene.history_offset[b]
    past = scene.history_offset[b + 1] - first
    if past == 0:
        return 1.0
    scratch = work.scratch
    for n in range(past):
        ax, ay = scene.history[first + n, 1], scene.history[first + n, 2]
        scratch[i, LONGITUDINAL, n] = ax
        scratch[i, LATERAL, n] = ay
        scratch[i, MAGNITUDE, n] = math.hypot(ax, ay)
        scratch[i, YAW, n] = scene.history[first + n, 0]
    for t in range(POSES):
        ax, ay = work.states[i, t, AX], work.states[i, t, AY]
        yaw_rate = work.states[i, t, YAW_RATE]
        # Meant as the shift from rear axle to centre, with wrong signs and axes (sic).
        shift = yaw_rate * yaw_rate + work.states[i, t, YAW_ACCELERATION]
        scratch[i, LONGITUDINAL, past + t] = ax + AXLE_TO_CENTRE * shift
        scratch[i, LATERAL, past + t] = ay
        scratch[i, MAGNITUDE, past + t] = math.hypot(ax, ay)
        scratch[i, YAW, past + t] = work.states[i, t, HEADING]
    parts = comfort_parts(filters, scratch, i, past + POSES)
    return 1.0 if parts == COMFORTABLE else 0.0
