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
Two-stage aggregation of version 2 (navhard): pseudo closed loop over synthetic follow-up scenes.

A first-stage plan leads somewhere; the second-stage scenes that start near that place count most.
"""

import numpy as np

VARIANCE = 0.1


def follow_up_weights(endpoint: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """
    Weights [M], adding up to 1, of second-stage scenes.

    :param endpoint: [2] last *planned* (not simulated) position of the first-stage plan, m
    :param starts: [M, 2] rear-axle positions that the second-stage scenes start from, m
    :return: a Gaussian of variance 0.1 of the distance, uniform when no scene is near
    """
    weights = np.exp(-((starts - endpoint) ** 2).sum(axis=-1) / (2.0 * VARIANCE))
    total = weights.sum()
    if np.isclose(total, 0.0):
        return np.full(len(starts), 1.0 / len(starts))
    return weights / total


def group_score(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Scores [C] of a first stage times the weighted mean of its second stages [M, C]."""
    return first * (weights @ second)


def two_stage_score(now_groups: np.ndarray, previous_groups: np.ndarray) -> np.ndarray:
    """
    Average the groups [E, C] of all mapping entries into final columns [C].

    Each entry has a group for its frame and one for the frame before, averaged with equal weight.
    """
    return (0.5 * (now_groups + previous_groups)).mean(axis=0)
