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
Scoring of proposals among themselves, as PDM-Closed does to choose one.

Unlike plans, proposals are poses every 0.1 s, and their progress is normalised with the best of
all of them; otherwise the rules are those of the score.
"""

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.scoring.kernels import COMFORT, LK, PROGRESS, TTC
from pair_drive_ros.scoring.preparation import drive_paths, GATES, prepare_arrays
from pair_drive_ros.scoring.progress import MIN_PROGRESS_M
from pair_drive_ros.scoring.protocol import POSES, Protocol
from pair_drive_ros.scoring.scene import Scene, SceneError


@dataclass(frozen=True)
class ProposalScores:
    """``total`` [K] and the simulated ``states`` [K, 41, 11], positions relative to the ego."""

    total: np.ndarray
    states: np.ndarray


def score_proposals(proposals: np.ndarray, scene: Scene, protocol: Protocol) -> ProposalScores:
    """
    Drive and score K proposals [K, 41, 3] of the global frame.

    In version 2 EC has no part, nor has history comfort where the scene has no history.

    :raises SceneError: on another shape, or when the scene does not fit the protocol
    """
    if proposals.shape[1:] != (POSES, 3):
        raise SceneError(f'proposals: expected [K, {POSES}, 3], got {list(proposals.shape)}')
    arrays = prepare_arrays(scene, protocol, np.float64)
    work = drive_paths(arrays, proposals - [*scene.ego[:2], 0.0], protocol)
    values = work.values
    gate = values[:, GATES[protocol]].prod(axis=1)
    raw = values[:, PROGRESS]
    best = (raw * gate).max(initial=0.0)
    if protocol is Protocol.NAVSIM_V1:
        progress = raw * gate / best if best > MIN_PROGRESS_M else np.sign(gate)
        weighted = 5.0 * progress + 5.0 * values[:, TTC] + 2.0 * values[:, COMFORT]
        total = gate * weighted / 12.0
    else:
        progress = np.clip(raw / best, 0.0, 1.0) if best > MIN_PROGRESS_M else 1.0
        weighted = (5.0 * progress + 5.0 * values[:, TTC] + 2.0 * values[:, LK]
                    + 2.0 * values[:, COMFORT])
        total = gate * weighted / 14.0
    return ProposalScores(total, work.states)
