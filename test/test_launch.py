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

"""Launch files, RViz and package manifests name only what exists."""

import ast
from pathlib import Path
import re
import xml.etree.ElementTree

from pair_drive_ros.nodes.demo import SAMPLE_INPUTS
import pytest

LAUNCH_FILES = ('planner.launch.py', 'demo.launch.py')


def constants(path: Path) -> dict[str, object]:
    """Return the literal constants of a module, by name."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict | ast.Constant):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def strings(path: Path) -> set[str]:
    return {node.value for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def calls(path: Path, name: str) -> list[dict[str, object]]:
    """Return the literal keyword arguments of every call of ``name``."""
    return [{keyword.arg: keyword.value.value for keyword in node.keywords
             if isinstance(keyword.value, ast.Constant)}
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == name]


@pytest.mark.parametrize('name', LAUNCH_FILES)
def test_launch_descriptions_can_be_generated(checkout, name):
    launch = pytest.importorskip('launch')
    pytest.importorskip('launch_ros')
    scope: dict = {}
    exec(compile((checkout / 'launch' / name).read_text(), name, 'exec'), scope)
    assert isinstance(scope['generate_launch_description'](), launch.LaunchDescription)


@pytest.mark.parametrize('name', LAUNCH_FILES)
def test_named_files_exist(checkout, name):
    named = {text for text in strings(checkout / 'launch' / name)
             if re.fullmatch(r'[a-z_.]+\.(yaml|xml|rviz|launch\.py)', text)}
    assert named
    shipped = {path.name for folder in ('config', 'rviz', 'launch')
               for path in (checkout / folder).iterdir()}
    assert named <= shipped


@pytest.mark.parametrize('name', LAUNCH_FILES)
def test_our_executables_are_entry_points(checkout, name):
    entry_points = re.findall(r"'(\w+) = [\w.]+:main'", (checkout / 'setup.py').read_text())
    executables = {call['executable'] for call in calls(checkout / 'launch' / name, 'Node')
                   if call['executable'] != 'rviz2'}
    assert executables
    assert executables <= set(entry_points)


def test_the_launch_arguments_feed_real_inputs(checkout):
    source = (checkout / 'pair_drive_ros' / 'nodes' / 'inputs.py').read_text()
    for topic in constants(checkout / 'launch' / 'planner.launch.py')['INPUTS'].values():
        generic = re.sub(r'camera_[a-z]+/(image/compressed|camera_info)', 'camera_{name}', topic)
        assert generic in source, topic


def test_the_demo_launch_and_the_demo_command_use_the_same_topics(checkout):
    inputs = constants(checkout / 'launch' / 'planner.launch.py')['INPUTS']
    sample = constants(checkout / 'launch' / 'demo.launch.py')['SAMPLE_TOPICS']
    assert {inputs[name].removeprefix('~/input/'): topic for name, topic in sample.items()} == (
        SAMPLE_INPUTS)


def test_rviz_shows_topics_of_the_planner(checkout):
    topics = set(re.findall(r'Value: (/planner/\S+)',
                            (checkout / 'rviz' / 'planner.rviz').read_text()))
    source = ''.join((checkout / 'pair_drive_ros' / 'nodes' / name).read_text()
                     for name in ('inputs.py', 'outputs.py'))
    assert topics
    assert all(topic.replace('/planner', '~') in source for topic in topics)


def test_package_and_setup_agree(checkout):
    manifest = xml.etree.ElementTree.parse(checkout / 'package.xml').getroot()
    setup = (checkout / 'setup.py').read_text()
    assert manifest.get('format') == '3'
    assert f"version='{manifest.findtext('version')}'" in setup
    assert f"license='{manifest.findtext('license')}'" in setup
    assert f"maintainer_email='{manifest.find('maintainer').get('email')}'" in setup


def test_every_ros_package_that_the_code_imports_is_declared(checkout):
    manifest = xml.etree.ElementTree.parse(checkout / 'package.xml').getroot()
    declared = {element.text for element in manifest.findall('exec_depend')}
    imported = set()
    for path in (checkout / 'pair_drive_ros').rglob('*.py'):
        imported |= set(re.findall(r'^\s*(?:from|import) (rclpy|ament_index_python|\w+_msgs|'
                                   r'\w+_srvs|\w+_interfaces|tf_transformations)\b',
                                   path.read_text(), re.MULTILINE))
    assert {'rclpy', 'sensor_msgs', 'tf_transformations'} <= imported
    assert imported <= declared
