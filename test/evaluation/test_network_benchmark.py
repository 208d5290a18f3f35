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

from pair_drive_ros.evaluation.network_benchmark import OFFICIAL_MS, report, run
import pytest
import torch


def test_every_stage_is_measured_and_reported():
    threads = torch.get_num_threads()
    result = run(1, 2, ('transfuser full', 'diffusion_drive mini'))
    assert torch.get_num_threads() == threads
    for stages in result['networks'].values():
        assert set(stages) == {'features', 'forward', 'plan'}
        assert all(0.0 < p50 <= p95 for p50, p95 in stages.values())
    forward = result['networks']['transfuser full']['forward'][0]
    assert result['networks']['diffusion_drive mini']['forward'][0] < forward
    assert result['vs_official'] == {
        'transfuser full': pytest.approx(forward / OFFICIAL_MS['transfuser full'])}
    text = report(result)
    assert f'forward {forward:.1f} / ' in text and 'random weights' in text
    assert f'{result["vs_official"]["transfuser full"]:.2f}' in text


@pytest.mark.parametrize(('threads', 'iterations'), [(0, 1), (1, 0)])
def test_nothing_to_measure_is_an_error(threads, iterations):
    with pytest.raises(ValueError, match='at least 1'):
        run(threads, iterations)
