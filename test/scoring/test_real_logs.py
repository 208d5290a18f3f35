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

"""Real Argoverse 2 logs: the human's own drive must be free of collisions and on the road."""

import numpy as np
from pair_drive_ros.scoring import pdm_score, ScoringScenes
import pytest
from scoring.av2 import Log

LOGS = ('sensor_dataset_logs/adcf7d18-0510-35b0-a2fa-b4cea13a6d76',
        'sensor/val/7fab2350-7eaf-3b7e-a39d-6937a4c1bede',
        'scenario_mining/data/3b3570b4-7b0b-3268-a571-b0889dbf40b6')


@pytest.mark.shared_data
@pytest.mark.parametrize('folder', LOGS)
def test_the_human_is_never_at_fault(shared_data, folder, protocol):
    log = Log(shared_data / '05_av2_logs_maps' / folder)
    frames = range(15, len(log.ego) - 61)
    scenes = ScoringScenes.prepare([log.scene(frame, protocol) for frame in frames], protocol)
    plans = np.stack([log.human_plan(frame)[None] for frame in frames])
    scores = pdm_score(plans, scenes, protocol, human_filter=False)
    assert len(frames) >= 80
    assert scores.nc.min() == 1.0
    assert scores.dac.min() == 1.0
    assert scores.ep.min() > 0.9
    # The same log punishes driving off to either side at speed.
    away = np.stack([fan(angle) for angle in (-1.0, 1.0)])
    swerved = pdm_score(np.stack([away] * len(frames)), scenes, protocol, human_filter=False)
    assert (swerved.nc * swerved.dac).min(axis=1).max() < 1.0


def fan(angle: float) -> np.ndarray:
    """Plan [8, 3] at 15 m/s in a straight line off to one side."""
    ahead = 7.5 * np.arange(1, 9)
    return np.stack([ahead * np.cos(angle), ahead * np.sin(angle), np.full(8, angle)], axis=-1)
