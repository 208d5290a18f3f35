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

"""The CUDA kernels, run by numba's simulator where there is no GPU."""

import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from pair_drive_ros.scoring import pdm_score, pdm_trace, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_scene
import pytest
from scoring.simulated_gpu import OBJECTS, plans, PREVIOUS
import torch


@pytest.mark.parametrize('protocol', list(Protocol), ids=lambda protocol: protocol.value)
def test_simulated_kernels_equal_the_cpu(protocol, tmp_path):
    out = tmp_path / 'gpu.npz'
    environment = os.environ | {'NUMBA_ENABLE_CUDASIM': '1',
                                'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name('simulated_gpu.py')), protocol.value,
         str(out)], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    scenes = ScoringScenes.prepare([example_scene(protocol, OBJECTS, red=True)] * 2, protocol)
    trace = pdm_trace(plans(), scenes, protocol)
    scores = pdm_score(plans(), scenes, protocol, previous_plans=PREVIOUS, human_filter=False)
    with np.load(out) as gpu:
        np.testing.assert_allclose(gpu['states'].reshape(trace.states.shape), trace.states,
                                   atol=1e-9)
        assert np.array_equal(gpu['areas'].reshape(trace.areas.shape), trace.areas)
        for name in ('nc', 'dac', 'ddc', 'ep', 'ttc', 'comfort', 'tlc', 'lk', 'ec'):
            expected = getattr(scores, name)
            if expected is not None:
                np.testing.assert_allclose(gpu[name].reshape(expected.shape), expected,
                                           atol=1e-9, err_msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
@pytest.mark.parametrize('protocol', list(Protocol), ids=lambda protocol: protocol.value)
def test_a_real_gpu_equals_the_cpu(protocol):
    scenes = ScoringScenes.prepare([example_scene(protocol, OBJECTS, red=True)] * 2, protocol)
    expected = pdm_score(plans(), scenes, protocol, previous_plans=PREVIOUS)
    scores = pdm_score(torch.from_numpy(plans()).cuda(), scenes, protocol,
                       previous_plans=torch.from_numpy(PREVIOUS).cuda())
    assert scores.total.is_cuda
    np.testing.assert_allclose(scores.total.cpu().numpy(), expected.total, atol=1e-9)
