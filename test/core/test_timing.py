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

"""Stage times and their percentiles."""

import numpy as np
from pair_drive_ros.core.timing import LatencyWindow, StageTimer
import pytest


def test_empty_window_has_no_summary():
    assert LatencyWindow().summary() is None


def test_summary_is_that_of_the_samples():
    window = LatencyWindow()
    for sample in range(101):
        window.add(float(sample))
    summary = window.summary()
    assert (summary.count, summary.p50, summary.p95, summary.p99, summary.worst) == (
        101, 50.0, 95.0, 99.0, 100.0)
    assert str(summary) == 'p50 50.0 p95 95.0 p99 99.0 max 100.0 ms'


def test_window_forgets_the_oldest():
    window = LatencyWindow(size=3)
    for sample in (100.0, 1.0, 2.0, 3.0):
        window.add(sample)
    assert window.summary().worst == 3.0


def test_stages_add_up_and_survive_errors():
    timer = StageTimer()
    with timer.stage('a'):
        pass
    with pytest.raises(ValueError), timer.stage('b'):
        raise ValueError
    first = timer.milliseconds['a']
    with timer.stage('a'):
        np.linalg.inv(np.eye(50))
    assert timer.milliseconds['a'] > first
    assert timer.milliseconds['b'] >= 0.0
