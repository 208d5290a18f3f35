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

"""Scenes taken out of a batch, and proposals scored among themselves."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import ObjectType, pdm_score, Protocol, SceneError, ScoringScenes
from pair_drive_ros.scoring.example import example_plans, example_scene, parked_row, SPEED
from pair_drive_ros.scoring.proposals import score_proposals
import pytest

TIME_S = 0.1 * np.arange(41)
BOTH = pytest.mark.parametrize('protocol', list(Protocol))


def straight(*speeds: float) -> np.ndarray:
    """Proposals [K, 41, 3] along x at constant speeds."""
    return np.stack([np.stack([speed * TIME_S, 0 * TIME_S, 0 * TIME_S], axis=-1)
                     for speed in speeds])


def without_reference(protocol: Protocol, *objects: tuple):
    return replace(example_scene(protocol, list(objects)), reference=None)


@BOTH
def test_a_scene_taken_out_scores_like_the_batch(protocol):
    scenes = ScoringScenes.prepare(
        [example_scene(protocol, parked_row(count), red=count % 2 == 0) for count in (0, 7, 4)],
        protocol)
    plans = np.stack([example_plans(6)] * 3)
    together = pdm_score(plans, scenes, protocol)
    for index in range(3):
        alone = pdm_score(plans[:1], scenes.scene(index), protocol)
        np.testing.assert_array_equal(alone.total[0], together.total[index])
    again = ScoringScenes.concatenate([scenes.scene(index) for index in (0, 1, 2)], protocol)
    for name, array in again.arrays._asdict().items():
        np.testing.assert_array_equal(array, getattr(scenes.arrays, name), err_msg=name)


@BOTH
def test_the_best_proposal_is_the_norm_of_the_others(protocol):
    scene = without_reference(protocol)
    fast, slow = score_proposals(straight(SPEED, 0.5 * SPEED), scene, protocol).total
    alone = score_proposals(straight(0.5 * SPEED), scene, protocol).total[0]
    assert fast == pytest.approx(1.0)
    assert slow < alone == pytest.approx(1.0)


@BOTH
def test_a_proposal_that_hits_something_is_no_norm(protocol):
    ahead = (ObjectType.VEHICLE, 24.0, 0.0, 0.0, 0.0, 4.5, 1.9)
    scene = without_reference(protocol, ahead)
    hitting, careful = score_proposals(straight(SPEED, 2.0), scene, protocol).total
    assert hitting == 0.0
    assert careful > 0.8


@BOTH
def test_states_begin_at_the_ego(protocol):
    states = score_proposals(straight(SPEED), without_reference(protocol), protocol).states
    np.testing.assert_array_equal(states[0, 0, :4], [0.0, 0.0, 0.0, SPEED])
    assert states[0, -1, 0] == pytest.approx(4.0 * SPEED, abs=0.1)


def test_proposals_of_another_length_are_refused():
    with pytest.raises(SceneError, match=r'expected \[K, 41, 3\]'):
        score_proposals(np.zeros((2, 8, 3)), without_reference(Protocol.NAVSIM_V1),
                        Protocol.NAVSIM_V1)
