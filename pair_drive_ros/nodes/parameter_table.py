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

"""
Every parameter of the planner node, once.

The node declares them from here, and ``config/planner.yaml`` and the table in the README are
written from here: ``python -m pair_drive_ros.nodes.parameter_table``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXTRINSICS_FORM = '[x, y, z, roll, pitch, yaw] in m and rad, rotations about fixed axes'


@dataclass(frozen=True)
class ParameterSpec:
    """
    One parameter: ``default`` also gives the type.

    ``bounds`` are inclusive; ``choices`` lists the values a string may take; ``length`` is that
    of an array that may also be empty, or its share ``per_camera``.
    """

    name: str
    default: Any
    doc: str
    unit: str = ''
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    length: int | None = None
    per_camera: bool = False

    @property
    def type_name(self) -> str:
        """Name of the type as ROS documents it."""
        if isinstance(self.default, tuple):
            return 'double[]' if self.length else 'string[]'
        return {bool: 'bool', int: 'int', float: 'double', str: 'string'}[type(self.default)]

    @property
    def allowed(self) -> str:
        """Say which values are allowed, for people."""
        if self.bounds:
            return f'{self.bounds[0]:g} to {self.bounds[1]:g}'
        if self.choices:
            return ', '.join(self.choices)
        share = ' a camera' if self.per_camera else ''
        return f'{self.length} numbers{share}, or none' if self.length else ''

    def problem(self, value: Any) -> str | None:
        """Say what is wrong with a value of the right type by itself; None when nothing is."""
        if self.bounds and not self.bounds[0] <= value <= self.bounds[1]:
            return f'{self.name}: {value} lies outside {self.allowed} {self.unit}'.rstrip()
        if self.choices and value not in self.choices:
            return f'{self.name}: {value!r} is none of {self.allowed}'
        if self.length and not self.per_camera and len(value) not in (0, self.length):
            return f'{self.name}: expected {self.length} numbers, got {len(value)}'
        return None


PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('autostart', True, 'configure and activate at start; false leaves the lifecycle '
                  'to a manager'),
    ParameterSpec('cameras', ('left', 'front', 'right'),
                  'names of the cameras; NAME is fed by ~/input/camera_NAME/image; the networks '
                  'look at left, front and right'),
    ParameterSpec('camera_transport', 'compressed',
                  'compressed: CompressedImage on ~/input/camera_NAME/image/compressed; raw: '
                  'Image on ~/input/camera_NAME/image', choices=('compressed', 'raw')),
    ParameterSpec('camera_extrinsics', (),
                  "poses of the cameras' optical frames (x right, y down, z ahead) in base_link, "
                  f'in the order of cameras: {EXTRINSICS_FORM}; empty: from /tf_static by the '
                  'frame_id of the images; needed, as is camera_info, by networks that read the '
                  'cameras laid on the ground, the plane z = 0 of base_link',
                  length=6, per_camera=True),
    ParameterSpec('lidar.enabled', True, 'whether the rig has a LiDAR'),
    ParameterSpec('lidar.extrinsics', (),
                  f'pose of the LiDAR in base_link: {EXTRINSICS_FORM}; empty: from /tf_static, or '
                  'none needed when the points are in base_link', length=6),
    ParameterSpec('anchor', 'camera_front', 'the sensor whose stamps the plans bear: camera_NAME '
                  'or lidar; while it is missing, the first one alive for a policy that can do '
                  'without'),
    ParameterSpec('sync.tolerance_ms', 50.0, "largest distance of another sensor's stamp from the "
                  "anchor's", 'ms', (1.0, 500.0)),
    ParameterSpec('sync.max_input_age_ms', 200.0, 'an older anchor is not planned on; a sensor '
                  'silent for this and the tolerance is missing, so allow for two of its periods',
                  'ms', (20.0, 2000.0)),
    ParameterSpec('sync.max_extrapolation_ms', 100.0, 'how far odometry may be carried forward to '
                  'the anchor', 'ms', (0.0, 500.0)),
    ParameterSpec('checkpoint', 'transfuser', 'weights: name of a checkpoint that ships, or a '
                  'file (.safetensors, its JSON card beside it); empty: none, so that without a '
                  'policy the car keeps speed and yaw rate, which is DEGRADED'),
    ParameterSpec('policy', '', 'class of the weights, by name or, for one of your own, by its '
                  'import path package.module:Class; empty: the one that their card names. A '
                  'policy without weights needs an empty checkpoint'),
    ParameterSpec('refinement.refiner', 'refiner', 'the RL branch, which grows alternatives to '
                  'the plan: refiner, the weights that ship, or a file (.safetensors, its JSON '
                  'card beside it); empty, as is refinement.selector then: no refinement. Without '
                  'a checkpoint and a policy there is nothing to refine'),
    ParameterSpec('refinement.selector', 'selector', 'what chooses among the alternatives and '
                  'the plan: selector, the weights that ship, or a file likewise'),
    ParameterSpec('refinement.enabled', True, 'whether refinement is on at the start; '
                  '~/set_refinement_enabled switches it while the planner runs'),
    ParameterSpec('refinement.deadline_ms', 80.0, 'the plan goes out unrefined when refinement is '
                  'not done this long after planning began', 'ms', (1.0, 1000.0)),
    ParameterSpec('device', 'cpu', 'where the networks run', choices=('cpu', 'cuda')),
    ParameterSpec('num_threads', 0, 'CPU threads of each branch; 0 leaves the choice to PyTorch',
                  '', (0, 256)),
    ParameterSpec('output.frame', 'odometry', 'frame of the published plan: the fixed frame of '
                  'the odometry, or base_link at the stamp', choices=('odometry', 'base_link')),
    ParameterSpec('output.step_s', 0.1, 'time step of the published points', 's', (0.02, 0.5)),
    ParameterSpec('vehicle.wheelbase', 3.089, 'gives the wheel angle of the Autoware message', 'm',
                  (0.5, 10.0)),
    ParameterSpec('output.timeout_ms', 250.0, 'without a plan for this long the last one is held',
                  'ms', (50.0, 2000.0)),
    ParameterSpec('fallback.hold_ms', 500.0, 'after holding this long the car is stopped', 'ms',
                  (0.0, 2000.0)),
    ParameterSpec('fallback.deceleration', 2.5, 'of the stop', 'm/s^2', (0.5, 8.0)),
    ParameterSpec('fallback.recover_plans', 3, 'good plans in a row that end a stop', '',
                  (1, 100)),
    ParameterSpec('checks.max_speed', 40.0, 'a faster plan is refused', 'm/s', (1.0, 70.0)),
    ParameterSpec('checks.max_acceleration', 8.0, 'a plan that speeds up or brakes harder is '
                  'refused', 'm/s^2', (1.0, 20.0)),
    ParameterSpec('checks.max_lateral_acceleration', 8.0, 'a plan that turns harder is refused',
                  'm/s^2', (1.0, 20.0)),
    ParameterSpec('diagnostics.warn_rate', 8.0, 'fewer plans a second are a WARN', 'Hz',
                  (0.0, 100.0)),
    ParameterSpec('diagnostics.error_rate', 4.0, 'fewer plans a second are an ERROR', 'Hz',
                  (0.0, 100.0)),
)


def defaults() -> dict[str, Any]:
    """Every parameter's default by name."""
    return {spec.name: spec.default for spec in PARAMETERS}


