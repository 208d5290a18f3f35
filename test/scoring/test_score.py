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

"""The scorer's interface: shapes, errors, tensors."""

import subprocess
import sys

import numpy as np
from pair_drive_ros.scoring import (
    kernels,
    pdm_score,
    PlanError,
    Protocol,
    SceneError,
    ScoringScenes,
)
from pair_drive_ros.scoring.example import example_plans, example_scene
import pytest
import torch


@pytest.fixture
def scenes():
    """Two prepared example scenes of version 2."""
    return ScoringScenes.prepare([example_scene(Protocol.NAVSIM_V2)] * 2, Protocol.NAVSIM_V2)


@pytest.fixture
def plans():
    """Five plans for each of two scenes."""
    return np.stack([example_plans(5)] * 2)


def test_a_plan_that_is_not_finite_is_named(scenes, plans):
    plans[1, 3, 2, 0] = np.nan
    with pytest.raises(PlanError, match='scene example: plan 3 is not finite'):
        pdm_score(plans, scenes, Protocol.NAVSIM_V2)


def test_lenient_marks_plans_that_are_not_finite(scenes, plans):
    expected = pdm_score(plans, scenes, Protocol.NAVSIM_V2)
    plans[1, 3, 2, 0] = np.inf
    scores = pdm_score(plans, scenes, Protocol.NAVSIM_V2, lenient=True)
    assert np.argwhere(~scores.valid).tolist() == [[1, 3]]
    assert np.isnan(scores.total[1, 3]) and np.isnan(scores.nc[1, 3])
    assert np.array_equal(scores.total[scores.valid], expected.total[scores.valid])


def test_previous_plans_that_are_not_finite_count_as_invalid(scenes, plans):
    previous = plans.copy()
    previous[0, 0] = np.nan
    with pytest.raises(PlanError, match='plan 0 is not finite'):
        pdm_score(plans, scenes, Protocol.NAVSIM_V2, previous_plans=previous)
    scores = pdm_score(plans, scenes, Protocol.NAVSIM_V2, previous_plans=previous, lenient=True)
    assert np.argwhere(~scores.valid).tolist() == [[0, 0]]


def test_read_only_and_strided_inputs(scenes, plans):
    expected = pdm_score(plans, scenes, Protocol.NAVSIM_V2)
    signatures = len(kernels.interpolate_plans.signatures)
    plans.flags.writeable = False
    for given in (plans, np.asfortranarray(plans), np.repeat(plans, 2, axis=1)[:, ::2]):
        again = pdm_score(given, scenes, Protocol.NAVSIM_V2)
        assert np.array_equal(again.total, expected.total)
    assert len(kernels.interpolate_plans.signatures) == signatures


@pytest.mark.parametrize('shape', [(2, 5, 8, 2), (2, 5, 7, 3), (3, 5, 8, 3), (5, 8, 3)])
def test_wrong_shapes_are_named(scenes, shape):
    with pytest.raises(PlanError, match='expected'):
        pdm_score(np.zeros(shape), scenes, Protocol.NAVSIM_V2)


def test_previous_plans_of_another_shape(scenes, plans):
    with pytest.raises(PlanError, match='previous_plans'):
        pdm_score(plans, scenes, Protocol.NAVSIM_V2, previous_plans=plans[:, :2])


def test_scenes_of_another_protocol_are_refused(scenes, plans):
    with pytest.raises(PlanError, match='navsim_v2'):
        pdm_score(plans, scenes, Protocol.NAVSIM_V1)
    with pytest.raises(SceneError, match='navsim_v2'):
        ScoringScenes.concatenate([scenes], Protocol.NAVSIM_V1)


def test_tensors_come_back_as_tensors(scenes, plans):
    arrays = pdm_score(plans, scenes, Protocol.NAVSIM_V2)
    tensors = pdm_score(torch.from_numpy(plans), scenes, Protocol.NAVSIM_V2)
    for name in ('nc', 'ep', 'total', 'valid', 'ec'):
        value = getattr(tensors, name)
        assert isinstance(value, torch.Tensor)
        np.testing.assert_array_equal(value.numpy(), getattr(arrays, name))


def test_tensors_may_be_of_low_precision_and_require_gradients(scenes, plans):
    tensor = torch.from_numpy(plans).bfloat16().requires_grad_()
    scores = pdm_score(tensor, scenes, Protocol.NAVSIM_V2)
    expected = pdm_score(tensor.detach().double().numpy(), scenes, Protocol.NAVSIM_V2)
    np.testing.assert_array_equal(scores.total.numpy(), expected.total)


def test_tensors_and_arrays_are_not_changed(scenes, plans):
    before = plans.copy()
    pdm_score(torch.from_numpy(plans), scenes, Protocol.NAVSIM_V2)
    pdm_score(plans, scenes, Protocol.NAVSIM_V2)
    assert np.array_equal(plans, before)


def test_protocol_decides_which_scores_exist(plans):
    v1 = ScoringScenes.prepare([example_scene(Protocol.NAVSIM_V1)] * 2, Protocol.NAVSIM_V1)
    scores = pdm_score(plans, v1, Protocol.NAVSIM_V1)
    assert scores.protocol is Protocol.NAVSIM_V1
    assert scores.tlc is None and scores.lk is None and scores.ec is None


def test_scene_with_objects_of_the_wrong_horizon_is_refused():
    with pytest.raises(SceneError, match='51'):
        ScoringScenes.prepare([example_scene(Protocol.NAVSIM_V2)], Protocol.NAVSIM_V1)


FORK = """
import os
from pair_drive_ros.scoring import pdm_score, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_plans, example_scene

protocol, plans = Protocol.NAVSIM_V1, example_plans(40)[None]
scenes = ScoringScenes.prepare([example_scene(protocol)], protocol)
expected = pdm_score(plans, scenes, protocol, threads=2).total
child = os.fork()
again = pdm_score(plans, scenes, protocol, threads=2).total
if child == 0:
    os._exit(0 if (again == expected).all() else 1)
print('child ended with', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_scores_with_threads_of_its_own():
    # A child that waited for the threads of its parent would never end.
    result = subprocess.run([sys.executable, '-c', FORK], capture_output=True, text=True,
                            timeout=120)
    assert result.stdout == 'child ended with 0\n', result.stderr
