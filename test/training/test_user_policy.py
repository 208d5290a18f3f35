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

"""The policy that the documentation writes: trained, evaluated, and planning as the node does."""

import json
import os
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.planning.torch_engine import TorchEngine
from pair_drive_training.__main__ import main
import pytest
import tiny_navsim
from tiny_network import noise_frame

FRAMES = 20
NOW = range(3, 10)


@pytest.fixture(scope='module')
def cache(tmp_path_factory) -> Path:
    """Cache the tiny data set, without its cameras: the policy reads none."""
    folder = tmp_path_factory.mktemp('navsim')
    tiny_navsim.write_city(folder / 'maps')
    (folder / 'logs').mkdir()
    tiny_navsim.write_log(folder / 'logs', 'one', FRAMES)
    tiny_navsim.write_sensors(folder / 'sensors', 'one', NOW)
    assert main(['cache', '--logs', str(folder / 'logs'), '--maps', str(folder / 'maps'),
                 '--sensors', str(folder / 'sensors'), '--features', 'mini', '--processes', '1',
                 '--out', str(folder / 'cache')]) == 0
    return folder / 'cache'


@pytest.fixture
def my_policies(checkout, tmp_path, monkeypatch) -> str:
    """Save the documentation's class as a module of the user's."""
    text = (checkout / 'docs' / 'training.md').read_text()
    code, = re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)
    (tmp_path / 'my_policies.py').write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield 'my_policies:Line'
    sys.modules.pop('my_policies', None)


def test_the_documented_policy_is_trained_evaluated_and_plans(cache, my_policies, tmp_path):
    run = tmp_path / 'run'
    assert main(['train', '--policy', my_policies, '--cache', str(cache), '--val-cache',
                 str(cache), '--out', str(run), '--epochs', '60', '--batch', '6',
                 '--learning-rate', '0.1', '--precision', 'fp32', '--val-every', '20']) == 0
    rows = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
    assert rows[-1]['val/trajectory'] < 0.5 * rows[0]['train/trajectory']
    out = tmp_path / 'score'
    best = run / 'best.safetensors'
    assert main(['evaluate', '--policy', str(best), '--architecture', my_policies, '--cache',
                 str(cache), '--protocol', 'navsim_v1', '--out', str(out)]) == 0
    scored = json.loads((out / 'summary.json').read_text())['views']['one plan a scene']
    assert 100.0 * scored['PDMS']['mean'] == pytest.approx(
        max(row.get('val/navsim_v1', 0.0) for row in rows), abs=1e-3)
    engine = TorchEngine(best, policy=my_policies)
    engine.warm_up()
    candidate, = engine.plan(noise_frame(cameras=(), lidar=False), StageTimer()).values()
    plan = candidate.trajectory
    assert plan.poses.shape == (8, 3) and np.isfinite(plan.poses).all()


def test_a_card_alone_imports_nothing(cache, my_policies, tmp_path):
    run = tmp_path / 'run'
    train = [sys.executable, '-m', 'pair_drive_training']
    main(['train', '--policy', my_policies, '--cache', str(cache), '--out', str(run), '--epochs',
          '1', '--batch', '6', '--val-score', 'none'])
    (tmp_path / 'my_policies.py').write_text('print("imported")')
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    ended = subprocess.run([*train, 'evaluate', '--policy', str(run / 'last.safetensors'),
                            '--cache', str(cache), '--protocol', 'navsim_v1', '--out',
                            str(tmp_path / 'score')], capture_output=True, text=True,
                           env={**os.environ, 'PYTHONPATH': path})
    assert ended.returncode == 2
    assert 'name the class yourself' in ended.stderr and 'imported' not in ended.stdout
