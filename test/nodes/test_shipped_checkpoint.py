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

"""The checkpoint that ships is what the planner drives with unless it is told otherwise."""

import json
import subprocess
import sys

from pair_drive_ros.models.architectures import CHECKPOINTS
from pair_drive_ros.nodes.parameter_table import defaults
from pair_drive_training.world.drive_bag import BagOptions, write_drive_bag
import pytest

AHEAD = [1.5, 0.0, 1.5, -1.5708, 0.0, -1.5708]
DEFAULT = defaults()['checkpoint']
pytestmark = pytest.mark.skipif(not (CHECKPOINTS / f'{DEFAULT}.safetensors').is_file(),
                                reason=f'the checkpoint {DEFAULT} is not here')


def now(rig):
    status = rig.statuses[-1] if rig.statuses else {}
    return status.get('state'), status.get('reason')


def test_with_every_sensor_of_the_default_rig_it_is_normal(make_rig):
    rig = make_rig(cameras=list(defaults()['cameras']), checkpoint=DEFAULT,
                   camera_extrinsics=3 * AHEAD)
    assert rig.drive(lambda: now(rig) == ('NORMAL', ''), timeout_s=30.0)
    assert rig.drive(lambda: rig.statuses[-1].get('trained_on', 'none') != 'none')
    assert rig.statuses[-1]['engine'] == 'transfuser'


def test_with_the_front_camera_alone_it_is_degraded(make_rig):
    rig = make_rig(cameras=['front'], checkpoint=DEFAULT, camera_extrinsics=AHEAD,
                   **{'lidar.enabled': False})
    assert rig.drive(lambda: now(rig) == ('DEGRADED', 'plans without left, right, lidar'),
                     timeout_s=30.0)


def test_the_demonstration_drives_with_it(tmp_path):
    write_drive_bag(tmp_path / 'bag', BagOptions(seconds=3.0))
    result = subprocess.run(
        [sys.executable, '-m', 'pair_drive_ros', 'demo', tmp_path / 'bag', '--out', tmp_path],
        capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    said = json.loads((tmp_path / 'summary.json').read_text())
    assert said['engine'] == 'transfuser'
    assert said['trained_on'] != 'none'
    assert ['NORMAL', ''] in said['states']
    assert 'of the last inputs' in said['refinement']


def test_the_branch_that_ships_refines_its_plans(make_rig):
    rig = make_rig(cameras=list(defaults()['cameras']), checkpoint=DEFAULT,
                   camera_extrinsics=3 * AHEAD, **{
                       'refinement.refiner': defaults()['refinement.refiner'],
                       'refinement.selector': defaults()['refinement.selector'],
                       'refinement.deadline_ms': 1000.0, 'output.timeout_ms': 2000.0})
    assert rig.drive(lambda: now(rig) == ('NORMAL', '') and rig.statuses[-1]['refinement'] == 'on'
                     and rig.statuses[-1]['rl_used_ratio'] == '1.00', timeout_s=30.0)
    assert rig.statuses[-1]['refiner_hash'] != 'n/a'


def test_what_ships_is_small():
    files = list(CHECKPOINTS.rglob('*.safetensors'))
    assert {'refiner', 'selector', DEFAULT} <= {file.stem for file in files}
    assert [file.name for file in files if file.stat().st_size > 10e6] == []
