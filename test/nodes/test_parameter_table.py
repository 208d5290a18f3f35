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

"""The parameter table, the YAML file and the README say the same."""

from pair_drive_ros.nodes.parameter_table import (
    defaults,
    markdown_table,
    PARAMETERS,
    problems,
    replace_table,
    yaml_text,
)
import pytest
import yaml


def test_the_committed_yaml_is_the_tables(checkout):
    assert (checkout / 'config' / 'planner.yaml').read_text() == yaml_text(), (
        'run python -m pair_drive_ros.nodes.parameter_table')


def test_the_readmes_table_is_the_tables(checkout):
    readme = (checkout / 'README.md').read_text()
    assert replace_table(readme) == readme, 'run python -m pair_drive_ros.nodes.parameter_table'
    assert markdown_table() in readme


def test_the_yaml_gives_the_defaults():
    read = yaml.safe_load(yaml_text())['/**']['ros__parameters']
    expected = {name: list(value) if isinstance(value, tuple) else value
                for name, value in defaults().items() if value != ()}
    assert read == expected


def test_names_are_unique_and_the_defaults_are_allowed():
    assert len({spec.name for spec in PARAMETERS}) == len(PARAMETERS)
    assert problems(defaults()) == []


@pytest.mark.parametrize(('name', 'value', 'text'), [
    ('output.step_s', 5.0, 'output.step_s: 5.0 lies outside 0.02 to 0.5 s'),
    ('device', 'tpu', "device: 'tpu' is none of cpu, cuda"),
    ('cameras', ['front', 'front'], 'cameras: every name once'),
    ('camera_extrinsics', [0.0] * 12, 'camera_extrinsics: expected 18 numbers, 6 for each of the '
                                      'cameras left, front, right, got 12'),
    ('diagnostics.error_rate', 9.0, 'must not exceed diagnostics.warn_rate'),
    ('cameras', [], "anchor: 'camera_front' is none of the sensors lidar")])
def test_problems_are_named(name, value, text):
    assert any(text in problem for problem in problems({**defaults(), name: value}))


@pytest.mark.parametrize(('changes', 'text'), [
    ({'refinement.refiner': 'refiner'}, 'refinement.selector: is empty but refinement.refiner is '
                                        'not; name both, or neither'),
    ({'refinement.selector': 'selector'}, 'refinement.refiner: is empty but refinement.selector'),
    ({'checkpoint': ''}, None),
    ({'refinement.deadline_ms': 0.0}, 'refinement.deadline_ms: 0.0 lies outside 1 to 1000 ms'),
    ({'refinement.deadline_ms': 250.0}, 'must lie below output.timeout_ms'),
    ({'checkpoint': '', 'policy': 'mine:Policy'}, None),
    ({}, None)])
def test_problems_of_the_refinement_are_named(changes, text):
    both = {'refinement.refiner': 'refiner', 'refinement.selector': 'selector'}
    neither = dict.fromkeys(both, '')
    named = neither if set(changes) & set(both) else both
    found = problems({**defaults(), **named, **changes})
    assert found == [] if text is None else any(text in problem for problem in found)


def test_without_refinement_its_deadline_is_nobodys_concern():
    neither = {'refinement.refiner': '', 'refinement.selector': ''}
    assert problems({**defaults(), **neither, 'checkpoint': '',
                     'refinement.deadline_ms': 900.0}) == []
