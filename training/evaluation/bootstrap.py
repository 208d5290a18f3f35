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

"""Means over scenes and how sure they are: the bootstrap, by logs where there are enough."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
SEED = 0
COVERAGE_PERCENT = 95.0
# Scenes of a log resemble each other, so whole logs are drawn; a handful would say nothing.
MIN_LOGS = 10


@dataclass(frozen=True)
class Clusters:
    """
    What is drawn together: ``unit`` names it, ``index`` [N] says to which each scene belongs.

    ``count`` clusters are drawn at a time.
    """

    unit: str
    index: np.ndarray
    count: int


def clusters_of(log_names: Sequence[str]) -> Clusters:
    """Draw logs where the N scenes come from 10 or more of them, else scenes."""
    logs, index = np.unique(np.array(log_names, dtype=str), return_inverse=True)
    if len(logs) >= MIN_LOGS:
        return Clusters('logs', index, len(logs))
    return Clusters('scenes', np.arange(len(log_names)), len(log_names))


def mean_intervals(values: np.ndarray, clusters: Clusters) -> np.ndarray:
    """
    Mean of each column with its bootstrap interval: [3, C] mean, low, high.

    Percentile bootstrap with 1000 draws of a fixed seed, 95 % coverage. NaN marks what is not
    defined and counts nowhere; a column without any number gives NaN.

    :param values: [N, C] of N scenes
    """
    known = np.isfinite(values)
    sums, counts = (np.zeros((clusters.count, values.shape[1])) for _ in range(2))
    np.add.at(sums, clusters.index, np.where(known, values, 0.0))
    np.add.at(counts, clusters.index, known)
    random = np.random.default_rng(SEED)
    drawn = np.empty((DRAWS + 1, values.shape[1]))
    drawn[0] = _ratio(sums.sum(axis=0), counts.sum(axis=0))
    for draw in range(1, DRAWS + 1):
        times = np.bincount(random.integers(clusters.count, size=clusters.count),
                            minlength=clusters.count)
        drawn[draw] = _ratio(times @ sums, times @ counts)
    result = np.full((3, values.shape[1]), np.nan)
    result[0] = drawn[0]
    tail = (100.0 - COVERAGE_PERCENT) / 2.0
    defined = known.any(axis=0)
    if defined.any():
        result[1:, defined] = np.nanpercentile(drawn[1:, defined], [tail, 100.0 - tail], axis=0)
    return result


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
