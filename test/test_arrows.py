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

"""Imports run one way: nodes at the top, core at the bottom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# What each folder may import of ours, besides itself.
ALLOWED = {
    'pair_drive_ros/core': set(),
    'pair_drive_ros/conversions': {'core'},
    'pair_drive_ros/scoring': {'core'},
    'pair_drive_ros/models': {'scoring', 'core'},
    'pair_drive_ros/planning': {'models', 'core'},
    'pair_drive_ros/evaluation': {'planning', 'models', 'conversions', 'scoring', 'core'},
    'pair_drive_ros/nodes': {'evaluation', 'planning', 'conversions', 'models', 'scoring', 'core'},
    'training': {'planning', 'models', 'conversions', 'evaluation', 'scoring', 'core'},
}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            yield node.module


@pytest.mark.parametrize('folder', sorted(ALLOWED))
def test_imports_run_one_way(checkout, folder):
    own = folder.split('/')[-1]
    wrong = []
    for path in sorted((checkout / folder).rglob('*.py')):
        for module in imported_modules(path):
            parts = module.split('.')
            if parts[0] == 'pair_drive_ros' and (
                    len(parts) == 1 or parts[1] not in ALLOWED[folder] | {own}):
                wrong.append(f'{path.relative_to(checkout)}: {module}')
            if parts[0] == 'pair_drive_training' and folder != 'training':
                wrong.append(f'{path.relative_to(checkout)}: {module}')
    assert not wrong


def test_only_nodes_know_rclpy(checkout):
    wrong = [str(path.relative_to(checkout))
             for root in ('pair_drive_ros', 'training')
             for path in (checkout / root).rglob('*.py')
             if path.parent.name != 'nodes'
             and any(module.split('.')[0] == 'rclpy' for module in imported_modules(path))]
    assert not wrong
