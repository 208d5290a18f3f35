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

"""Parity with the official scorers."""


import numpy as np
from pair_drive_ros.scoring import pdm_score, Protocol, ScoringScenes
from pair_drive_ros.scoring.scene_file import SceneFile, v1_table, v2_table
from scoring.golden import assert_equal


def test_small_set_equals_the_official_scores(golden_small, protocol):
    assert_equal(golden_small, protocol)


def test_whole_set_equals_the_official_scores(shared_golden, protocol):
    assert_equal(shared_golden / 'golden_dev.npz', protocol)


def test_human_scores_are_the_official_ones(golden_small):
    with SceneFile(golden_small) as file:
        for key in file.keys:
            scene = file.scene(key, Protocol.NAVSIM_V2)
            scenes = ScoringScenes.prepare([scene], Protocol.NAVSIM_V2)
            official = file.read(key, 'v2/human_scores')[:8]
            assert scenes.arrays.human[0].tolist() == official.tolist()


def test_dense_scene_without_previous_plans(shared_golden, protocol):
    with SceneFile(shared_golden / 'dense_scene.npz') as file:
        scenes = ScoringScenes.prepare([file.scene('0000', protocol)], protocol)
        scores = pdm_score(file.plans('0000')[None], scenes, protocol)
        if protocol is Protocol.NAVSIM_V1:
            ours, official = v1_table(scores)[0], file.read('0000', 'v1/scores')
        else:
            # Column 9 is unfiltered, so it is not a function of the filtered sub-scores.
            ours = np.delete(v2_table(scores, scores)[0], 9, axis=1)
            official = np.delete(file.read('0000', 'v2/scores_filtered'), 9, axis=1)
    np.testing.assert_allclose(ours, official, rtol=0.0, atol=1e-6)
