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

"""The network benchmark measures every stage and leaves the process as it was."""

from pair_drive_ros.evaluation.network_benchmark import OFFICIAL_FORWARD_MS, report, run
import pytest
import torch


def test_every_stage_is_measured_and_reported():
    threads = torch.get_num_threads()
    result = run(threads=1, iterations=2)
    assert torch.get_num_threads() == threads
    assert set(result['p50_ms']) == set(result['p95_ms']) == {'features', 'forward', 'plan'}
    assert all(0.0 < p50 <= result['p95_ms'][name] for name, p50 in result['p50_ms'].items())
    forward = result['p50_ms']['forward']
    assert result['forward_vs_official'] == pytest.approx(forward / OFFICIAL_FORWARD_MS)
    text = report(result)
    assert f'{forward:.1f} ms' in text
    assert 'random weights' in text
    assert f'{result["forward_vs_official"]:.2f}' in text


@pytest.mark.parametrize(('threads', 'iterations'), [(0, 1), (1, 0)])
def test_nothing_to_measure_is_an_error(threads, iterations):
    with pytest.raises(ValueError, match='at least 1'):
        run(threads, iterations)