def problems(values: dict[str, Any]) -> list[str]:
    """Say everything that is wrong with a whole set of values, in the order of the table."""
    found = [problem for spec in PARAMETERS if (problem := spec.problem(values[spec.name]))]
    sensors = sensor_names(values)
    if values['anchor'] not in sensors:
        found.append(f'anchor: {values["anchor"]!r} is none of the sensors '
                     f'{", ".join(sensors) or "(none)"}')
    if len(set(values['cameras'])) != len(values['cameras']):
        found.append('cameras: every name once')
    given, wanted = len(values['camera_extrinsics']), 6 * len(values['cameras'])
    if given not in (0, wanted):
        found.append(f'camera_extrinsics: expected {wanted} numbers, 6 for each of the cameras '
                     f'{", ".join(values["cameras"]) or "(none)"}, got {given}')
    found += _refinement_problems(values)
    if values['diagnostics.error_rate'] > values['diagnostics.warn_rate']:
        found.append('diagnostics.error_rate: must not exceed diagnostics.warn_rate')
    return found


def _refinement_problems(values: dict[str, Any]) -> list[str]:
    refiner, selector = values['refinement.refiner'], values['refinement.selector']
    if bool(refiner) != bool(selector):
        absent, given = ('selector', 'refiner') if refiner else ('refiner', 'selector')
        return [f'refinement.{absent}: is empty but refinement.{given} is not; name both, or '
                'neither for no refinement']
    if not refiner:
        return []
    if values['refinement.deadline_ms'] >= values['output.timeout_ms']:
        return ['refinement.deadline_ms: must lie below output.timeout_ms, after which the last '
                'plan is held']
    return []


def sensor_names(values: dict[str, Any]) -> list[str]:
    """List the rig's sensors as topics, reasons and diagnostics call them."""
    lidar = ['lidar'] if values['lidar.enabled'] else []
    return [f'camera_{name}' for name in values['cameras']] + lidar


def yaml_text() -> str:
    """Return the text of ``config/planner.yaml``."""
    lines = ['# Parameters of the planner node with their defaults.',
             '# Written from pair_drive_ros/nodes/parameter_table.py; a test keeps them in step.',
             '/**:', '  ros__parameters:']
    for spec in PARAMETERS:
        allowed = ' '.join(part for part in (spec.allowed, spec.unit) if part)
        lines.append(f'    # {spec.doc}{f" ({allowed})" if allowed else ""}')
        empty = isinstance(spec.default, tuple) and not spec.default
        # rcl's YAML parser refuses an empty array, so an absent one stays a comment.
        lines.append(f'    {"# " if empty else ""}{spec.name}: {_yaml_value(spec.default)}')
    return '\n'.join(lines) + '\n'


def markdown_table() -> str:
    """Return the parameter table of the README."""
    rows = ['| parameter | type | default | allowed | meaning |', '|---|---|---|---|---|']
    for spec in PARAMETERS:
        allowed = ' '.join(part for part in (spec.allowed, spec.unit) if part)
        rows.append(f'| `{spec.name}` | {spec.type_name} | `{_yaml_value(spec.default)}` | '
                    f'{allowed} | {spec.doc} |')
    return '\n'.join(rows) + '\n'


def replace_table(readme: str) -> str:
    """Return the README's text with the parameter table between its two marks renewed."""
    start, end = '<!-- parameters: start -->\n', '<!-- parameters: end -->'
    head, rest = readme.split(start)
    return head + start + markdown_table() + end + rest.split(end)[1]


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, Sequence) and not isinstance(value, str):
        return '[' + ', '.join(str(item) for item in value) + ']'
    return f"'{value}'" if value == '' else str(value)


if __name__ == '__main__':
    root = Path(__file__).resolve().parents[2]
    (root / 'config' / 'planner.yaml').write_text(yaml_text())
    readme_path = root / 'README.md'
    readme_path.write_text(replace_table(readme_path.read_text()))
