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

"""The style of ROS 2 (ament_flake8, ament_pep257), ruff, mypy and the licence headers."""

from pathlib import Path
import subprocess
import sys

import pytest

FOLDERS = ('pair_drive_ros', 'training', 'test', 'launch', 'benchmarks', 'docs', 'setup.py')
HEADER = ('# Copyright 2026 The pair_drive_ros authors\n#\n'
          '# Licensed under the Apache License, Version 2.0 (the "License");\n')


@pytest.fixture
def paths(checkout, monkeypatch) -> list[str]:
    """Return what is linted, relative to the checkout, and go there."""
    monkeypatch.chdir(checkout)
    return [name for name in FOLDERS if Path(name).exists()]


def run(*command: str) -> None:
    result = subprocess.run([sys.executable, '-m', *command], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize('tool', ['ament_flake8', 'ament_pep257', 'ament_copyright'])
def test_ament(paths, tool):
    pytest.importorskip(f'{tool}.main')
    # In a process of its own: flake8 forks, and this one has the threads of ROS and PyTorch.
    run(f'{tool}.main', *paths, *(['--exclude', 'test'] if tool == 'ament_pep257' else []))


def test_ruff(paths):
    run('ruff', 'check', '--no-cache', *paths)


def test_mypy(paths):
    run('mypy', '--no-incremental', 'pair_drive_ros/core', 'pair_drive_ros/conversions')


def test_every_file_has_its_licence_header(paths):
    files = [path for name in paths
             for path in ([Path(name)] if name.endswith('.py') else Path(name).rglob('*.py'))]
    assert len(files) > 50
    assert [str(path) for path in files if not path.read_text().startswith(HEADER)] == []
