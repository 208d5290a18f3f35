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

"""Compare a file of official numbers with ours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring import pdm_score, pdm_trace, Protocol, ScoringScenes
from pair_drive_ros.scoring.ego_areas import MULTIPLE_LANES, NON_DRIVABLE, ONCOMING
from pair_drive_ros.scoring.scene_file import SceneFile, v1_table, v2_table


@dataclass
class Comparison:
    """Differences of one scene: counts of discrete values, largest errors of the others."""

    discrete: int
    continuous: float
    states: float
    flags: int
    events: int


def compare(file: SceneFile, key: str, protocol: Protocol) -> Comparison:
    """Score every plan of a scene and compare scores, states, flags and events."""
    version = f'v{protocol.version}'
    scene = file.scene(key, protocol)
    scenes = ScoringScenes.prepare([scene], protocol)
    plans, previous = file.plans(key)[None], file.previous_plans(key)[None]
    unfiltered = pdm_score(plans, scenes, protocol, previous_plans=previous, human_filter=False)
    if protocol is Protocol.NAVSIM_V1:
        pairs = [(v1_table(unfiltered), file.read(key, 'v1/scores'), [2, 6])]
    else:
        filtered = pdm_score(plans, scenes, protocol, previous_plans=previous)
        pairs = [(v2_table(unfiltered, unfiltered), file.read(key, 'v2/scores_unfiltered'),
                  [4, 9, 11, 12]),
                 (v2_table(filtered, unfiltered), file.read(key, 'v2/scores_filtered'),
                  [4, 9, 11, 12])]
    discrete, continuous = 0, 0.0
    for ours, official, columns in pairs:
        error = np.abs(ours[0] - official)
        assert not np.isnan(error).any()
        continuous = max(continuous, error[:, columns].max())
        discrete += int((np.delete(error, columns, axis=1) != 0.0).sum())
    trace = pdm_trace(plans, scenes, protocol)
    areas = file.read(key, f'{version}/ego_areas')[1:]
    flags = sum(int((((trace.areas[0] & bit) > 0) != areas[..., column]).sum())
                for column, bit in enumerate((MULTIPLE_LANES, NON_DRIVABLE, ONCOMING)))
    events = int((trace.collision_step[0] != file.read(key, f'{version}/collision_idx')[1:]).sum()
                 + (trace.ttc_step[0] != file.read(key, f'{version}/ttc_idx')[1:]).sum())
    states = 0.0
    if file.has(key, f'{version}/sim'):
        states = states_error(trace.states[0], file.read(key, f'{version}/sim'), scene.ego)
    return Comparison(discrete, continuous, states, flags, events)


def states_error(states: np.ndarray, official: np.ndarray, ego: np.ndarray) -> float:
    """Return the largest error over the official states, which begin with the reference."""
    states = states[:len(official) - 1].copy()
    states[..., :2] += ego[:2]
    return float(np.abs(states - official[1:]).max())


def assert_equal(path: Path, protocol: Protocol) -> None:
    """Assert that every scene of the file has the official numbers."""
    with SceneFile(path) as file:
        results = {key: compare(file, key, protocol) for key in file.keys}
    different = {key: result for key, result in results.items()
                 if result.discrete or result.flags or result.events
                 or result.continuous > 1e-6 or result.states > 1e-6}
    assert results
    assert different == {}
