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
From sub-scores to PDMS and EPDMS.

The functions are plain arithmetic and take numpy arrays and torch tensors alike.
"""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.sub_scores import Array, SubScores

# Sub-scores that the human penalty filter may forgive, in the order of the human's own scores.
FILTERED = ('nc', 'dac', 'ddc', 'tlc', 'ep', 'ttc', 'lk', 'comfort')


def multiplier(scores: SubScores) -> Array:
    """Product of the sub-scores that gate the total."""
    if scores.protocol is Protocol.NAVSIM_V1:
        return scores.nc * scores.dac
    return scores.nc * scores.dac * scores.ddc * scores.tlc


def pdms(scores: SubScores) -> Array:
    """Aggregate version 1: NC DAC (5 EP + 5 TTC + 2 C) / 12; DDC has weight 0."""
    weighted = 5.0 * scores.ep + 5.0 * scores.ttc + 2.0 * scores.comfort
    return multiplier(scores) * weighted / 12.0


def epdms_without_extended_comfort(scores: SubScores) -> Array:
    """Aggregate version 2 for a frame without predecessor: the weight of EC is dropped."""
    weighted = 5.0 * scores.ep + 5.0 * scores.ttc + 2.0 * scores.lk + 2.0 * scores.comfort
    return multiplier(scores) * weighted / 14.0


def epdms(scores: SubScores) -> Array:
    """Aggregate version 2: NC DAC DDC TLC (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16."""
    short = epdms_without_extended_comfort(scores)
    full = (14.0 * short + 2.0 * multiplier(scores) * scores.ec) / 16.0
    known = scores.ec == scores.ec
    return np.where(known, full, short) if isinstance(full, np.ndarray) else full.where(known,
                                                                                        short)


def human_penalty_filter(scores: SubScores, human: Array) -> SubScores:
    """
    Forgive what the human driver did too (version 2).

    Where a sub-score of the logged future is exactly 0 the plan's becomes 1. EP was normalised
    before and stays so; EC is never filtered.

    :param human: [B, 8] the human's NC DAC DDC TLC EP TTC LK HC
    """
    filtered = {}
    for column, name in enumerate(FILTERED):
        forgiven = (human[:, column, None] == 0.0) * 1.0
        filtered[name] = getattr(scores, name) * (1.0 - forgiven) + forgiven
    scores = replace(scores, **filtered)
    return replace(scores, total=epdms(scores))
