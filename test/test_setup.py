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

"""The set-up script ends every failure with one sentence that says what to do."""

import os
from pathlib import Path
import subprocess

import pytest


def setup(checkout: Path, venv: Path, ros: str = 'kilted', torch: str = 'cpu', **environment):
    clean = {name: value for name, value in os.environ.items()
             if name not in ('ROS_DISTRO', 'AMENT_PREFIX_PATH', 'PYTHONPATH')}
    return subprocess.run([checkout / 'tools' / 'setup.sh', venv, ros, torch],
                          env={**clean, **environment}, capture_output=True, text=True,
                          timeout=120)


@pytest.mark.parametrize(('options', 'text'), [
    ({'ros': 'humble'}, 'ROS=humble is unknown: use kilted, jazzy or distribution'),
    ({'torch': 'tpu'}, 'TORCH=tpu is unknown: use cpu or cuda'),
    ({'ros': 'distribution'}, 'no ROS distribution is sourced'),
    ({'PYTHON': 'python9.9'}, 'no usable Python among python9.9: install Python 3.10 to 3.13')])
def test_what_cannot_work_is_said_in_one_line(checkout, tmp_path, options, text):
    result = setup(checkout, tmp_path / 'venv', **options)
    assert result.returncode == 1
    assert result.stderr.startswith('setup: ')
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_failed_download_ends_with_a_remedy_and_no_stamp(checkout, tmp_path):
    result = setup(checkout, tmp_path / 'venv', PIP_CONFIG_FILE=os.devnull, PIP_RETRIES='0',
                   PIP_NO_INDEX='1', PIP_EXTRA_INDEX_URL='', PIP_FIND_LINKS='')
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith('setup: build tools: the download or ')
    assert 'check the network' in result.stderr
    assert not (tmp_path / 'venv' / '.setup-complete').exists()
