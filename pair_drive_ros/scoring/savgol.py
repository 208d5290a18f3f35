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
Savitzky-Golay filters as small constant tables.

The ends are read from the polynomial of the first or last window. An even window is evaluated
half a sample late (sic): one window of the devkits is 8 samples long.
"""

from functools import cache
import math

import numpy as np
from pair_drive_ros.scoring.compile import device
from pair_drive_ros.scoring.protocol import STEP_S

DECIMALS = 1e8


@cache
def filter_table(window: int, order: int, derivative: int) -> np.ndarray:
    """
    Weights [2 * (window // 2) + 1, window] of a filter for samples 0.1 s apart.

    The first ``window // 2`` rows belong to the first samples, the middle row to all inner
    samples, the others to the last samples.
    """
    half = window // 2
    positions = np.concatenate([np.arange(half), [(window - 1) / 2],
                                np.arange(window - half, window)])
    powers = np.arange(order + 1)
    fit = np.linalg.pinv(np.arange(window)[:, None] ** powers.astype(float))
    factor = np.array([math.perm(power, derivative) for power in powers], dtype=float)
    exponent = np.maximum(powers - derivative, 0)
    return (factor * positions[:, None] ** exponent) @ fit / STEP_S ** derivative


@device
def savgol(table: np.ndarray, scratch: np.ndarray, i: int, source: int, target: int,
           samples: int) -> None:
    """Filter row ``source`` into row ``target`` of ``scratch[i]``, rounded to 8 decimals."""
    window = table.shape[1]
    half = window // 2
    for n in range(samples):
        if n < half:
            row, start = n, 0
        elif n < samples - half:
            row, start = half, n - (window - 1) // 2
        else:
            row, start = n - samples + 2 * half + 1, samples - window
        value = 0.0
        for k in range(window):
            value += table[row, k] * scratch[i, source, start + k]
        scratch[i, target, n] = math.floor(value * DECIMALS + 0.5) / DECIMALS
