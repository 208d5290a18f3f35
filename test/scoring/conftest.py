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

"""Scenes and helpers of the scoring tests."""

from pathlib import Path

import numpy as np
from pair_drive_ros.scoring import pdm_score, pdm_trace, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_scene
import pytest


@pytest.fixture(scope='session')
def golden_small() -> Path:
    """Six synthetic scenes with the official numbers (see data/README.md)."""
    return Path(__file__).parent / 'data' / 'golden_small.npz'


@pytest.fixture(params=list(Protocol), ids=lambda protocol: protocol.value)
def protocol(request) -> Protocol:
    """Both protocols, one after the other."""
    return request.param


@pytest.fixture
def score():
    """Score plans [K, 8, 3] in one example scene with given objects and lights."""
    def call(plans, protocol=Protocol.NAVSIM_V2, objects=(), red=False, **options):
        scenes = ScoringScenes.prepare([example_scene(protocol, list(objects), red)], protocol)
        options.setdefault('human_filter', False)
        return pdm_score(np.asarray(plans)[None], scenes, protocol, threads=1, **options)
    return call


@pytest.fixture
def trace():
    """Trace plans [K, 8, 3] in one example scene."""
    def call(plans, protocol=Protocol.NAVSIM_V2, objects=()):
        scenes = ScoringScenes.prepare([example_scene(protocol, list(objects))], protocol)
        return pdm_trace(np.asarray(plans)[None], scenes, protocol)
    return call


@pytest.fixture
def straight():
    """Make plans [1, 8, 3] straight ahead at a speed, shifted to the side by y."""
    def call(speed=8.0, y=0.0):
        return np.array([[[speed * 0.5 * k, y, 0.0] for k in range(1, 9)]])
    return call
